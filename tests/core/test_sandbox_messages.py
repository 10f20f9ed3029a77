"""Frames between the sandbox and its process: whole ones only, however the bytes arrive."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from modelserving.sandbox_messages import MAX_FRAME_BYTES, Channel, Kind


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Channel]]:
    theirs, ours = socket.socketpair()
    with theirs, ours:
        yield theirs, Channel(ours)


def received(channel: Channel) -> tuple[Kind, bytes]:
    while (frame := channel.receive(10.0)) is None:
        pass
    return frame


def test_frames_come_as_they_were_sent(pair: tuple[socket.socket, Channel]) -> None:
    theirs, channel = pair
    frames = [(Kind.READY, b""), (Kind.PHASE, b"LOAD"), (Kind.DONE, bytes(range(256)) * 20)]
    sender = Channel(theirs)
    for kind, payload in frames:
        sender.send(kind, payload, 10.0)
    assert [received(channel) for _ in frames] == frames
    assert channel.receive(0.01) is None


def test_a_frame_in_pieces(pair: tuple[socket.socket, Channel]) -> None:
    theirs, channel = pair
    for byte in b"\x07" + (3).to_bytes(8, "big") + b"ab":
        theirs.sendall(bytes([byte]))
        assert channel.receive(10.0) is None
    theirs.sendall(b"c")
    assert channel.receive(10.0) == (Kind.DONE, b"abc")


def test_a_frame_that_is_too_large(pair: tuple[socket.socket, Channel]) -> None:
    theirs, channel = pair
    theirs.sendall(b"\x07" + (MAX_FRAME_BYTES + 1).to_bytes(8, "big"))
    with pytest.raises(ValueError, match="at most"):
        received(channel)


def test_the_other_end_is_gone(pair: tuple[socket.socket, Channel]) -> None:
    theirs, channel = pair
    theirs.sendall(b"\x07" + (3).to_bytes(8, "big") + b"ab")
    theirs.close()
    with pytest.raises(EOFError):
        received(channel)


def test_an_unknown_kind(pair: tuple[socket.socket, Channel]) -> None:
    theirs, channel = pair
    theirs.sendall(b"\x63" + (0).to_bytes(8, "big"))
    with pytest.raises(ValueError, match="99"):
        received(channel)


def test_frames_that_arrive_together(pair: tuple[socket.socket, Channel]) -> None:
    theirs, channel = pair
    empty = (0).to_bytes(8, "big")
    theirs.sendall(b"\x03" + empty + b"\x07" + empty + b"\x02")
    assert [received(channel), received(channel)] == [(Kind(3), b""), (Kind(7), b"")]
    assert channel.receive(0.01) is None
    theirs.sendall(empty)
    assert received(channel) == (Kind(2), b"")

"""Frames between the sandbox and its process: whole ones only, however the bytes arrive."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from modelserving.sandbox_messages import MAX_FRAME_BYTES, Channel, Kind

SHORT_S = 0.01


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Channel]]:
    sender, receiver = socket.socketpair()
    with sender, receiver:
        yield sender, Channel(receiver)


def frame(kind: int, payload: bytes) -> bytes:
    return bytes([kind]) + len(payload).to_bytes(8, "big") + payload


def test_frames_that_arrive_together_are_all_received(ends: tuple[socket.socket, Channel]) -> None:
    sender, channel = ends
    sender.sendall(frame(Kind.PHASE, b"WARM") + frame(Kind.DONE, b"") + frame(Kind.READY, b"")[:4])
    assert channel.receive(SHORT_S) == (Kind.PHASE, b"WARM")
    assert channel.receive(SHORT_S) == (Kind.DONE, b"")
    assert channel.receive(SHORT_S) is None
    sender.sendall(frame(Kind.READY, b"")[4:])
    assert channel.receive(SHORT_S) == (Kind.READY, b"")


def test_a_frame_that_is_too_large_or_unknown_is_refused(ends: tuple[socket.socket, Channel]) -> None:
    sender, channel = ends
    sender.sendall(bytes([Kind.DONE]) + (MAX_FRAME_BYTES + 1).to_bytes(8, "big"))
    with pytest.raises(ValueError, match="bytes"):
        channel.receive(SHORT_S)


def test_the_end_of_the_stream_is_told(ends: tuple[socket.socket, Channel]) -> None:
    sender, channel = ends
    sender.close()
    with pytest.raises(EOFError):
        channel.receive(SHORT_S)

"""A connection that sends or takes slowly is ended; the others are not disturbed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from modelserving.query import protocol
from modelserving.query.app import application
from modelserving.query.server import Server, listen
from modelserving.query.service import Service
from tests.query.cases import FakeResults, service_of
from tests.waiting import LIMIT_S, wait_until

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

ALIVE = b'{"status":"alive"}'


@contextmanager
def running(service: Service) -> Iterator[tuple[tuple[str, int], Server]]:
    """A server in a thread, and its address."""
    with listen("127.0.0.1", 0) as listening:
        address = listening.getsockname()
        server = Server(application(service, None), service.hub)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield address, server
        finally:
            server.should_exit = True
            thread.join(LIMIT_S)
            assert not thread.is_alive()


@contextmanager
def serving(service: Service) -> Iterator[tuple[str, int]]:
    """The address of a server in a thread."""
    with running(service) as (address, _):
        yield address


@contextmanager
def connected(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=LIMIT_S) as connection:
        yield connection


def answered(connection: socket.socket, count: int) -> bytes:
    """The answers to `count` requests for /healthz."""
    received = b""
    while received.count(ALIVE) < count:
        piece = connection.recv(10_000)
        assert piece, "the connection has ended"
        received += piece
    return received


def is_ended(connection: socket.socket) -> bool:
    """Wait until the other side ends the connection, without an answer."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.fixture
def address() -> Iterator[tuple[str, int]]:
    with serving(service_of()) as where:
        yield where


def test_a_head_without_end_is_cut_off(address: tuple[str, int]) -> None:
    with connected(address) as connection, pytest.raises((ConnectionResetError, BrokenPipeError)):
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 100_000_000)


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: loc", REQUEST[:-2]])
def test_a_head_that_does_not_come_is_not_waited_for(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_LIMIT_S", 0.2)
    with serving(service_of()) as address, connected(address) as connection:
        connection.sendall(sent)
        assert is_ended(connection)


def test_the_second_request_of_a_connection_is_not_waited_for_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_LIMIT_S", 0.2)
    with serving(service_of()) as address, connected(address) as connection:
        connection.sendall(REQUEST)
        assert answered(connection, 1).startswith(b"HTTP/1.1 200 OK")
        connection.sendall(REQUEST[:9])
        assert is_ended(connection)


def test_requests_in_pieces_and_several_at_once_are_answered(address: tuple[str, int]) -> None:
    with connected(address) as connection:
        for byte in REQUEST * 2:
            connection.sendall(bytes([byte]))
        connection.sendall(REQUEST * 3)
        assert answered(connection, 5).count(b"HTTP/1.1 200 OK") == 5


def test_200_connections_at_once_are_answered(address: tuple[str, int]) -> None:
    with ExitStack() as stack:
        connections = [stack.enter_context(connected(address)) for _ in range(200)]
        for _ in range(3):
            for connection in connections:
                connection.sendall(REQUEST)
            for connection in connections:
                assert answered(connection, 1).startswith(b"HTTP/1.1 200 OK")


class SlowTransport:
    """A transport whose client takes what a test says, and a loop whose timers fire when a test says."""

    def __init__(self) -> None:
        self.waiting = 1_000_000
        self.aborted = False
        self.timers: list[tuple[float, Callable[..., None], tuple[Any, ...]]] = []
        self.paused: list[bool] = []

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.aborted = True

    def call_later(self, seconds: float, then: Callable[..., None], *arguments: Any) -> Any:
        timer = (seconds, then, arguments)
        self.timers.append(timer)
        return SimpleNamespace(cancel=self.timers.clear)

    def fire(self) -> None:
        """The timer that runs; there is just one."""
        ((seconds, then, arguments),) = self.timers
        assert seconds == protocol.STUCK_S
        self.timers.clear()
        then(*arguments)


def test_a_client_that_takes_slowly_is_not_cut_off_until_it_takes_nothing() -> None:
    slow: Any = SlowTransport()
    connection = protocol.LimitedProtocol.__new__(protocol.LimitedProtocol)
    connection.transport, connection.loop = slow, slow
    connection.flow = SimpleNamespace(pause_writing=lambda: None, resume_writing=lambda: None)  # type: ignore[assignment]
    connection.pause_writing()
    for _ in range(5):
        slow.waiting -= 1000
        slow.fire()
        assert not slow.aborted
    connection.resume_writing()
    assert not slow.timers
    connection.pause_writing()
    slow.fire()
    assert slow.aborted


def received(connection: socket.socket) -> tuple[bytes, Any]:
    """The head of an answer after which the connection ends, and its JSON."""
    answer = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(10_000):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/json" in head
    assert b"content-length: %d" % len(body) in head
    return head.partition(b"\r\n")[0], orjson.loads(body)


def test_what_is_no_http_is_answered_like_all_that_is_wrong(address: tuple[str, int]) -> None:
    with connected(address) as connection:
        connection.sendall(b"HELLO world\r\n\r\n")
        status, told = received(connection)
    assert status == b"HTTP/1.1 400 Bad Request"
    assert told == {"error": "Invalid HTTP request received.", "remedy": "send a request of HTTP/1.1"}


def test_a_head_that_is_too_long_is_told(address: tuple[str, int]) -> None:
    with connected(address) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nX: " + b"x" * protocol.MOST_HEAD_BYTES)
        status, told = received(connection)
    assert status == b"HTTP/1.1 431 Request Header Fields Too Large"
    assert "headers are longer than 65536 bytes" in told["error"]


def test_one_client_too_many_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelserving.query.server.MOST_CONNECTIONS", 2)
    with serving(service_of()) as address, connected(address) as first:
        first.sendall(REQUEST)
        answered(first, 1)
        with connected(address) as second:
            second.sendall(REQUEST)
            status, told = received(second)
    assert status == b"HTTP/1.1 503 Service Unavailable"
    assert told["error"] == "too many clients are connected"


def test_an_answer_that_nobody_takes_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STUCK_S", 0.2)
    service = service_of(results=FakeResults([b'"%s"' % (b"x" * 1_000_000)] * 100))
    with running(service) as (address, server), connected(address) as connection:
        connection.sendall(b"GET /api/results HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(10)
        wait_until(lambda: not server.server_state.connections)


def test_a_listener_that_takes_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "STUCK_S", 0.2)
    service = service_of()
    monkeypatch.setattr(service, "snapshot", lambda: b": " + b"x" * 100_000_000 + b"\n\n")
    with serving(service) as address, connected(address) as connection:
        connection.sendall(b"GET /api/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(10)
        wait_until(lambda: len(service.hub) == 0)


def test_a_body_that_does_not_end_is_not_waited_for(address: tuple[str, int]) -> None:
    received = b""
    with connected(address) as connection:
        connection.sendall(REQUEST[:-2] + b"Content-Length: 1000000\r\n\r\n")
        with suppress(ConnectionResetError):
            while piece := connection.recv(10_000):  # fails if the connection does not end
                received += piece
    assert received.startswith(b"HTTP/1.1 413 ")

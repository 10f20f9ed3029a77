"""HTTP as uvicorn speaks it, with limits on those who send or take slowly.

Without them, anybody could hold a connection for ever by a request that does not end, or an answer that nobody takes.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.flow_control import service_unavailable
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from modelserving.query.problems import problem

MOST_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers."""
HEAD_LIMIT_S = 10.0
"""From the first byte of a request, or from the connection, until its headers are complete."""
STUCK_S = 30.0
"""A client that takes nothing of what is sent to it for so long is cut off; one that takes it slowly is not."""

_TOO_MANY = problem(503, "too many clients are connected", "ask again in a while", 5, {"Connection": "close"})


class LimitedProtocol(HttpToolsProtocol):
    """One connection."""

    _in_head = True
    _head_bytes = 0
    _late: TimerHandle | None = None
    _stuck: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """It begins."""
        super().connection_made(transport)
        self._set_late(HEAD_LIMIT_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        self._set_late(None)
        self._set_stuck(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Something has come: often a whole request, perhaps a part of one, or several."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MOST_HEAD_BYTES:
            self._head_bytes = 0
            self._refuse(431, f"the request's headers are longer than {MOST_HEAD_BYTES} bytes", "send fewer")
        elif self._head_bytes and self._late is None:
            self._set_late(HEAD_LIMIT_S)

    def on_headers_complete(self) -> None:
        """The head of a request has come."""
        self._in_head, self._head_bytes = False, 0
        self._set_late(None)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of a request has come."""
        super().on_message_complete()
        self._in_head = True

    def pause_writing(self) -> None:
        """The client takes less than is sent."""
        super().pause_writing()
        self._set_stuck(STUCK_S)

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP: as JSON, like all that is wrong."""
        self._refuse(400, msg, "send a request of HTTP/1.1")

    def resume_writing(self) -> None:
        """It has taken enough."""
        super().resume_writing()
        self._set_stuck(None)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        given: Any = _TOO_MANY if app is service_unavailable else app
        super()._start_asgi_task(cycle, given)

    def _refuse(self, status: int, error: str, remedy: str) -> None:
        """Answer, and end the connection."""
        if self.transport.is_closing():
            return
        answer = problem(status, error, remedy, headers={"Connection": "close"})
        head = b"".join(b"%s: %s\r\n" % header for header in answer.raw_headers)
        self.transport.write(f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode() + head + b"\r\n")
        self.transport.write(answer.body)
        self.transport.close()

    def _set_late(self, limit_s: float | None) -> None:
        if self._late is not None:
            self._late.cancel()
        self._late = None if limit_s is None else self.loop.call_later(limit_s, self.transport.abort)

    def _set_stuck(self, limit_s: float | None) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
        self._stuck = None
        if limit_s is not None:
            waiting = self.transport.get_write_buffer_size()
            self._stuck = self.loop.call_later(limit_s, self._end_if_stuck, waiting)

    def _end_if_stuck(self, waiting: int) -> None:
        """End the connection if the client has taken nothing; `waiting`: bytes that it had to take."""
        if self.transport.get_write_buffer_size() >= waiting:
            self.transport.abort()
        else:
            self._set_stuck(STUCK_S)

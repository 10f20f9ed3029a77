"""HTTP as uvicorn speaks it, with limits on those who send or take slowly.

Without them, anybody could hold a connection for ever by a request that does not end, or an answer that nobody takes.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MOST_HEAD_BYTES = 64 * 1024
"""Of a request's line and headers."""
HEAD_LIMIT_S = 10.0
"""From the first byte of a request, or from the connection, until its headers are complete."""
STUCK_S = 30.0
"""A client that takes nothing of what is sent to it for so long is cut off."""


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
            self.transport.abort()
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

    def resume_writing(self) -> None:
        """It has taken enough."""
        super().resume_writing()
        self._set_stuck(None)

    def _set_late(self, limit_s: float | None) -> None:
        self._late = self._timer(self._late, limit_s)

    def _set_stuck(self, limit_s: float | None) -> None:
        self._stuck = self._timer(self._stuck, limit_s)

    def _timer(self, running: TimerHandle | None, limit_s: float | None) -> TimerHandle | None:
        """End the connection in `limit_s`, if there is such a limit, in place of what a timer said before."""
        if running is not None:
            running.cancel()
        return None if limit_s is None else self.loop.call_later(limit_s, self.transport.abort)

"""Server-sent events: what changes, to whoever listens, as it happens."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from modelserving.query.parameters import check
from modelserving.query.problems import Refused
from modelserving.query.replay import Replay

MOST_LISTENERS = 100
MOST_WAITING = 100
"""Chunks that wait for a listener; one that is further behind is cut off, and may come again."""
HEARTBEAT_S = 15.0

_HEARTBEAT = b": still here\n\n"
_START = b"retry: 2000\n\n"
_RELOAD = b"event: reload\ndata: {}\n\n"
"""What was streamed meanwhile is not known any more: who keeps something has to ask for it anew."""


def chunk(event: str, items: Iterable[bytes]) -> bytes:
    """Encoded JSON values as events of one name."""
    return b"".join(b"event: %s\ndata: %s\n\n" % (event.encode(), item) for item in items)


class Listener:
    """Chunks on their way to one client."""

    def __init__(self) -> None:
        self.over = False
        """Nothing more will come."""
        self.changed = asyncio.Event()
        self._chunks: deque[bytes] = deque()

    def put(self, data: bytes) -> None:
        """Send a chunk, unless the client is too far behind."""
        if len(self._chunks) == MOST_WAITING:
            self.end()
        elif not self.over:
            self._chunks.append(data)
            self.changed.set()

    def end(self) -> None:
        """Send nothing more."""
        self.over = True
        self.changed.set()

    async def next(self, heartbeat_s: float) -> bytes | None:
        """The next chunk; a sign of life if none comes in `heartbeat_s`; None at the end."""
        if not self._chunks and not self.over:
            self.changed.clear()
            try:
                async with asyncio.timeout(heartbeat_s):
                    await self.changed.wait()
            except TimeoutError:
                return _HEARTBEAT
        if self.over:
            return None
        return self._chunks.popleft()


class Hub:
    """All listeners."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._replay = Replay()

    def __len__(self) -> int:
        return len(self._listeners)

    def publish(self, news: Iterable[tuple[str, Iterable[bytes]]]) -> None:
        """Send events to all: names, and encoded JSON values of each. They are kept for those who come again."""
        data = b"".join(self._replay.add(name, items) for name, items in news)
        if data:
            for listener in self._listeners:
                listener.put(data)

    def beginning(self, last_id: str | None, snapshot: Callable[[], bytes]) -> bytes:
        """What a client is told first: all that there is, or what it missed since the event of `last_id`."""
        missed = None if last_id is None else self._replay.since(last_id)
        if missed is not None:
            return _START + missed
        reload = _RELOAD if last_id is not None else b""
        # The id comes last: who has not got all of it begins anew.
        return _START + reload + snapshot() + b"id: %s\n\n" % self._replay.last_id.encode()

    def join(self) -> Listener | None:
        """A new listener; None if there are too many."""
        if len(self._listeners) >= MOST_LISTENERS:
            return None
        listener = Listener()
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Send nothing more to a listener."""
        self._listeners.discard(listener)

    def begin_anew(self) -> None:
        """What comes is no sequel to what was sent: listeners come again, and begin with what is known then."""
        self._replay.begin_anew()
        self.close()

    def close(self) -> None:
        """End all streams."""
        for listener in self._listeners:
            listener.end()


class EventStream:
    """The endpoint: an answer that goes on until one side ends it.

    Args:
        snapshot: the chunk to begin with; raises `Refused` if there cannot be one.
    """

    def __init__(self, hub: Hub, snapshot: Callable[[], bytes], heartbeat_s: float = HEARTBEAT_S) -> None:
        self._hub = hub
        self._snapshot = snapshot
        self._heartbeat_s = heartbeat_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request.

        Raises:
            Refused: there is nothing to begin with, or there are too many listeners.
        """
        request = Request(scope)
        check(request, ())
        data: bytes | None = self._hub.beginning(request.headers.get("last-event-id"), self._snapshot)
        listener = self._hub.join()
        if listener is None:
            raise Refused(503, f"{MOST_LISTENERS} clients listen already", "end another stream, or ask again later", 5)
        gone = asyncio.create_task(_disconnected(receive))
        gone.add_done_callback(lambda _: listener.end())
        try:
            headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            while data is not None and scope["method"] != "HEAD":
                await send({"type": "http.response.body", "body": data, "more_body": True})
                data = await listener.next(self._heartbeat_s)
            if not gone.done():
                await send({"type": "http.response.body", "body": b""})
        finally:
            self._hub.leave(listener)
            gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

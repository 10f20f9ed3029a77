"""The service without HTTP: a view that the reader fills, told to those who listen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Protocol

from modelserving.query.progress import Progress
from modelserving.query.reader import Reader
from modelserving.query.result_sample import ResultSample
from modelserving.query.stream import Hub, chunk
from modelserving.query.view import Message, View
from modelserving.topics import Topics

MOST_REJECTED_A_SECOND = 5
"""Told to listeners: a sample, as everywhere."""
STOP_LIMIT_S = 5.0


class Following(Protocol):
    """What fills the view."""

    @property
    def progress(self) -> Progress: ...
    def start(self) -> None: ...
    def stop(self, limit_s: float) -> None: ...


class Sampling(Protocol):
    """What tells newest results."""

    async def newest(self, limit: int) -> list[bytes]: ...
    async def close(self) -> None: ...


class Service:
    """What the HTTP endpoints show. All but the reader's thread happens in one event loop.

    Args:
        follow: makes what fills the view, of what takes messages and what forgets them, called from any thread.
        results: tells newest results.
        clock_s: seconds that only grow.
    """

    def __init__(
        self,
        view: View,
        follow: Callable[[Callable[[Sequence[Message]], None], Callable[[], None]], Following],
        results: Sampling,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.view = view
        self.results = results
        self.hub = Hub()
        self._clock_s = clock_s
        self._reader = follow(self._deliver, self._begin_anew)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rejected_told: list[float] = []
        """When listeners were told of a rejection, in the last second."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read the topics meanwhile."""
        self._loop = asyncio.get_running_loop()
        self._reader.start()
        try:
            yield
        finally:
            self.hub.close()
            # In another thread, since the reader may be waiting for this one.
            await asyncio.to_thread(self._reader.stop, STOP_LIMIT_S)
            await self.results.close()

    @property
    def progress(self) -> Progress:
        """How far the reader is."""
        return self._reader.progress

    def not_ready(self) -> str | None:
        """Why answers may not tell what is; None if they do."""
        return self.progress.not_ready(self._clock_s())

    def heard_ago_s(self) -> float | None:
        """Seconds since the broker answered last; None if it never has."""
        heard_s = self.progress.heard_s
        return None if heard_s is None else self._clock_s() - heard_s

    def snapshot(self) -> bytes:
        """What a new listener is told first: totals, and of each data type what serves or served last."""
        view = self.view
        parts = (("stats", view.stats_of_late()), ("totals", view.stats.totals()), ("policy", view.policies.encoded()))
        return b"".join(chunk(name, items) for name, items in parts)

    def take_in(self, messages: Sequence[Message]) -> None:
        """Add messages to the view, and tell listeners of them once all older ones are read."""
        news = self.view.apply(messages)
        if self.progress.caught_up:
            self.hub.publish(
                (
                    ("stats", news.stats),
                    ("totals", news.totals),
                    ("gone", news.gone),
                    ("policy", news.policies),
                    ("model", news.events),
                    ("rejected", self._few(news.rejected)),
                )
            )

    def _few(self, rejected: list[bytes]) -> list[bytes]:
        now_s = self._clock_s()
        self._rejected_told = [then_s for then_s in self._rejected_told if now_s - then_s < 1.0]
        few = rejected[: MOST_REJECTED_A_SECOND - len(self._rejected_told)]
        self._rejected_told += [now_s] * len(few)
        return few

    def _deliver(self, messages: Sequence[Message]) -> None:
        async def take_in() -> None:
            self.take_in(messages)

        self._in_loop(take_in())

    def _begin_anew(self) -> None:
        async def clear() -> None:
            self.view.clear()
            self.hub.begin_anew()

        self._in_loop(clear())

    def _in_loop(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` in the event loop, and wait until it is done."""
        if self._loop is None:
            raise RuntimeError("the service does not run")
        asyncio.run_coroutine_threadsafe(work, self._loop).result()


def of_broker(bootstrap_servers: str, topics: Topics) -> Service:
    """The service for the topics of a broker."""
    return Service(
        View(topics),
        lambda deliver, begin_anew: Reader(bootstrap_servers, topics, deliver, begin_anew),
        ResultSample(bootstrap_servers, topics.results),
    )

"""Servers that tests of speculative serving run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pyarrow as pa

from modelserving.speculative.policy import Policy
from modelserving.speculative.server import Decision, SpeculativeServer
from tests.speculative.cases import Clock
from tests.speculative.models import batch
from tests.waiting import LIMIT_S, wait_until

T = TypeVar("T")
SHORT_MS = 50
LONG_MS = 60_000
"""A deadline that no test waits for."""


def run(what: Coroutine[Any, Any, T]) -> T:
    """Run to the end; fail the test if there is none."""
    return asyncio.run(asyncio.wait_for(what, LIMIT_S))


def of(*models: str, timeout_ms: int = LONG_MS, **fields: object) -> Policy:
    return Policy("wine", timeout_ms, models, **fields)  # type: ignore[arg-type]


def score(stated: Policy, models: dict[str, Any], rows: int = 1, **options: Any) -> list[Decision]:
    """The decisions on one batch, by a server for it alone."""

    async def once() -> list[Decision]:
        async with SpeculativeServer(stated, models, **options) as server:
            return await server.score(batch(rows))

    return run(once())


async def at_deadline(
    server: SpeculativeServer, clock: Clock, asked: pa.RecordBatch, ready: Callable[[], object]
) -> list[Decision]:
    """The decisions of a server by this clock, on which the deadline comes once it is `ready`."""
    scoring = asyncio.ensure_future(server.score(asked))
    await until(ready)
    clock.now_us += SHORT_MS * 1000
    return await scoring


async def until(condition: Callable[[], object]) -> None:
    """Wait, without keeping the event loop from its work."""
    await asyncio.get_running_loop().run_in_executor(None, wait_until, condition)


def has_answered(server: SpeculativeServer, model: str, tasks: int) -> bool:
    """Whether a model has answered so many tasks."""
    return server.counts[model].answered == tasks

"""The server: decisions by the deadline, whatever the models do; no waiting but for them."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from typing import Any

import numpy as np
import pytest

from modelserving.speculative.model_process import InProcess
from modelserving.speculative.request import Request
from modelserving.speculative.server import Decision, SpeculativeServer
from modelserving.speculative.tasks import LaneLimits
from modelserving.wire.speculative_pb2 import Rule, VoteState, Why
from tests.speculative import own
from tests.speculative.cases import Clock
from tests.speculative.models import Model, batch, failing
from tests.speculative.serving import SHORT_MS, at_deadline, has_answered, of, run, score, until
from tests.waiting import LIMIT_S, wait_until


def test_the_most_trusted_in_time() -> None:
    decisions = score(of("smart", "fast"), {"smart": Model(plus=10.0), "fast": Model()}, 3)
    assert [decision.answer for decision in decisions] == [10.0, 11.0, 12.0]
    assert {decision.counted for decision in decisions} == {("smart",)}
    assert {decision.why for decision in decisions} <= {Why.BEST, Why.ALL_IN}


def test_a_model_that_never_returns(hanging: Model) -> None:
    """The decision comes at the deadline, and closing does not wait."""
    clock = Clock()

    async def scored() -> list[Decision]:
        models = {"smart": hanging, "fast": Model(plus=1.0)}
        async with SpeculativeServer(of("smart", "fast", timeout_ms=SHORT_MS), models, clock_us=clock) as server:
            return await at_deadline(server, clock, batch(), lambda: server.counts["fast"].answered)

    (decision,) = run(scored())
    assert (decision.answer, decision.why, decision.at_deadline) == (1.0, Why.DEADLINE, True)
    assert [(vote.model, vote.state) for vote in decision.votes] == [
        ("smart", VoteState.OUTSTANDING),
        ("fast", VoteState.ANSWERED),
    ]
    assert (decision.latency_us, decision.late_us) == (SHORT_MS * 1000, 0)


def test_a_clock_that_is_set_back_delays_nothing(hanging: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scored() -> list[Decision]:
        async with SpeculativeServer(of("smart", timeout_ms=SHORT_MS), {"smart": hanging}) as server:
            scoring = asyncio.ensure_future(server.score(batch()))
            await until(lambda: server.counts["smart"].offered)
            now_ns = time.time_ns
            monkeypatch.setattr(time, "time_ns", lambda: now_ns() - 3600 * 10**9)
            return await asyncio.wait_for(scoring, LIMIT_S)

    (decision,) = run(scored())
    assert (decision.why, decision.at_deadline) == (Why.NO_ANSWER, True)


def test_all_hang(hanging: Model) -> None:
    stated = of("a", "b", timeout_ms=SHORT_MS, default="unknown")
    (decision,) = score(stated, {"a": hanging, "b": hanging})
    assert (decision.answer, decision.why, decision.at_deadline) == ("unknown", Why.DEFAULT, True)


def test_a_model_that_holds_pythons_lock() -> None:
    """In a process of its own it delays nobody."""
    clock = Clock()

    async def scored() -> list[Decision]:
        greedy = InProcess(own.make_greedy)
        models: dict[str, Any] = {"greedy": greedy, "fast": Model(plus=1.0)}
        async with SpeculativeServer(of("greedy", "fast", timeout_ms=SHORT_MS), models, clock_us=clock) as server:
            decisions = await server.score(batch())  # it was loaded, and answers
            for answered in (2, 3):
                ready = partial(has_answered, server, "fast", answered)
                decisions += await at_deadline(server, clock, batch(first=-1.0), ready)
            return decisions

    first, second, third = run(scored())
    assert (first.answer, first.counted) == (0.0, ("greedy",))
    for decision in (second, third):
        assert (decision.answer, decision.why) == (0.0, Why.DEADLINE)


def test_a_model_that_raises() -> None:
    (decision,) = score(of("a", "b"), {"a": failing, "b": Model(plus=1.0)})
    assert (decision.answer, decision.why) == (1.0, Why.ALL_IN)
    assert (decision.votes[0].state, decision.votes[0].detail) == (
        VoteState.FAILED,
        "the model raised ValueError: no",
    )


def test_a_model_that_is_not_there() -> None:
    (decision,) = score(of("gone", "b"), {"b": Model(plus=1.0)})
    assert (decision.answer, decision.why) == (1.0, Why.ALL_IN)
    assert decision.votes[0].state == VoteState.NO_SUCH_MODEL


def test_late_answers_are_told_of(hanging: Model) -> None:
    late: list[tuple[str, list[int], list[float]]] = []
    complete: list[Request] = []

    def on_late(request: Request, model: str, rows: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        late.append((model, rows.tolist(), request.ballot.numbers[0, rows].tolist()))
        raise RuntimeError("nobody must notice")

    clock = Clock()

    async def scored() -> None:
        stated = of("smart", "fast", timeout_ms=SHORT_MS)
        models = {"smart": hanging, "fast": Model(plus=1.0)}
        async with SpeculativeServer(
            stated, models, on_late=on_late, on_complete=complete.append, clock_us=clock
        ) as server:
            await at_deadline(server, clock, batch(2), lambda: has_answered(server, "fast", 1))
            assert not complete
            hanging.released.set()
            await until(lambda: complete)

    run(scored())
    assert late == [("smart", [0, 1], [0.0, 1.0])]


def test_a_lane_that_is_behind_sheds_and_costs_only_its_vote(hanging: Model) -> None:
    async def scored() -> list[Decision]:
        models = {"smart": hanging, "fast": Model(plus=1.0)}
        async with SpeculativeServer(of("smart", "fast"), models, limits=LaneLimits(queue=1)) as server:
            runs = asyncio.ensure_future(server.score(batch()))
            await until(lambda: hanging.asked)
            waits = asyncio.ensure_future(server.score(batch()))
            await until(lambda: server.counts["fast"].answered == 2)
            shed = await server.score(batch())
            counts = server.counts["smart"]
            assert (counts.shed, counts.answered) == (1, 0)
            hanging.released.set()
            return [*await runs, *await waits, *shed]

    decisions = run(scored())
    assert [decision.answer for decision in decisions] == [0.0, 0.0, 1.0]
    assert [decision.votes[0].state for decision in decisions] == [VoteState.ANSWERED] * 2 + [VoteState.SHED]


def test_many_at_once() -> None:
    async def scored() -> list[list[Decision]]:
        models = {"a": Model(), "b": Model()}
        stated = of("a", "b", rule=Rule.CONSENSUS, quorum=2)
        async with SpeculativeServer(stated, models, limits=LaneLimits(queue=1000)) as server:
            return await asyncio.gather(*(server.score(batch(3, first=10.0 * number)) for number in range(100)))

    for number, decisions in enumerate(run(scored())):
        assert [decision.answer for decision in decisions] == [10.0 * number + row for row in range(3)]


def test_no_records() -> None:
    assert score(of("a"), {"a": Model()}, 0) == []


def test_one_that_is_cancelled_leaves_nothing_behind(hanging: Model) -> None:
    async def scored() -> list[Decision]:
        async with SpeculativeServer(of("smart", "fast"), {"smart": hanging, "fast": Model(plus=1.0)}) as server:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(server.score(batch()), 0.05)
            hanging.released.set()
            return await server.score(batch())

    (decision,) = run(scored())
    assert decision.counted == ("smart",)


def test_closing_decides_what_is_open(hanging: Model) -> None:
    async def scored() -> list[Decision]:
        server = SpeculativeServer(of("smart", "fast"), {"smart": hanging, "fast": Model(plus=1.0)})
        scoring = asyncio.ensure_future(server.score(batch()))
        await until(lambda: server.counts["fast"].answered)
        server.close()
        decisions = await scoring
        with pytest.raises(RuntimeError, match="closed"):
            await server.score(batch())
        return decisions

    (decision,) = run(scored())
    assert (decision.answer, decision.why, decision.votes[0].state) == (1.0, Why.ALL_IN, VoteState.LANE_ENDED)


def test_answers_after_the_loop_has_ended(hanging: Model) -> None:
    """There is nobody to tell, and nothing fails."""
    failures: list[object] = []
    before = threading.excepthook
    threading.excepthook = failures.append
    try:
        server = SpeculativeServer(of("smart", timeout_ms=SHORT_MS), {"smart": hanging})
        assert run(server.score(batch()))[0].why == Why.NO_ANSWER
        hanging.released.set()
        wait_until(lambda: server.counts["smart"].answered)
        server.use(of("smart"))
        assert run(server.score(batch()))[0].answer == 0.0
        server.close()
    finally:
        threading.excepthook = before
    assert not failures

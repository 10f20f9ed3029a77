"""The server goes by its policy: quorum, quality, deciders, shares of challengers."""

from __future__ import annotations

from collections import Counter

import pytest

from modelserving.errors import ConfigurationError
from modelserving.speculative.deciders import Choice
from modelserving.speculative.rollout import Counts, count
from modelserving.speculative.server import Decision, ServedModel, SpeculativeServer
from modelserving.wire.speculative_pb2 import QualityBy, Rule, Why
from tests.speculative.cases import version
from tests.speculative.models import Model, batch
from tests.speculative.serving import of, run, score, until


def test_a_quorum_does_not_wait_for_the_rest(hanging: Model) -> None:
    stated = of("a", "b", "c", rule=Rule.CONSENSUS, tolerance=0.5)
    decisions = score(stated, {"a": hanging, "b": Model(), "c": Model(plus=0.5)}, 2)
    assert [(decision.answer, decision.why) for decision in decisions] == [(0.25, Why.QUORUM), (1.25, Why.QUORUM)]
    assert decisions[0].counted == ("b", "c")


def test_quality_by_metric() -> None:
    models = {
        "a": ServedModel(Model(), version("a"), {"accuracy": 0.5}),
        "b": ServedModel(Model(plus=1.0), version("b"), {"accuracy": 0.9}),
    }
    stated = of("a", "b", rule=Rule.QUALITY, quality_by=QualityBy.METRIC, metric="accuracy")
    (decision,) = score(stated, models)
    assert (decision.answer, decision.counted) == (1.0, ("b",))
    assert [(vote.version, vote.quality) for vote in decision.votes] == [(version("a"), 0.5), (version("b"), 0.9)]


def test_a_decider_of_ones_own() -> None:
    stated = of("a", "b", decider="tests.speculative.own:first_come")
    (decision,) = score(stated, {"b": Model(plus=2.0)})
    assert (decision.answer, decision.why) == (2.0, Why.OWN_DECIDER)
    (decision,) = score(of("a"), {"a": Model()}, decider=lambda *_: Choice("mine"))
    assert decision.answer == "mine"
    with pytest.raises(ConfigurationError, match="cannot be imported"):
        SpeculativeServer(of("a", decider="nowhere:it"), {})


def test_a_rollout_is_counted() -> None:
    counted: list[Counts] = []

    async def scored() -> None:
        stated = of("old", challengers=("new",), shadow=1.0, tolerance=0.5)
        models = {"old": Model(), "new": Model(plus=1.0)}
        async with SpeculativeServer(stated, models, on_complete=lambda each: counted.append(count(each))) as server:
            decisions = await server.score(batch(4))
            assert [decision.answer for decision in decisions] == [0.0, 1.0, 2.0, 3.0]
            await until(lambda: counted)

    run(scored())
    assert counted == [Counts(asked=4, compared=4, disagreed=4)]


def test_a_canary_goes_by_key() -> None:
    keys = [b"%d" % number for number in range(400)]

    async def scored() -> tuple[list[Decision], list[Decision]]:
        stated = of("old", challengers=("new",), canary=0.25)
        async with SpeculativeServer(stated, {"old": Model(), "new": Model(plus=0.5)}) as server:
            return await server.score(batch(400), keys), await server.score(batch(400), keys)

    first, second = run(scored())
    assert [decision.counted for decision in first] == [decision.counted for decision in second]
    sides = Counter(decision.counted for decision in first)
    assert 50 < sides["new",] < 150
    plus = [0.5 if decision.counted == ("new",) else 0.0 for decision in first]
    assert [decision.answer for decision in first] == [row + more for row, more in enumerate(plus)]


def test_another_policy_holds_from_then_on() -> None:
    async def scored() -> list[Decision]:
        async with SpeculativeServer(of("a"), {"a": Model(), "b": Model(plus=1.0)}) as server:
            first = await server.score(batch())
            server.use(of("b"))
            return first + await server.score(batch())

    assert [decision.counted for decision in run(scored())] == [("a",), ("b",)]

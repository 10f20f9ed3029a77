"""Totals of a policy: sums of deltas, the same whether added in one process or across restarts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelserving.statistics.policy_totals import MOST_MODELS, PolicyTotals, at_rest
from modelserving.wire.speculative_pb2 import Rule, VoteState, Why
from modelserving.wire.state_pb2 import PolicyDelta, PolicyModelDelta, PolicyState, StatsDelta
from modelserving.wire.stats_pb2 import ModelAgreement, PolicyTerms

NOW_MS = 1_700_000_000_000


def model(name: str, answered: int, taken_us: int = 2000, **fields: object) -> PolicyModelDelta:
    return PolicyModelDelta(
        model=name,
        votes={VoteState.ANSWERED: answered},
        taken_us=[taken_us],
        taken_counts=[answered],
        **fields,  # type: ignore[arg-type]
    )


def decided(count: int = 10, *, at_ms: int = NOW_MS, us: int = 5000, late_us: int = 0, **terms: object) -> StatsDelta:
    """So many records decided, by the answer of `fast`; `smart` has not answered."""
    stated = PolicyTerms(**{"rule": Rule.TRUST, "timeout_ms": 50, "models": ["smart", "fast"], **terms})  # type: ignore[arg-type]
    delta = PolicyDelta(
        terms=stated,
        why={Why.DEADLINE if late_us else Why.BEST: count},
        at_deadline=count if late_us else 0,
        decided_ms=at_ms,
        decision_us=us,
        late_us=late_us,
        models=[PolicyModelDelta(model="smart", asked=count), model("fast", count, asked=count, counted=count)],
    )
    return StatsDelta(data_type="wine", policy=delta)


def late(name: str, count: int, agreed: int, taken_us: int = 200_000) -> StatsDelta:
    pair = ModelAgreement(first="fast", second=name, compared=count, agreed=agreed)
    return StatsDelta(
        data_type="wine", policy=PolicyDelta(models=[model(name, count, taken_us, late=True)], agreement=[pair])
    )


def test_sums() -> None:
    totals = PolicyTotals()
    totals.add([decided(30), decided(10, at_ms=NOW_MS + 50, us=52_000, late_us=2000), late("smart", 8, 6)], 2.0, NOW_MS)
    stats = totals.stats
    assert (stats.data_type, stats.decided, dict(stats.why)) == ("wine", 40, {"BEST": 30, "DEADLINE": 10})
    assert (stats.at_deadline, stats.late, stats.since, stats.last_decided_ms) == (10, 10, NOW_MS, NOW_MS + 50)
    assert (stats.decision_ms.count, stats.decision_ms.p50, stats.decision_ms.max) == (40, 5, 52)
    assert (stats.late_ms.count, stats.late_ms.max) == (10, 2)
    smart, fast = stats.models
    assert (smart.model, smart.asked, smart.answered, smart.late, smart.counted) == ("smart", 40, 8, 8, 0)
    assert (smart.taken_ms.count, smart.taken_ms.p50, smart.last_asked_ms) == (8, 200, NOW_MS + 50)
    assert (fast.model, fast.asked, fast.answered, fast.late, fast.counted) == ("fast", 40, 40, 0, 40)
    assert list(stats.agreement) == [ModelAgreement(first="fast", second="smart", compared=8, agreed=6)]
    recent = stats.recent
    assert (recent.decided, recent.decided_per_s, recent.at_deadline, recent.late) == (40, 20, 10, 10)
    assert (dict(recent.counted), dict(recent.late_answers)) == ({"fast": 40}, {"smart": 8})


def test_recent_is_of_the_last_second_alone() -> None:
    totals = PolicyTotals()
    totals.add([decided(10, us=5000)], 1.0, NOW_MS)
    totals.add([decided(2, us=7000)], 1.0, NOW_MS + 1000)
    recent = totals.stats.recent
    assert (recent.decided, dict(recent.why), recent.decision_ms.min) == (2, {"BEST": 2}, 7)
    assert (totals.stats.decided, totals.stats.updated_ms) == (12, NOW_MS + 1000)
    assert not at_rest(totals.encode())
    totals.rest(2.5, NOW_MS + 4000)
    assert at_rest(totals.encode())
    assert (totals.stats.recent.decided_per_s, totals.stats.decided) == (0, 12)


def test_late_answers_alone_are_no_rest() -> None:
    totals = PolicyTotals()
    totals.add([late("smart", 3, 3)], 1.0, NOW_MS)
    assert not at_rest(totals.encode())
    assert totals.stats.decided == 0


def test_the_terms_are_those_of_the_latest_decision() -> None:
    totals = PolicyTotals()
    totals.add([decided(at_ms=NOW_MS + 9, timeout_ms=80), decided(at_ms=NOW_MS), late("smart", 1, 1)], 1.0, NOW_MS)
    assert totals.stats.terms.timeout_ms == 80


def test_models_that_the_policy_no_longer_names_come_last_and_leave_in_the_end() -> None:
    totals = PolicyTotals()
    totals.add([decided(1, at_ms=NOW_MS), late("smart", 1, 1)], 1.0, NOW_MS)
    totals.add([decided(1, at_ms=NOW_MS + 1, models=["fast"], challengers=["new"])], 1.0, NOW_MS)
    assert [each.model for each in totals.stats.models] == ["fast", "smart"]
    for number in range(MOST_MODELS):
        new = [PolicyModelDelta(model=f"m{number}", asked=1)]
        terms = PolicyTerms(models=[f"m{number}"])
        delta = PolicyDelta(terms=terms, why={Why.NO_ANSWER: 1}, decided_ms=NOW_MS + 2 + number, models=new)
        totals = PolicyTotals(totals.encode())
        totals.add([StatsDelta(data_type="wine", policy=delta)], 1.0, NOW_MS)
    assert [each.model for each in totals.stats.models] == [f"m{each}" for each in reversed(range(MOST_MODELS))]
    assert not totals.stats.agreement


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 99_999), st.integers(0, 9)), min_size=1, max_size=20))
def test_a_restart_after_each_addition_changes_nothing(steps: list[tuple[int, int, int]]) -> None:
    steady, restarted = PolicyTotals(), PolicyTotals()
    for count, us, late_us in steps:
        some = [decided(count, us=us, late_us=late_us), late("smart", count, late_us % (count + 1))]
        steady.add(some, 1.0, NOW_MS)
        restarted = PolicyTotals(restarted.encode())
        restarted.add(some, 1.0, NOW_MS)
    assert restarted.stats.decided == sum(count for count, _, _ in steps)
    assert restarted.stats.decision_ms.max == steady.stats.decision_ms.max
    for name in ("decided", "why", "at_deadline", "late", "since", "terms", "agreement", "recent"):
        assert getattr(restarted.stats, name) == getattr(steady.stats, name)
    for one, other in zip(restarted.stats.models, steady.stats.models, strict=True):
        assert (one.model, one.asked, one.answered, one.late) == (other.model, other.asked, other.answered, other.late)
        assert one.taken_ms.count == other.taken_ms.count


def test_of_a_later_release() -> None:
    with pytest.raises(ValueError, match="later release"):
        PolicyTotals(PolicyState(schema=99).SerializeToString())

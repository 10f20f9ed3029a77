"""Requests: records of a batch are decided at different times, each once; late votes change nothing."""

from __future__ import annotations

import numpy as np
import pytest

from modelserving.servable import RecordFailure
from modelserving.speculative.ballot import Vote
from modelserving.speculative.votes import no_votes
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.speculative_pb2 import Average, QualityBy, Rule, VoteState, Why
from tests.speculative.cases import (
    DEADLINE_US,
    NOW_US,
    answers_of,
    policy,
    request,
    said,
    version,
)


def test_the_smart_model_in_time() -> None:
    asked = request(policy("smart", "fast"))
    asked.add(said("fast", 1.0))
    assert not len(asked.decide(NOW_US).rows)
    asked.add(said("smart", 2.0))
    assert answers_of(asked, asked.decide(NOW_US)) == [(0, Why.ALL_IN, 2.0)]


def test_the_smart_model_first_of_all() -> None:
    asked = request(policy("smart", "fast"))
    asked.add(said("smart", 2.0))
    assert answers_of(asked, asked.decide(NOW_US)) == [(0, Why.BEST, 2.0)]
    assert asked.is_decided
    assert not asked.is_complete


def test_the_smart_model_too_late() -> None:
    asked = request(policy("smart", "fast"))
    asked.add(said("fast", 1.0))
    assert not len(asked.decide(DEADLINE_US - 1).rows)
    decided = asked.decide(DEADLINE_US + 7)
    assert answers_of(asked, decided) == [(0, Why.DEADLINE, 1.0)]
    assert decided.at_deadline.tolist() == [True]
    assert asked.decided_us.tolist() == [DEADLINE_US + 7]
    assert asked.add(said("smart", 2.0)).tolist() == [0]
    assert not len(asked.decide(DEADLINE_US + 9).rows)
    assert asked.numbers.tolist() == [1.0]
    assert asked.is_complete


def test_a_vote_that_expired_is_one_that_did_not_come_by_the_deadline() -> None:
    """Whether the lane or the deadline's timer is first makes no difference."""
    asked = request(policy("smart", "fast"))
    asked.add(said("fast", 1.0))
    asked.add(no_votes("smart", np.array([0], np.int32), VoteState.EXPIRED, "too late"))
    assert not len(asked.decide(DEADLINE_US - 1).rows)
    decided = asked.decide(DEADLINE_US)
    assert answers_of(asked, decided) == [(0, Why.DEADLINE, 1.0)]
    assert decided.at_deadline.tolist() == [True]


def test_a_model_that_fails_is_not_waited_for() -> None:
    asked = request(policy("smart", "fast"))
    asked.add(said("smart", None))
    asked.add(said("fast", "x"))
    assert answers_of(asked, asked.decide(NOW_US)) == [(0, Why.ALL_IN, "x")]


@pytest.mark.parametrize(("default", "why"), [(None, Why.NO_ANSWER), ("d", Why.DEFAULT), (0.0, Why.DEFAULT)])
def test_nobody_answers(default: float | str | None, why: int) -> None:
    asked = request(policy("smart", "fast", default=default))
    assert answers_of(asked, asked.decide(DEADLINE_US)) == [(0, why, default)]


def test_a_quorum_ends_early_and_later_votes_change_nothing() -> None:
    asked = request(policy("a", "b", "c", "d", "e", rule=Rule.CONSENSUS))
    for model, label in (("e", "no"), ("d", "yes"), ("a", "yes")):
        asked.add(said(model, label))
        assert not len(asked.decide(NOW_US).rows)
    asked.add(said("b", "yes"))
    decided = asked.decide(NOW_US)
    assert answers_of(asked, decided) == [(0, Why.QUORUM, "yes")]
    assert decided.counted[:, 0].tolist() == [True, True, False, True, False]
    assert asked.add(said("c", "no")).tolist() == [0]
    assert not len(asked.decide(DEADLINE_US).rows)


@pytest.mark.parametrize(
    ("rule", "why", "answer"), [(Rule.CONSENSUS, Why.NO_ANSWER, None), (Rule.COMBINED, Why.NO_QUORUM, "x")]
)
def test_once_no_quorum_is_possible_nothing_is_waited_for(rule: int, why: int, answer: str | None) -> None:
    asked = request(policy("a", "b", "c", "d", rule=rule))
    asked.add(said("d", "z"))
    asked.add(said("a", "x"))
    assert not len(asked.decide(NOW_US).rows)
    asked.add(said("c", "y"))
    assert answers_of(asked, asked.decide(NOW_US)) == [(0, why, answer)]


@pytest.mark.parametrize(("more", "at_us", "answer"), [(["a"], NOW_US, "a"), ([], DEADLINE_US, "c")])
def test_without_a_quorum_a_more_trusted_answer_is_waited_for(more: list[str], at_us: int, answer: str) -> None:
    asked = request(policy("a", "b", "c", quorum=3, rule=Rule.COMBINED))
    asked.add(no_votes("b", np.zeros(1, np.int32), VoteState.NO_SUCH_MODEL, "gone"))
    asked.add(said("c", "c"))
    assert not len(asked.decide(NOW_US).rows)
    for model in more:
        asked.add(said(model, model))
    assert answers_of(asked, asked.decide(at_us)) == [(0, Why.NO_QUORUM, answer)]


def test_without_a_quorum_by_the_deadline_the_most_trusted_answer_so_far() -> None:
    asked = request(policy("a", "b", "c", rule=Rule.COMBINED, default="d"))
    asked.add(said("c", "x"))
    assert answers_of(asked, asked.decide(DEADLINE_US)) == [(0, Why.DEADLINE, "x")]


def test_of_groups_of_the_same_size_that_of_the_most_trusted_model() -> None:
    asked = request(policy("a", "b", "c", "d", rule=Rule.CONSENSUS, quorum=2))
    for model, label in (("d", "x"), ("c", "y"), ("b", "x"), ("a", "y")):
        asked.add(said(model, label))
    assert answers_of(asked, asked.decide(NOW_US)) == [(0, Why.QUORUM, "y")]


def test_numbers_that_are_in_two_groups() -> None:
    """The most trusted is in both, so the next one tells."""
    asked = request(policy("a", "b", "c", rule=Rule.CONSENSUS, quorum=2, tolerance=1.0))
    for model, number in (("a", 2.0), ("b", 3.0), ("c", 1.0)):
        asked.add(said(model, number))
    decided = asked.decide(NOW_US)
    assert answers_of(asked, decided) == [(0, Why.QUORUM, 2.5)]
    assert decided.counted[:, 0].tolist() == [True, True, False]


@pytest.mark.parametrize("numbers", [(5.1, 5.2), (5.2, 5.3), (0.1, 0.2), (-5.1, -5.2)])
def test_decimals_that_differ_by_the_tolerance_agree(numbers: tuple[float, float]) -> None:
    asked = request(policy("a", "b", rule=Rule.CONSENSUS, quorum=2, tolerance=0.1, default="none"))
    for model, number in zip("ab", numbers, strict=True):
        asked.add(said(model, number))
    decided = asked.decide(NOW_US)
    assert [why for _, why, _ in answers_of(asked, decided)] == [Why.QUORUM]


@pytest.mark.parametrize(("average", "number"), [(Average.MEDIAN, 2.25), (Average.MEAN, 2.625)])
def test_numbers_that_agree_become_one(average: int, number: float) -> None:
    asked = request(policy("a", "b", "c", "d", rule=Rule.CONSENSUS, quorum=4, tolerance=2.0, average=average))
    for model, answer in (("a", 4.0), ("b", 2.0), ("c", 2.0), ("d", 2.5)):
        asked.add(said(model, answer))
    assert answers_of(asked, asked.decide(NOW_US)) == [(0, Why.QUORUM, number)]


@pytest.mark.parametrize("average", [Average.MEDIAN, Average.MEAN])
def test_great_numbers_stay_finite(average: int) -> None:
    asked = request(policy("a", "b", rule=Rule.CONSENSUS, tolerance=1e300, average=average))
    for model in "ab":
        asked.add(said(model, 1.7e308))
    assert answers_of(asked, asked.decide(NOW_US)) == [(0, Why.QUORUM, 1.7e308)]
    apart = request(asked.policy)
    apart.add(said("a", 1.7e308))
    apart.add(said("b", -1.7e308))
    assert answers_of(apart, apart.decide(NOW_US)) == [(0, Why.NO_ANSWER, None)]


def test_the_surest_answer() -> None:
    asked = request(policy("a", "b", "c", rule=Rule.QUALITY, quality_by=QualityBy.CONFIDENCE))
    asked.add(said("b", "sure", confidence=np.array([0.9])))
    asked.add(said("a", "unsure", confidence=np.array([0.4])))
    assert not len(asked.decide(NOW_US).rows)
    asked.add(said("c", 5.0))
    assert answers_of(asked, asked.decide(NOW_US)) == [(0, Why.ALL_IN, "sure")]


def test_an_answer_that_none_can_exceed_is_enough() -> None:
    asked = request(policy("a", "b", rule=Rule.QUALITY, quality_by=QualityBy.CONFIDENCE))
    asked.add(said("a", "certain", confidence=np.array([1.0])))
    assert answers_of(asked, asked.decide(NOW_US)) == [(0, Why.BEST, "certain")]


def test_records_of_one_batch_are_decided_at_different_times() -> None:
    asked = request(policy("smart", "fast"), 3)
    asked.add(said("smart", 1.0, rows=[1]))
    assert answers_of(asked, asked.decide(NOW_US)) == [(1, Why.BEST, 1.0)]
    assert asked.add(said("fast", 2.0, 2.0, 2.0)).tolist() == [1]
    asked.add(said("smart", None, 3.0, rows=[0, 2]))
    assert answers_of(asked, asked.decide(NOW_US)) == [(0, Why.ALL_IN, 2.0), (2, Why.ALL_IN, 3.0)]
    assert asked.is_complete


def test_a_second_vote_is_passed_over() -> None:
    asked = request(policy("smart", "fast"))
    asked.add(said("fast", 1.0))
    assert not len(asked.add(said("fast", 9.0)))
    assert answers_of(asked, asked.decide(DEADLINE_US)) == [(0, Why.DEADLINE, 1.0)]


def test_a_vote_of_nobody() -> None:
    with pytest.raises(ValueError, match="not in"):
        request(policy("a")).add(said("z", 1.0))


def test_the_shadow_decides_nothing_and_is_not_waited_for() -> None:
    asked = request(policy("champion", challengers=("x", "y"), shadow=1.0))
    asked.add(said("x", "new"))
    asked.add(said("y", "other"))
    assert not len(asked.decide(NOW_US).rows)
    asked.add(said("champion", "old"))
    decided = asked.decide(NOW_US)
    assert answers_of(asked, decided) == [(0, Why.ALL_IN, "old")]
    assert asked.is_complete
    compared, agreed = asked.agreement(0, np.array([0]))
    assert (compared.tolist(), agreed.tolist()) == ([True], [False])


def test_the_canary_has_the_champions_place() -> None:
    stated = policy("champion", "second", challengers=("new",), canary=1.0)
    asked = request(stated)
    assert {model for model, _ in asked.outstanding()} == {"new", "second"}
    asked.add(said("second", 2.0))
    asked.add(said("new", 1.0))
    assert answers_of(asked, asked.decide(NOW_US)) == [(0, Why.ALL_IN, 1.0)]


def test_votes_as_objects() -> None:
    asked = request(policy("a", "b"), 2)
    asked.add(said("a", "x", None, confidence=np.array([0.5, np.nan]), taken_us=7, score_us=3))
    vote, failed, outstanding = asked.ballot.vote(0, 0), asked.ballot.vote(0, 1), asked.ballot.vote(1, 0)
    assert vote == Vote("a", "x", confidence=0.5, version=version("a"), taken_us=7, score_us=3)
    assert (failed.state, failed.answer, failed.version) == (VoteState.FAILED, None, version("a"))
    assert outstanding == Vote("b", state=VoteState.OUTSTANDING)


def test_reasons_of_failures_are_kept() -> None:
    asked = request(policy("a"), 4)
    failures = (RecordFailure(1, Reason.INVALID_VALUE, "too sour"),)
    asked.add(said("a", 1.0, None, rows=[3, 2], failures=failures))
    asked.add(no_votes("a", np.array([0], np.int32), VoteState.SHED, "full"))
    assert [asked.ballot.why_none(0, row) for row in (2, 0, 1)] == [
        (Reason.INVALID_VALUE, "too sour"),
        (Reason.REASON_UNSPECIFIED, "full"),
        (Reason.REASON_UNSPECIFIED, ""),
    ]

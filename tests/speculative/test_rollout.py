"""Rollout: what is counted of a challenger, over which window, and when it is promoted or rolled back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.speculative.agreement import matrix
from modelserving.speculative.policy import RolloutLimits
from modelserving.speculative.rollout import SLOTS, Counts, Window, count, judge
from modelserving.speculative.votes import ModelVotes, no_votes
from modelserving.wire.speculative_pb2 import RolloutAction, RolloutState, VoteState
from tests.speculative.cases import policy, request, said

WINDOW_MS = 60_000
SINCE_MS = 1_000_000
LATER_MS = SINCE_MS + WINDOW_MS


def limits(**fields: object) -> RolloutLimits:
    stated = {"errors": 0.1, "disagreement": 0.2, "latency_ms": 50.0, "promote": True, "roll_back": True, **fields}
    return RolloutLimits(WINDOW_MS, 100, **stated)  # type: ignore[arg-type]


GOOD = Counts(asked=1000, errors=100, slow=9, compared=500, disagreed=100)


@pytest.mark.parametrize(
    ("counts", "action", "told"),
    [
        (GOOD, RolloutAction.PROMOTE, "errors: 100 of 1000 records"),
        (GOOD + Counts(errors=1), RolloutAction.ROLL_BACK, "errors: 101 of 1000 records, more than the share 0.1"),
        (GOOD + Counts(disagreed=1), RolloutAction.ROLL_BACK, "disagreement: 101 of 500"),
        (GOOD + Counts(slow=2), RolloutAction.ROLL_BACK, "latency: 11 of 1000"),
        (Counts(asked=100, slow=100), RolloutAction.ROLL_BACK, "latency: 100 of 100"),
        (Counts(asked=99, errors=99), RolloutAction.NO_ACTION, ""),
        (Counts(asked=100, errors=11), RolloutAction.ROLL_BACK, "errors: 11 of 100"),
        (Counts(asked=1000, compared=99), RolloutAction.NO_ACTION, ""),
        (Counts(), RolloutAction.NO_ACTION, ""),
    ],
)
def test_the_verdict(counts: Counts, action: int, told: str) -> None:
    verdict = judge(limits(), counts, SINCE_MS, LATER_MS)
    assert verdict.action == action
    assert verdict.detail.startswith(told)


def test_no_promotion_before_a_whole_window_but_a_rollback_at_once() -> None:
    assert judge(limits(), GOOD, SINCE_MS, LATER_MS - 1).action == RolloutAction.NO_ACTION
    assert judge(limits(), GOOD + Counts(errors=1), SINCE_MS, SINCE_MS).action == RolloutAction.ROLL_BACK


def test_only_what_is_asked_for() -> None:
    assert judge(limits(promote=False), GOOD, SINCE_MS, LATER_MS).action == RolloutAction.NO_ACTION
    broken = judge(limits(roll_back=False), GOOD + Counts(errors=1), SINCE_MS, LATER_MS)
    assert broken.action == RolloutAction.NO_ACTION
    assert "errors" in broken.detail
    unlimited = limits(errors=None, disagreement=None, slow=0.5)
    assert judge(unlimited, Counts(500, 400, 10, 0, 0), SINCE_MS, LATER_MS).action == RolloutAction.PROMOTE


def test_the_window_rolls() -> None:
    window = Window(WINDOW_MS, SINCE_MS)
    window.add(Counts(asked=1), SINCE_MS)
    window.add(Counts(asked=2), SINCE_MS + WINDOW_MS // 2)
    assert window.total(SINCE_MS + WINDOW_MS // 2) == Counts(asked=3)
    assert window.total(SINCE_MS + WINDOW_MS + 2 * WINDOW_MS // SLOTS) == Counts(asked=2)
    assert window.total(SINCE_MS + 2 * WINDOW_MS) == Counts()


def test_since_when_there_are_counts() -> None:
    window = Window(WINDOW_MS, SINCE_MS)
    slot_ms = WINDOW_MS // SLOTS
    window.add(Counts(asked=1), SINCE_MS)
    assert window.counted_since_ms(LATER_MS) == SINCE_MS
    late_ms = SINCE_MS + 5 * WINDOW_MS
    window.add(Counts(asked=1), late_ms)
    assert late_ms - 2 * slot_ms < window.counted_since_ms(late_ms) <= late_ms


@given(st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 5)), max_size=40))
def test_a_window_holds_no_less_than_it_should_and_little_more(events: list[tuple[int, int]]) -> None:
    events.sort()
    window = Window(WINDOW_MS, 0)
    for at_ms, asked in events:
        window.add(Counts(asked=asked), at_ms)
        window = Window.decode(window.encode(), WINDOW_MS)
    now_ms = events[-1][0] if events else 0
    least = sum(asked for at_ms, asked in events if at_ms > now_ms - WINDOW_MS)
    most = sum(asked for at_ms, asked in events if at_ms > now_ms - WINDOW_MS - 2 * WINDOW_MS // SLOTS)
    assert least <= window.total(now_ms).asked <= most


def test_of_a_later_release() -> None:
    with pytest.raises(ValueError, match="later release"):
        Window.decode(RolloutState(schema=99).SerializeToString(), WINDOW_MS)


def test_what_a_request_tells() -> None:
    stated = policy("old", challengers=("new",), shadow=1.0, tolerance=0.5, limits=limits())
    asked = request(replace(stated, timeout_ms=100), 6)
    asked.add(said("old", 1.0, 1.0, 1.0, 1.0, None))
    asked.add(said("new", 1.5, 2.0, None, rows=[0, 1, 2], taken_us=50_000))
    asked.add(said("new", 1.0, 1.0, rows=[3, 4], taken_us=50_001))
    # Row 5 is outstanding on both sides; on row 4 the champion failed, and on row 2 the challenger.
    assert count(asked) == Counts(asked=6, errors=2, slow=3, compared=3, disagreed=1)


def test_answers_that_come_too_late_to_decide_are_errors() -> None:
    stated = policy("old", challengers=("new",), canary=1.0, limits=limits(latency_ms=None, disagreement=None))
    asked = request(stated, 3)
    asked.add(said("new", 1.0, 1.0, rows=[0, 1], taken_us=1000))
    asked.add(said("new", 1.0, rows=[2], taken_us=1000), in_time=False)
    assert count(asked) == Counts(asked=3, errors=1)


LATE = said("old", 1.0)
EXPIRED, FAILED = (
    no_votes("old", np.array([0], np.int32), state, "no answer") for state in (VoteState.EXPIRED, VoteState.FAILED)
)


@pytest.mark.parametrize(
    ("champion", "told"),
    [(LATE, Counts()), (EXPIRED, Counts()), (FAILED, Counts(asked=2, errors=2, slow=1))],
    ids=["late", "expired", "failed"],
)
def test_a_challenger_is_not_blamed_where_the_job_is_behind(champion: ModelVotes, told: Counts) -> None:
    stated = policy("old", challengers=("new",), canary=0.5, shadow=1.0, limits=limits())
    asked = request(stated, 2)
    asked.add(champion, in_time=False)
    asked.add(no_votes("new", np.array([0], np.int32), VoteState.EXPIRED, "no time"))
    asked.add(said("new", 1.0, rows=[1], taken_us=1_000), in_time=False)
    assert replace(count(asked), compared=0) == told


def test_a_challenger_that_is_gone_is_an_error_but_not_one_that_has_not_come_yet() -> None:
    window = Window(WINDOW_MS, SINCE_MS)
    window.add(Counts(missing=5), SINCE_MS)
    assert window.total(SINCE_MS) == Counts()
    window.add(Counts(asked=1), SINCE_MS)
    window.add(Counts(missing=5), SINCE_MS)
    assert window.total(SINCE_MS) == Counts(asked=6, errors=5)


def test_a_challenger_is_not_blamed_for_being_loaded() -> None:
    asked = request(policy("old", challengers=("new",), shadow=1.0, limits=limits()), 5)
    asked.add(said("old", 1.0, 1.0, 1.0, 1.0, 1.0))
    asked.add(no_votes("new", np.array([0], np.int32), VoteState.STILL_LOADING, "many wait"))
    asked.add(no_votes("new", np.array([1], np.int32), VoteState.NOT_LOADED, "it was being loaded"))
    asked.add(no_votes("new", np.array([2], np.int32), VoteState.SHED, "full"))
    asked.add(no_votes("new", np.array([3], np.int32), VoteState.NO_SUCH_MODEL, "publish one"))
    asked.add(said("new", 1.0, rows=[4]))
    assert count(asked) == Counts(asked=2, errors=1, slow=1, compared=1, missing=1)


def test_labels_and_numbers_differ_and_vectors_are_not_compared() -> None:
    asked = request(policy("old", challengers=("new",), shadow=1.0, limits=limits(latency_ms=None)), 3)
    asked.add(said("old", "a", "a", rows=[0, 1]))
    asked.add(said("old", (1.0,), rows=[2]))
    asked.add(said("new", 1.0, rows=[0]))
    asked.add(said("new", "a", rows=[1]))
    asked.add(said("new", (1.0,), rows=[2]))
    assert count(asked) == Counts(asked=3, compared=2, disagreed=1)


def test_without_a_challenger_nothing_is_counted() -> None:
    assert count(request(policy("a", "b"), 3)) == Counts()


def test_who_agrees_with_whom() -> None:
    asked = request(policy("a", "b", "c"), 3)
    asked.add(said("a", "x", "y", "z"))
    asked.add(said("b", "x", "x", None))
    asked.add(said("c", None, None, "z"))
    compared, agreed = matrix(asked.ballot, np.arange(3), 0.0)
    assert compared.tolist() == [[3, 2, 1], [2, 2, 0], [1, 0, 1]]
    assert agreed.tolist() == [[3, 1, 1], [1, 2, 0], [1, 0, 1]]

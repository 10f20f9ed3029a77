"""The watch over rollouts: what it asks for, when, once, and for which policy."""

from __future__ import annotations

import pytest

from modelserving.errors import ModelServingError
from modelserving.speculative.control import control_of
from modelserving.speculative.policy import RolloutLimits
from modelserving.speculative.rollout_watch import SCHEMA, Watched, watch
from modelserving.wire.serving_pb2 import EventKind
from modelserving.wire.speculative_pb2 import (
    RolloutAction,
    RolloutCounts,
    RolloutSample,
    RolloutWatch,
    SpeculativeControl,
)
from tests.speculative.cases import policy

LIMITS = RolloutLimits(1000, 100, errors=0.1, promote=True, roll_back=True)
NOW_MS = 5_000


def sample(asked: int = 100, errors: int = 0, offset: int = 7, limits: RolloutLimits | None = LIMITS) -> bytes:
    of = control_of(policy("smart", challengers=["odd"], shadow=1.0, limits=limits))
    return RolloutSample(
        schema=1, policy=of, policy_offset=offset, counts=RolloutCounts(asked=asked, errors=errors)
    ).SerializeToString()


def action(watched: Watched) -> RolloutAction:
    if watched.control is None:
        return RolloutAction.NO_ACTION
    assert watched.control.role == "speculative-control"
    ((key, value),) = watched.control.messages
    control = SpeculativeControl.FromString(value)
    assert (key, control.datatype, control.policy_offset) == (b"wine", "wine", 7)
    return control.action


def test_rolls_back_as_soon_as_a_limit_is_broken_and_once() -> None:
    first = watch(sample(50), None, NOW_MS)
    assert action(first) == RolloutAction.NO_ACTION
    broken = watch(sample(60, 30), first.state, NOW_MS + 1)
    assert action(broken) == RolloutAction.ROLL_BACK
    assert broken.event is not None
    assert (broken.event.kind, broken.event.model_name) == (EventKind.ROLLOUT_JUDGED, "smart")
    assert broken.event.detail.startswith("ROLL_BACK of odd: errors: 30 of 110 records")
    assert watch(sample(100, 100), broken.state, NOW_MS + 2) == Watched(None)


def test_promotes_when_limits_have_held_for_a_window() -> None:
    early = watch(sample(200), None, NOW_MS)
    assert action(early) == RolloutAction.NO_ACTION
    assert action(watch(sample(200), early.state, NOW_MS + 1000)) == RolloutAction.PROMOTE


def test_silence_is_no_evidence() -> None:
    state = watch(sample(200), None, NOW_MS).state
    later_ms = NOW_MS + 60_000
    for at_ms in (0, 100, 500, 900):
        watched = watch(sample(200), state, later_ms + at_ms)
        assert action(watched) == RolloutAction.NO_ACTION
        state = watched.state
    assert action(watch(sample(200), state, later_ms + 1000)) == RolloutAction.PROMOTE


def test_another_policy_begins_anew_and_one_before_counts_no_more() -> None:
    old = watch(sample(50, 20, offset=6), None, NOW_MS)
    new = watch(sample(60, 0, offset=7), old.state, NOW_MS)
    assert watch(sample(100, 100, offset=6), new.state, NOW_MS) == Watched(None)
    assert action(watch(sample(60, 5, offset=7), new.state, NOW_MS)) == RolloutAction.NO_ACTION
    assert action(watch(sample(60, 20, offset=7), new.state, NOW_MS)) == RolloutAction.ROLL_BACK


def test_without_limits_nothing_is_watched() -> None:
    assert watch(sample(limits=None), None, NOW_MS) == Watched(None)


def test_a_rollout_of_a_later_release_is_not_read() -> None:
    with pytest.raises(ModelServingError, match="later release"):
        watch(sample(), RolloutWatch(schema=SCHEMA + 1).SerializeToString(), NOW_MS)

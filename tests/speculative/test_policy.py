"""Policies and control messages: what is accepted, and what is told of what is not."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.errors import ConfigurationError
from modelserving.speculative.control import act, apply, control_of, policy_of, read_control
from modelserving.speculative.policy import MOST_MODELS, Policy, RolloutLimits
from modelserving.wire.speculative_pb2 import Average, QualityBy, RolloutAction, Rule, SpeculativeControl
from tests.speculative.cases import policies, policy

NAN, INFINITY = float("nan"), float("inf")


def test_the_message_that_existing_producers_send() -> None:
    encoded = b"\x0a\x04wine\x10\x64\x1a\x05smart\x1a\x04fast"  # fields 1 to 3, as any protobuf library writes them
    read = policy_of(read_control(encoded))
    assert read == Policy("wine", 100, ("smart", "fast"))
    assert (read.rule, read.default, read.challengers) == (Rule.TRUST, None, ())


@given(policies())
def test_a_policy_survives_its_message(stated: Policy) -> None:
    assert policy_of(SpeculativeControl.FromString(control_of(stated).SerializeToString())) == stated


def test_so_does_a_rollout() -> None:
    limits = RolloutLimits(60_000, 50, errors=0.0, latency_ms=20.0, slow=0.05, promote=True, roll_back=True)
    stated = policy("a", challengers=("b", "c"), shadow=0.5, canary=0.01, limits=limits, previous="z", default="")
    assert policy_of(control_of(stated)) == stated
    assert policy_of(control_of(policy("a", challengers=("b",), shadow=1.0, limits=RolloutLimits(1)))).limits == (
        RolloutLimits(1)
    )


def test_more_than_half_is_the_quorum() -> None:
    assert [policy(*"abcd"[:n], rule=Rule.CONSENSUS).needed for n in (1, 2, 3, 4)] == [1, 2, 2, 3]
    assert policy(*"abcd", rule=Rule.CONSENSUS, quorum=2).needed == 2


WRONG: dict[str, dict[str, Any]] = {
    "datatype: is empty": {"datatype": ""},
    "tmout: must be from 1 to 600000 ms, not 0": {"tmout": 0},
    "tmout: must be from 1 to 600000 ms, not -5": {"tmout": -5},
    "tmout: must be from 1 to 600000 ms, not 600001": {"tmout": 600_001},
    "datatype: a name has 201 characters; use at most 200": {"datatype": "w" * 201},
    "models: a name has 201 characters": {"models": ["a", "m" * 201]},
    "challengers: a name has 201 characters": {"challengers": ["m" * 201], "shadow": 1.0},
    "metric: a name has 201 characters": {"metric": "m" * 201},
    "decider: a name has 201 characters": {"decider": "d" * 201},
    "previous: a name has 201 characters": {"previous": "m" * 201},
    "default_label: has 10001 characters; use at most 10000": {"default_label": "l" * 10_001},
    "models: is empty; name at least one": {"models": []},
    "models: a name is empty": {"models": ["a", ""]},
    "models: 'a' is there twice": {"models": ["a", "b", "a"]},
    f"models: there are {MOST_MODELS + 1}; name at most {MOST_MODELS}": {
        "models": [str(number) for number in range(MOST_MODELS + 1)]
    },
    "rule: 9 is unknown; use one of TRUST, CONSENSUS, QUALITY, COMBINED": {"rule": 9},
    "quorum: 4 of 3 models can never agree; ask for 3 at most": {"rule": Rule.CONSENSUS, "quorum": 4},
    "quorum: must be from 0 to 3, not -1": {"rule": Rule.CONSENSUS, "quorum": -1},
    "quorum: is used by CONSENSUS and COMBINED alone; leave it out": {"quorum": 2},
    "tolerance: must be 0 or more, and finite, not -1.0": {"rule": Rule.CONSENSUS, "tolerance": -1},
    "tolerance: must be 0 or more, and finite, not nan": {"rule": Rule.CONSENSUS, "tolerance": NAN},
    "tolerance: must be 0 or more, and finite, not inf": {"rule": Rule.CONSENSUS, "tolerance": INFINITY},
    "average: 7 is unknown; use one of MEDIAN, MEAN": {"rule": Rule.CONSENSUS, "average": 7},
    "average: is used by CONSENSUS and COMBINED alone": {"average": Average.MEAN},
    "quality_by: 7 is unknown; use one of WEIGHT, METRIC, CONFIDENCE": {"rule": Rule.QUALITY, "quality_by": 7},
    "quality_by: is used by QUALITY alone": {"quality_by": QualityBy.METRIC},
    "weights: has 2 for 3 models; give one for each": {"rule": Rule.QUALITY, "weights": [1, 2]},
    "weights: has 0 for 3 models; give one for each": {"rule": Rule.QUALITY},
    "weights: one is not finite": {"rule": Rule.QUALITY, "weights": [1, NAN, 2]},
    "weights: is used by QUALITY by WEIGHT alone": {"weights": [1, 2, 3]},
    "metric: is empty": {"rule": Rule.QUALITY, "quality_by": QualityBy.METRIC},
    "metric: is used by QUALITY by METRIC alone": {"metric": "accuracy"},
    "default_number: must be finite, not nan": {"default_number": NAN},
    "decider: 'os:system' is none that this was started with .known:it, d+.": {"decider": "os:system"},
    "rule: is set beside decider": {"decider": "known:it", "rule": Rule.CONSENSUS},
    "shadow: must be from 0 to 1, not 1.5": {"challengers": ["x"], "shadow": 1.5},
    "canary: must be from 0 to 1, not nan": {"challengers": ["x"], "canary": NAN},
    "canary: is of no use without challengers": {"canary": 0.5},
    "shadow: is of no use without challengers": {"shadow": 0.5},
    "challengers: are never asked; set shadow or canary": {"challengers": ["x"]},
    "models: 'a' is there twice, or a challenger too": {"challengers": ["a"], "shadow": 1},
    "limits: are of no use without challengers": {"limits": {"window_ms": 1}},
    "limits.window_ms: must be more than 0, not 0": {"challengers": ["x"], "shadow": 1, "limits": {"errors": 0.5}},
    "limits.errors: must be from 0 to 1, not 2.0": {
        "challengers": ["x"],
        "shadow": 1,
        "limits": {"window_ms": 1, "errors": 2},
    },
    "limits.latency_ms: must be 0 or more, not -1.0": {
        "challengers": ["x"],
        "shadow": 1,
        "limits": {"window_ms": 1, "latency_ms": -1},
    },
    "limits: nothing is limited; set errors": {
        "challengers": ["x"],
        "shadow": 1,
        "limits": {"window_ms": 1, "promote": True},
    },
}


@pytest.mark.parametrize("told", WRONG)
def test_what_is_wrong_is_named_with_the_remedy(told: str) -> None:
    fields = {"datatype": "wine", "tmout": 50, "models": ["a", "b", "c"], **WRONG[told]}
    with pytest.raises(ConfigurationError, match=f"^{told}"):
        policy_of(SpeculativeControl(**fields), ["known:it", "d" * 201])


def test_no_message_at_all() -> None:
    with pytest.raises(ConfigurationError, match="not a SpeculativeControl message"):
        read_control(b"\xff\xff\xff")


@given(st.binary(max_size=60))
def test_whatever_comes_is_read_or_refused(encoded: bytes) -> None:
    with suppress(ConfigurationError):
        policy_of(read_control(encoded))


def control(action: int, **fields: object) -> SpeculativeControl:
    return SpeculativeControl(datatype="wine", action=action, **fields)  # type: ignore[arg-type]


ROLLOUT = policy("a", "b", challengers=("x", "y"), shadow=0.5, canary=0.1, limits=RolloutLimits(1000))


def test_a_promotion_and_back() -> None:
    promoted = apply(ROLLOUT, control(RolloutAction.PROMOTE))
    assert promoted == policy("x", "b", previous="a")
    assert apply(promoted, control(RolloutAction.ROLL_BACK)) == policy("a", "b")


def test_a_rollback_ends_the_rollout() -> None:
    assert apply(ROLLOUT, control(RolloutAction.ROLL_BACK)) == policy("a", "b")


def test_the_challenger_gets_the_champions_weight() -> None:
    stated = policy("a", "b", rule=Rule.QUALITY, weights=(2.0, 1.0), challengers=("x", "y"), canary=0.1)
    assert stated.ballot_models == ("x", "a", "b", "y")
    assert stated.ballot_weights == (2.0, 2.0, 1.0, 0.0)
    assert act(stated, RolloutAction.PROMOTE).weights == (2.0, 1.0)


def test_actions_of_no_use() -> None:
    for current, message, told in [
        (None, control(RolloutAction.PROMOTE), "has no policy yet"),
        (policy("a"), control(RolloutAction.PROMOTE), "no challenger to promote"),
        (policy("a"), control(RolloutAction.ROLL_BACK), "neither a rollout nor a promotion"),
        (ROLLOUT, control(RolloutAction.PROMOTE, tmout=5), "is set beside a policy"),
        (ROLLOUT, control(9), "9 is unknown; use one of NO_ACTION, PROMOTE, ROLL_BACK"),
    ]:
        with pytest.raises(ConfigurationError, match=f"^action: .*{told}"):
            apply(current, message)


def test_a_policy_replaces_the_one_before() -> None:
    assert apply(ROLLOUT, control_of(policy("z"))) == policy("z")

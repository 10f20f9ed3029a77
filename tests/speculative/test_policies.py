"""What the control stream says, message by message: policies, lanes, refusals, and the job's own actions."""

from __future__ import annotations

import pytest

from modelserving.errors import ModelServingError
from modelserving.speculative.policies import SCHEMA, Policies, Taken, data_type_of, decode, lanes_of
from modelserving.wire.serving_pb2 import EventKind
from modelserving.wire.speculative_pb2 import HeldPolicy, RolloutAction, Rule, SpeculativeControl

POLICIES = Policies(("wine", "beer"), lanes=2)


def control(*models: str, **fields: object) -> SpeculativeControl:
    return SpeculativeControl(datatype="wine", tmout=50, models=models, **fields)  # type: ignore[arg-type]


def take_in(before: HeldPolicy | None, message: SpeculativeControl | bytes | None, offset: int = 7) -> Taken:
    encoded = message.SerializeToString() if isinstance(message, SpeculativeControl) else message
    return POLICIES.take_in(before, encoded, offset)


def holds(message: SpeculativeControl, before: HeldPolicy | None = None, offset: int = 7) -> HeldPolicy:
    state = take_in(before, message, offset).state
    assert state is not None
    return state


def test_a_policy_holds_with_its_offset_and_lanes() -> None:
    taken = take_in(None, control("smart", "fast", "odd"))
    assert taken.state is not None
    assert (taken.data_type, taken.kind, taken.state.offset) == ("wine", EventKind.POLICY_CHANGED, 7)
    assert taken.detail == "TRUST of smart, fast, odd within 50 ms"
    assert dict(taken.state.lanes) == {"smart": 0, "fast": 1, "odd": 0}
    holding = POLICIES.holding(decode(taken.state.SerializeToString()))
    assert (holding.policy.models, holding.offset) == (("smart", "fast", "odd"), 7)
    assert holding.lanes == {"smart": 0, "fast": 1, "odd": 0}


def test_a_model_stays_in_its_lane() -> None:
    first = holds(control("smart", "fast"))
    second = holds(control("fast", "odd", "smart"), first)
    assert dict(second.lanes) == {"fast": 1, "odd": 0, "smart": 0}
    promoted = holds(control("fast", "smart", challengers=["even"], shadow=0.5), first)
    assert dict(promoted.lanes) == {"even": 0, "fast": 1, "smart": 0}


def test_the_champion_before_a_promotion_stays_loaded_to_come_back() -> None:
    rollout = holds(control("smart", "fast", challengers=["even"], shadow=0.5))
    promoted = holds(SpeculativeControl(datatype="wine", action=RolloutAction.PROMOTE), rollout, 8)
    assert promoted.policy.previous == "smart"
    assert dict(promoted.lanes) == dict(rollout.lanes)
    assert POLICIES.holding(promoted).lanes == dict(rollout.lanes)
    assert "smart" not in POLICIES.holding(promoted).policy.ballot_models
    back = holds(SpeculativeControl(datatype="wine", action=RolloutAction.ROLL_BACK), promoted, 9)
    assert set(back.lanes) == {"smart", "fast"}


def test_lanes_that_are_there_no_more_are_left() -> None:
    before = {"a": 0, "b": 1, "c": 2, "d": 3}
    assert lanes_of(["a", "b", "c", "d"], before, 2) == {"a": 0, "b": 1, "c": 0, "d": 1}
    assert lanes_of(["a", "b", "c"], before, 5) == {"a": 0, "b": 1, "c": 2}
    state = holds(control("smart", "fast", "odd"))
    assert set(Policies(("wine",), 1).holding(state).lanes.values()) == {0}


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"\xff\xff", "not a SpeculativeControl message"),
        (None, "datatype: '' is not configured; the job knows wine, beer"),
        (SpeculativeControl(datatype="cider", tmout=5, models=["a"]), "datatype: 'cider' is not configured"),
        (control(), "models: is empty"),
        (control("a", decider="os:remove"), "decider: 'os:remove' is none that this was started with"),
        (SpeculativeControl(datatype="wine", action=RolloutAction.PROMOTE), "there is no challenger to promote"),
    ],
    ids=["noise", "tombstone", "data type", "no models", "decider", "nothing to promote"],
)
def test_a_message_that_is_wrong_changes_nothing(message: SpeculativeControl | bytes | None, said: str) -> None:
    taken = take_in(holds(control("smart", "fast")), message)
    assert (taken.state, taken.kind) == (None, EventKind.POLICY_REFUSED)
    assert said in taken.detail
    event = taken.event("control", 9, 1000, 2000)
    assert event is not None
    assert (event.position.topic, event.position.offset, event.at_ms) == ("control", 9, 2000)
    assert said in event.detail


def test_what_is_told_of_a_message_is_short() -> None:
    event = take_in(None, SpeculativeControl(datatype="w" * 5_000_000)).event("control", 9, 1000, 2000)
    assert event is not None
    assert event.ByteSize() < 1000


@pytest.mark.parametrize(
    ("action", "kind", "models"),
    [
        (RolloutAction.PROMOTE, EventKind.PROMOTED, ["new", "fast"]),
        (RolloutAction.ROLL_BACK, EventKind.ROLLED_BACK, ["smart", "fast"]),
    ],
)
def test_an_action_of_the_job_is_for_one_policy_alone(
    action: RolloutAction, kind: EventKind, models: list[str]
) -> None:
    first = holds(control("smart", "fast", challengers=["new"], shadow=0.5), offset=7)
    asked = SpeculativeControl(datatype="wine", action=action, policy_offset=7)
    taken = take_in(first, asked, 8)
    assert taken.state is not None
    assert (taken.kind, list(taken.state.policy.models)) == (kind, models)
    for state in (taken.state, holds(control("a", challengers=["b"], shadow=1), first, 8), None):
        again = take_in(state, asked, 9)
        assert again == Taken("wine")
        assert again.event("control", 9, 0, 0) is None


def test_a_policy_whose_decider_is_there_no_more_gives_way_to_another() -> None:
    gone = HeldPolicy(schema=SCHEMA, offset=3, policy=control("a", decider="own:gone"))
    taken = take_in(gone, control("smart"))
    assert taken.state is not None
    assert list(taken.state.policy.models) == ["smart"]
    refused = take_in(gone, SpeculativeControl(datatype="wine", action=RolloutAction.PROMOTE))
    assert (refused.kind, refused.detail[:19]) == (EventKind.POLICY_REFUSED, "decider: 'own:gone'")


def test_data_type_of() -> None:
    assert data_type_of(control("a").SerializeToString()) == "wine"
    assert data_type_of(b"\xff\xff") == data_type_of(None) == ""


def test_a_policy_of_a_later_release_is_not_read() -> None:
    later = HeldPolicy(schema=SCHEMA + 1, policy=control("a", rule=Rule.TRUST))
    with pytest.raises(ModelServingError, match="newer release"):
        decode(later.SerializeToString())

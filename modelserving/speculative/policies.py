"""The policies of a job: what the control stream says of each data type, message by message.

The state of a data type is a small `HeldPolicy` message that the caller keeps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from modelserving.errors import ConfigurationError, ModelServingError
from modelserving.events import LONGEST_DETAIL
from modelserving.speculative.control import apply, control_of, policy_of, read_control
from modelserving.speculative.deciders import Decider
from modelserving.speculative.policy import LONGEST_NAME, Policy
from modelserving.wire.serving_pb2 import EventKind, LogPosition, ModelEvent
from modelserving.wire.speculative_pb2 import HeldPolicy, RolloutAction, Rule, SpeculativeControl

SCHEMA = 1
POLICIES = "policies"
"""The instance that events of policies name."""

_KINDS = {
    RolloutAction.NO_ACTION: EventKind.POLICY_CHANGED,
    RolloutAction.PROMOTE: EventKind.PROMOTED,
    RolloutAction.ROLL_BACK: EventKind.ROLLED_BACK,
}


@dataclass(frozen=True, slots=True)
class Holding:
    """A policy that holds, ready to start requests by."""

    policy: Policy
    offset: int
    """Of the control message that it is of, on the control stream."""
    lanes: Mapping[str, int]
    """By model, the number of its lane, from 0."""
    decider: Decider | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a control message."""

    data_type: str
    """Empty if the message does not say."""
    state: HeldPolicy | None = None
    """What holds from now on; None: what held before."""
    kind: EventKind = EventKind.EVENT_UNSPECIFIED
    """EVENT_UNSPECIFIED: there is nothing to tell."""
    detail: str = ""

    def event(self, topic: str, offset: int, timestamp_ms: int, at_ms: int) -> ModelEvent | None:
        """What is to be told of it, if anything; times in epoch milliseconds."""
        if self.kind == EventKind.EVENT_UNSPECIFIED:
            return None
        champion = self.state.policy.models[0] if self.state is not None else ""
        return ModelEvent(
            kind=self.kind,
            data_type=self.data_type[:LONGEST_NAME],
            model_name=champion,
            at_ms=at_ms,
            instance=POLICIES,
            detail=self.detail[:LONGEST_DETAIL].encode("utf-8", "replace").decode("utf-8"),
            position=LogPosition(topic=topic, offset=offset, timestamp_ms=timestamp_ms),
        )


@dataclass(frozen=True, slots=True)
class Policies:
    """What a job takes policies in by."""

    data_types: Sequence[str]
    """That records may be of."""
    lanes: int
    """Their number."""
    deciders: Mapping[str, Decider] = field(default_factory=dict)
    """By import path, those that a policy may name."""

    def take_in(self, before: HeldPolicy | None, message: bytes | None, offset: int) -> Taken:
        """What follows from one message of the control stream.

        Args:
            before: what holds for the message's data type until then.
            message: of a data type by `data_type_of`.
            offset: of the message on the control stream.
        """
        control = SpeculativeControl()
        try:
            control = read_control(message or b"")
            policy = self._after(before, control)
        except ConfigurationError as error:
            return Taken(control.datatype, kind=EventKind.POLICY_REFUSED, detail=str(error))
        if policy is None:
            return Taken(control.datatype)
        state = HeldPolicy(schema=SCHEMA, offset=offset, policy=control_of(policy))
        known = {} if before is None else dict(before.lanes)
        state.lanes.update(lanes_of(policy.kept_models, known, self.lanes))
        return Taken(control.datatype, state, _KINDS[control.action], _words(policy))

    def holding(self, state: HeldPolicy) -> Holding:
        """A state, ready to use.

        Raises:
            ConfigurationError: it names a decider that is not there.
        """
        policy = policy_of(state.policy, self.deciders)
        lanes = lanes_of(policy.kept_models, state.lanes, self.lanes)
        return Holding(policy, state.offset, lanes, self.deciders.get(policy.decider))

    def _after(self, before: HeldPolicy | None, control: SpeculativeControl) -> Policy | None:
        """The policy that holds then; None: the same as before, and that is as it should be."""
        if control.datatype not in self.data_types:
            known = ", ".join(self.data_types)
            raise ConfigurationError(f"datatype: {control.datatype!r} is not configured; the job knows {known}")
        if control.HasField("policy_offset"):
            if before is None or before.offset != control.policy_offset:
                return None  # asked for once more, or by now of another policy
            control.ClearField("policy_offset")
        # What held may be of a job that was started with more deciders: it must not keep another policy out.
        is_action = control.action != RolloutAction.NO_ACTION
        current = policy_of(before.policy, self.deciders) if before is not None and is_action else None
        return apply(current, control, self.deciders)


def unusable(data_type: str, error: ConfigurationError) -> Taken:
    """What is to be told of a state that `Policies.holding` refuses: it may be of a job that was started with more."""
    return Taken(data_type, kind=EventKind.POLICY_REFUSED, detail=f"the policy that held is of no use now: {error}")


def data_type_of(message: bytes | None) -> str:
    """The data type that a message of the control stream is for; empty if it does not say."""
    try:
        return read_control(message or b"").datatype
    except ConfigurationError:
        return ""


def decode(encoded: bytes) -> HeldPolicy:
    """A state.

    Raises:
        ModelServingError: a later release wrote it.
    """
    state = HeldPolicy.FromString(encoded)
    if state.schema > SCHEMA:
        raise ModelServingError(
            f"the policy has schema {state.schema}, this release knows {SCHEMA}; restore it with a newer release"
        )
    return state


def lanes_of(models: Sequence[str], before: Mapping[str, int], lanes: int) -> dict[str, int]:
    """Which lane each model runs in: a model stays where it is; a new one comes to the lane with the fewest.

    So models of a first policy are dealt out in their order, and a later policy has none loaded anew that stays.

    Args:
        models: those of the policy, in the order of its ballot.
        before: by model, what held until now.
        lanes: their number.
    """
    found = {model: before[model] for model in models if before.get(model, lanes) < lanes}
    for model in models:
        if model not in found:
            in_lane = Counter(found.values())
            found[model] = min(range(lanes), key=lambda lane: (in_lane[lane], lane))
    return found


def _words(policy: Policy) -> str:
    how = policy.decider or Rule.Name(policy.rule)
    said = f"{how} of {', '.join(policy.models)} within {policy.timeout_ms} ms"
    if policy.challengers:
        said += f"; challengers {', '.join(policy.challengers)}: shadow {policy.shadow:g}, canary {policy.canary:g}"
    return said

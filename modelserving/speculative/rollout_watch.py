"""The watch over rollouts: counts of the first challenger, and what the job itself asks for by them.

A promotion or a rollback is asked for by a control message like any other, which names the policy that it is meant for.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelserving.errors import ModelServingError
from modelserving.outgoing import Outgoing
from modelserving.speculative.control import policy_of
from modelserving.speculative.rollout import Window, counts_of, judge
from modelserving.wire.serving_pb2 import EventKind, ModelEvent
from modelserving.wire.speculative_pb2 import RolloutAction, RolloutSample, SpeculativeControl
from modelserving.wire.speculative_pb2 import RolloutWatch as WatchState

SCHEMA = 1
WATCH = "rollout"
"""The instance that events of it name."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What came of a sample."""

    state: bytes | None
    """To be kept of the data type; None: as before."""
    control: Outgoing | None = None
    """The message that asks for a promotion or rollback."""
    event: ModelEvent | None = None


def watch(encoded: bytes, kept: bytes | None, now_ms: int) -> Watched:
    """Take in what a request tells, an encoded `RolloutSample`.

    Args:
        encoded: the sample.
        kept: what was to be kept of its data type.
        now_ms: epoch milliseconds.

    Raises:
        ModelServingError: what is kept is of a later release.
    """
    sample = RolloutSample.FromString(encoded)
    policy = policy_of(sample.policy, [sample.policy.decider])
    if policy.limits is None:
        return Watched(None)
    state = WatchState() if kept is None else WatchState.FromString(kept)
    if state.schema > SCHEMA:
        raise ModelServingError(f"a rollout of schema {state.schema} was written by a later release than this")
    if kept is not None and sample.policy_offset < state.policy_offset:
        return Watched(None)  # of a policy before
    if kept is None or sample.policy_offset > state.policy_offset:
        state = WatchState(schema=SCHEMA, policy_offset=sample.policy_offset)
        window = Window(policy.limits.window_ms, now_ms)
    elif state.judged:
        return Watched(None)
    else:
        window = Window.decode(state.window.SerializeToString(), policy.limits.window_ms)
    window.add(counts_of(sample.counts), now_ms)
    verdict = judge(policy.limits, window.total(now_ms), window.counted_since_ms(now_ms), now_ms)
    state.window.ParseFromString(window.encode())
    if verdict.action == RolloutAction.NO_ACTION:
        return Watched(state.SerializeToString())
    state.judged = True
    control = SpeculativeControl(
        datatype=policy.data_type, action=verdict.action, policy_offset=sample.policy_offset
    ).SerializeToString()
    event = ModelEvent(
        kind=EventKind.ROLLOUT_JUDGED,
        data_type=policy.data_type,
        model_name=policy.models[0],
        at_ms=now_ms,
        instance=WATCH,
        detail=f"{RolloutAction.Name(verdict.action)} of {policy.challengers[0]}: {verdict.detail}",
    )
    told = Outgoing.of("speculative-control", [policy.data_type.encode()], [control])
    return Watched(state.SerializeToString(), told, event)

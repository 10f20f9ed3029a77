"""Control messages: what the control stream says of a policy, checked and read into one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from google.protobuf.message import DecodeError

from modelserving.errors import ConfigurationError
from modelserving.speculative.policy import Policy, RolloutLimits
from modelserving.wire import speculative_pb2 as wire
from modelserving.wire.speculative_pb2 import RolloutAction, SpeculativeControl


def read_control(encoded: bytes) -> SpeculativeControl:
    """The message of the control stream in `encoded`; what it says is yet to be checked.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        return SpeculativeControl.FromString(encoded)
    except DecodeError as error:
        raise ConfigurationError(f"not a SpeculativeControl message: {error}; see proto/speculative.proto") from error


def policy_of(control: SpeculativeControl, deciders: Collection[str] = ()) -> Policy:
    """The policy that a message states.

    Args:
        control: with no action.
        deciders: import paths that the message may name: it comes from a topic, and must not have any code imported.

    Raises:
        ConfigurationError: a field is wrong; the message names it and the remedy.
    """
    if control.decider and control.decider not in deciders:
        known = ", ".join(deciders) or "none"
        raise ConfigurationError(
            f"decider: {control.decider!r} is none that this was started with ({known}); start it with that one too"
        )
    default = control.WhichOneof("default")
    return Policy(
        data_type=control.datatype,
        timeout_ms=control.tmout,
        models=tuple(control.models),
        rule=control.rule,
        quorum=control.quorum,
        tolerance=control.tolerance,
        average=control.average,
        quality_by=control.quality_by,
        weights=tuple(control.weights),
        metric=control.metric,
        default=getattr(control, default) if default else None,
        decider=control.decider,
        challengers=tuple(control.challengers),
        shadow=control.shadow,
        canary=control.canary,
        limits=_limits_of(control.limits) if control.HasField("limits") else None,
        previous=control.previous,
    )


def control_of(policy: Policy) -> SpeculativeControl:
    """The message that states a policy: what `policy_of` makes `policy` of."""
    limits = None
    if policy.limits is not None:
        names = [field.name for field in wire.RolloutLimits.DESCRIPTOR.fields]
        limits = wire.RolloutLimits(**{name: getattr(policy.limits, name) for name in names})
    default = policy.default
    return SpeculativeControl(
        datatype=policy.data_type,
        tmout=policy.timeout_ms,
        models=policy.models,
        rule=policy.rule,
        quorum=policy.quorum,
        tolerance=policy.tolerance,
        average=policy.average,
        quality_by=policy.quality_by,
        weights=policy.weights,
        metric=policy.metric,
        default_number=None if isinstance(default, str) else default,
        default_label=default if isinstance(default, str) else None,
        decider=policy.decider,
        challengers=policy.challengers,
        shadow=policy.shadow,
        canary=policy.canary,
        limits=limits,
        previous=policy.previous,
    )


def apply(current: Policy | None, control: SpeculativeControl, deciders: Collection[str] = ()) -> Policy:
    """The policy that holds after a message of its data type.

    Args:
        current: the one that holds until then, if there is one.
        control: states another one, or an action on it.
        deciders: as for `policy_of`.

    Raises:
        ConfigurationError: the message is wrong, or its action is of no use now; `current` goes on to hold.
    """
    if control.action == RolloutAction.NO_ACTION:
        return policy_of(control, deciders)
    if control.action not in (RolloutAction.PROMOTE, RolloutAction.ROLL_BACK):
        known = ", ".join(RolloutAction.keys())
        raise ConfigurationError(f"action: {control.action} is unknown; use one of {known}")
    alone = SpeculativeControl(datatype=control.datatype, action=control.action)
    if control != alone:
        raise ConfigurationError("action: is set beside a policy; send datatype and action alone, or leave it out")
    if current is None:
        raise ConfigurationError(f"action: data type {control.datatype!r} has no policy yet; send one first")
    return act(current, control.action)


def act(policy: Policy, action: RolloutAction) -> Policy:
    """The policy after a promotion or a rollback; with it the rollout is over, and nothing is asked in the shadow.

    Raises:
        ConfigurationError: there is nothing to promote, or to roll back.
    """
    champion, *others = policy.models
    promoted = action == RolloutAction.PROMOTE
    if promoted and not policy.challengers:
        raise ConfigurationError("action: there is no challenger to promote; send a policy with one")
    if promoted:
        champion, previous = policy.challengers[0], champion
    elif policy.challengers:
        previous = policy.previous
    elif policy.previous:
        champion, previous = policy.previous, ""
    else:
        raise ConfigurationError("action: there is neither a rollout nor a promotion to roll back; send a policy")
    models = (champion, *others)
    return replace(policy, models=models, challengers=(), shadow=0.0, canary=0.0, limits=None, previous=previous)


def _limits_of(limits: wire.RolloutLimits) -> RolloutLimits:
    stated = {field.name: value for field, value in limits.ListFields()}
    return RolloutLimits(**{"window_ms": limits.window_ms, **stated})

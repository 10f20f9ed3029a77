"""The versions of a data type's models, as pure functions of admission's state: which serves, conflicts, retires.

The last message wins: the newest admitted version serves, until a newer one or its retirement. A version with a later
activation time waits in `scheduled`; a message that is to serve before it puts it out of the plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, MutableSequence

from modelserving.errors import ModelRejected, ModelServingError
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import LogPosition, Reason
from modelserving.wire.state_pb2 import AdmissionState, KnownVersion, Retirement

STATE_SCHEMA = 2
MAX_VERSIONS = 256
"""Versions of a data type that are remembered, newest first: to tell a conflict, and what serves after a retirement."""


def known_version(complete: ModelDescriptor, position: LogPosition) -> KnownVersion:
    """What is remembered of a complete descriptor at its place on the model log."""
    return KnownVersion(
        offset=position.offset,
        name=complete.name,
        version=complete.version,
        sha256=complete.sha256,
        fingerprint=_fingerprint(complete),
        activation_ms=complete.activation_ms or position.timestamp_ms,
    )


def _fingerprint(complete: ModelDescriptor) -> str:
    """A digest of what makes two descriptors the same: all but the bytes, which sha256 stands for.

    Not when it was made: publishing the same model again is no new model.
    """
    settled = ModelDescriptor()
    settled.CopyFrom(complete)
    settled.ClearField("model")
    settled.ClearField("created_at_ms")
    return hashlib.sha256(settled.SerializeToString(deterministic=True)).hexdigest()


def decode(encoded: bytes | None) -> AdmissionState:
    """The state of a data type, in its own schema; an empty one if there is none.

    Raises:
        ModelServingError: a later release wrote it.
    """
    state = AdmissionState() if encoded is None else AdmissionState.FromString(encoded)
    if state.schema > STATE_SCHEMA:
        raise ModelServingError(
            f"the state has schema {state.schema}, this release knows {STATE_SCHEMA}; restore it with a newer release"
        )
    return state


def upgrade(state: AdmissionState) -> None:
    """Bring a state that an earlier release wrote to today's schema, in place."""
    if state.schema == 1 and state.HasField("serving"):
        position = LogPosition(offset=state.applied_offset, timestamp_ms=0)
        state.versions.append(known_version(state.serving, position))
        state.ClearField("serving")
    if state.schema < STATE_SCHEMA:
        state.last_good_offset = -1
    state.schema = STATE_SCHEMA


def serving(state: AdmissionState) -> KnownVersion | None:
    """The version that serves now."""
    return next((version for version in reversed(state.versions) if not version.retired), None)


def repeats(state: AdmissionState, version: KnownVersion) -> bool:
    """Whether the newest descriptor, the scheduled or else the serving one, is sent again; if so it is as of now."""
    newest = state.scheduled[-1] if state.scheduled else serving(state)
    if newest is None or newest.fingerprint != version.fingerprint:
        return False
    newest.activation_ms = version.activation_ms
    return True


def conflicting(state: AdmissionState, version: KnownVersion, *, activation_ms: int) -> KnownVersion | None:
    """The version that `version` is in conflict with: the same with other bytes, or one that serves from later on.

    Args:
        activation_ms: of `version`, as its descriptor says it; 0 if it does not.
    """
    for known in (*state.versions, *state.scheduled):
        if _same(known, version) and known.sha256 != version.sha256:
            return known
    now_serving = serving(state)
    if now_serving is not None and 0 < activation_ms < now_serving.activation_ms:
        return now_serving
    return None


def check_conflict(state: AdmissionState, version: KnownVersion, *, activation_ms: int) -> None:
    """Refuse what would rewrite history; see `conflicting`.

    Raises:
        ModelRejected: CONFLICT.
    """
    known = conflicting(state, version, activation_ms=activation_ms)
    if known is None:
        return
    if _same(known, version) and known.sha256 != version.sha256:
        raise ModelRejected(
            Reason.CONFLICT,
            f"version {version.version!r} of {version.name!r} is known with sha256 {known.sha256}, not "
            f"{version.sha256}: give the new model a version of its own",
        )
    raise ModelRejected(
        Reason.CONFLICT,
        f"activation time {activation_ms} is before {known.activation_ms}, from which on version "
        f"{known.version!r} of {known.name!r} serves: give a later one, or none",
    )


def schedule(state: AdmissionState, version: KnownVersion) -> list[KnownVersion]:
    """Plan an admitted version for its activation time; the scheduled ones that it puts out of the plan."""
    dropped = _take_out(state.scheduled, lambda known: known.activation_ms >= version.activation_ms)
    state.scheduled.append(version)
    return dropped


def activate(state: AdmissionState, version: KnownVersion) -> list[KnownVersion]:
    """Have an admitted version serve from now on; the scheduled ones that it puts out of the plan."""
    replaced = serving(state)
    state.last_good_offset = -1 if replaced is None else replaced.offset
    _take_out(state.versions, lambda known: _same(known, version))
    state.versions.append(version)
    del state.versions[:-MAX_VERSIONS]
    return _take_out(state.scheduled, lambda known: known.offset < version.offset)


def due(state: AdmissionState, now_ms: int) -> KnownVersion | None:
    """The first scheduled version whose time has come; `state` then has it in the plan no more."""
    if not state.scheduled or state.scheduled[0].activation_ms > now_ms:
        return None
    first = KnownVersion()
    first.CopyFrom(state.scheduled[0])
    del state.scheduled[0]
    return first


def retire(state: AdmissionState, name: str, version: str) -> bool:
    """Take a version of `name` (all, if `version` is empty) out of service and of the plan; False: none is there."""
    retirement = Retirement(name=name, version=version)
    hit = [known for known in state.versions if is_retired(known, retirement) and not known.retired]
    for known in hit:
        known.retired = True
        if known.offset == state.last_good_offset:
            state.last_good_offset = -1
    planned = _take_out(state.scheduled, lambda known: is_retired(known, retirement))
    return bool(hit or planned)


def postpone(state: AdmissionState, offsets: Collection[int], behind: int) -> None:
    """Bring the versions at these offsets, which could not be had when their turn came, back behind that at `behind`.

    The store of one may be back when the next successor is looked for.
    """
    absent = _take_out(state.versions, lambda known: known.offset in offsets)
    for known in absent:
        known.retired = False
    others = _take_out(state.versions, lambda _: True)
    place = next(index for index, known in enumerate(others) if known.offset == behind)
    state.versions.extend([*others[:place], *absent, *others[place:]])


def is_retired(version: KnownVersion | ModelDescriptor, retirement: Retirement) -> bool:
    """Whether `retirement` speaks of `version`."""
    return version.name == retirement.name and retirement.version in ("", version.version)


def _same(one: KnownVersion, other: KnownVersion) -> bool:
    return (one.name, one.version) == (other.name, other.version)


def _take_out(field: MutableSequence[KnownVersion], condition: Callable[[KnownVersion], bool]) -> list[KnownVersion]:
    """Take the versions that meet `condition` out of a repeated field; copies of them, in order."""
    taken = [KnownVersion.FromString(known.SerializeToString()) for known in field if condition(known)]
    for index in reversed(range(len(field))):
        if condition(field[index]):
            del field[index]
    return taken

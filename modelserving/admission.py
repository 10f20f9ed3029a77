"""Admission: the one judge of the model log. Each model is fetched, checked and tried once, for all instances.

The judge is free of Flink. Its state for a data type is a small `AdmissionState` message that the caller keeps; what
takes long (fetching, loading, probing) is the gate's, so that the caller can judge in a background thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from modelserving import descriptors, versions
from modelserving.data_types import DataTypes
from modelserving.errors import ModelRejected
from modelserving.events import ADMISSION, LONGEST_DETAIL, model_event
from modelserving.rejections import encode_rejected
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import EventKind, LogPosition, ModelEvent, Reason
from modelserving.wire.state_pb2 import AdmissionState, AdmittedModel, Decision, Engine, KnownVersion, Retirement

DECISION_SCHEMA = 2


class Gate(Protocol):
    """Where a model is fetched and tried, such that it can do no harm; `sandbox.Sandbox` is one."""

    def fetch(self, descriptor: ModelDescriptor) -> ModelDescriptor:
        """The complete descriptor. Raises `ModelRejected`."""
        ...

    def check(self, complete: ModelDescriptor) -> Engine:
        """Load and probe the model; what evaluates it. Raises `ModelRejected` if it must not serve."""
        ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What admission says of one message of the model log, or of the hour."""

    decision: Decision | None = None
    """For the joins."""
    scheduled: AdmittedModel | None = None
    """To be kept by its offset until `Admission.activate` asks for it."""
    rejected: bytes | None = None
    """An encoded `Rejected`."""
    reason: Reason = Reason.REASON_UNSPECIFIED
    """Of the rejection."""
    events: tuple[ModelEvent, ...] = ()


@dataclass(frozen=True, slots=True)
class Admission:
    """Judges models and retirements for the data types of a job."""

    data_types: DataTypes
    gate: Gate
    reread: Callable[[int], bytes | None]
    """The message at an offset of the model log, None if it is gone: how a version that no join keeps serves again."""
    clock_ms: Callable[[], int]
    """Epoch milliseconds."""

    def admit(self, descriptor: ModelDescriptor, offset: int) -> AdmittedModel:
        """The model of a parsed descriptor at its offset on the log, if it passes the checks that need no history.

        Raises:
            ModelRejected: its data type is not configured, its bytes cannot be had, or it does not pass the gate.
        """
        complete = self.complete(descriptor)
        return AdmittedModel(offset=offset, descriptor=complete, engine=self.gate.check(complete))

    def complete(self, descriptor: ModelDescriptor) -> ModelDescriptor:
        """The parsed descriptor with its model's bytes, sha256 and version.

        Raises:
            ModelRejected: its data type is not configured, or its bytes cannot be had.
        """
        self._check_data_type(descriptor)
        if descriptor.WhichOneof("model") == "location":
            return self.gate.fetch(descriptor)
        return descriptors.complete(descriptor, descriptors.ModelSources())

    def judge(self, message: bytes | None, position: LogPosition, state: AdmissionState) -> Verdict:
        """Judge one message; `state` of its data type is updated in place. May take as long as the gate's limits."""
        versions.upgrade(state)
        state.applied_offset = position.offset
        descriptor = ModelDescriptor()
        try:
            descriptor = descriptors.parse(message)
            if descriptor.retire:
                self._check_data_type(descriptor)
                return self._retire(descriptor, position, state)
            descriptor = self.complete(descriptor)
            version = versions.known_version(descriptor, position)
            if versions.repeats(state, version):
                state.no_ops += 1
                return Verdict()
            versions.check_conflict(state, version, activation_ms=descriptor.activation_ms)
            engine = self.gate.check(descriptor)
        except ModelRejected as fault:
            return self._reject(fault, message, descriptor, position)
        admitted = AdmittedModel(offset=position.offset, descriptor=descriptor, engine=engine)
        if version.activation_ms > self.clock_ms() and descriptor.activation_ms:
            dropped = versions.schedule(state, version)
            events = (
                self._event(EventKind.SCHEDULED, descriptor, position),
                *self._dropped(dropped, descriptor, position),
            )
            return Verdict(scheduled=admitted, events=events)
        return self._serve(admitted, version, position, state)

    def activate(self, state: AdmissionState, scheduled: Callable[[int], AdmittedModel], topic: str) -> Verdict | None:
        """Have the next scheduled version serve whose time has come; None if there is none. `state` is updated."""
        version = versions.due(state, self.clock_ms())
        if version is None:
            return None
        admitted = scheduled(version.offset)
        # What was judged since lies behind this decision: the joins must not take it for an old one.
        position = LogPosition(topic=topic, offset=state.applied_offset)
        return self._serve(admitted, version, position, state)

    def received(self, message: bytes | None, position: LogPosition) -> ModelEvent | None:
        """The event that a message arrived; None if it says not for what."""
        try:
            return self._event(EventKind.RECEIVED, descriptors.parse(message), position)
        except ModelRejected:
            return None

    def _check_data_type(self, descriptor: ModelDescriptor) -> None:
        if self.data_types.get(descriptor.dataType) is None:
            known = ", ".join(self.data_types.names)
            raise ModelRejected(
                Reason.UNKNOWN_DATA_TYPE,
                f"data type {descriptor.dataType!r} is not configured; the job knows {known}",
            )

    def _serve(
        self, admitted: AdmittedModel, version: KnownVersion, position: LogPosition, state: AdmissionState
    ) -> Verdict:
        dropped = versions.activate(state, version)
        descriptor = admitted.descriptor
        decision = Decision(
            schema=DECISION_SCHEMA, data_type=descriptor.dataType, offset=position.offset, admitted=admitted
        )
        events = (self._event(EventKind.ADMITTED, descriptor, position), *self._dropped(dropped, descriptor, position))
        return Verdict(decision=decision, events=events)

    def _retire(self, descriptor: ModelDescriptor, position: LogPosition, state: AdmissionState) -> Verdict:
        before, last_good = versions.serving(state), state.last_good_offset
        if not versions.retire(state, descriptor.name, descriptor.version):
            state.no_ops += 1
            return Verdict()
        kept = {last_good} if before is None else {before.offset, last_good}
        decision = Decision(schema=DECISION_SCHEMA, data_type=descriptor.dataType, offset=position.offset)
        absent: list[int] = []
        successor = versions.serving(state)
        while successor is not None and successor.offset not in kept:
            again = self._again(successor)
            if again is not None:
                decision.admitted.CopyFrom(again)
                break
            absent.append(successor.offset)
            successor.retired = True
            successor = versions.serving(state)
        if absent and successor is not None:
            versions.postpone(state, absent, successor.offset)
            successor = versions.serving(state)
        if before is None or successor is None or successor.offset != before.offset:
            state.last_good_offset = -1
        serving_offset = -1 if successor is None else successor.offset
        decision.retired.CopyFrom(Retirement(name=descriptor.name, version=descriptor.version, serving=serving_offset))
        return Verdict(decision=decision, events=(self._event(EventKind.RETIRED, descriptor, position),))

    def _again(self, version: KnownVersion) -> AdmittedModel | None:
        """A version that passed before and that no join keeps, from the log; None if it cannot be had now."""
        try:
            again = self.admit(descriptors.parse(self.reread(version.offset)), version.offset)
        except ModelRejected:
            return None
        return again if again.descriptor.sha256 == version.sha256 else None

    def _reject(
        self, fault: ModelRejected, message: bytes | None, descriptor: ModelDescriptor, position: LogPosition
    ) -> Verdict:
        detail = fault.detail[:LONGEST_DETAIL]
        rejected = encode_rejected(
            reason=fault.reason,
            detail=detail,
            original=message,
            position=position,
            rejected_at_ms=self.clock_ms(),
            data_type=descriptor.dataType,
            model_name=descriptor.name,
            model_version=descriptor.version,
        )
        event = self._event(EventKind.REJECTED, descriptor, position, detail=detail, reason=fault.reason)
        return Verdict(rejected=rejected, reason=fault.reason, events=(event,))

    def _dropped(
        self, dropped: list[KnownVersion], by: ModelDescriptor, position: LogPosition
    ) -> tuple[ModelEvent, ...]:
        detail = f"no longer scheduled: {by.name!r} {by.version!r} takes its place"
        return tuple(
            self._event(
                EventKind.RETIRED,
                ModelDescriptor(dataType=by.dataType, name=old.name, version=old.version, sha256=old.sha256),
                position,
                detail=detail,
            )
            for old in dropped
        )

    def _event(
        self,
        kind: EventKind,
        descriptor: ModelDescriptor,
        position: LogPosition,
        *,
        detail: str = "",
        reason: Reason = Reason.REASON_UNSPECIFIED,
    ) -> ModelEvent:
        return model_event(
            kind,
            descriptor,
            at_ms=self.clock_ms(),
            instance=ADMISSION,
            position=position,
            detail=detail,
            reason=reason,
        )


def data_type_of(message: bytes | None) -> str:
    """The data type that a message of the model log is for; empty if it does not parse: such are judged together."""
    try:
        return descriptors.parse(message).dataType
    except ModelRejected:
        return ""


def model_of(message: bytes | None) -> tuple[str, str]:
    """The data type and the name of the model that a message of the model log is about; both empty as above."""
    try:
        descriptor = descriptors.parse(message)
    except ModelRejected:
        return "", ""
    return descriptor.dataType, descriptor.name


def key_of(data_type: str, name: str) -> str:
    """The key of a model where several of a data type serve."""
    return f"{data_type}\0{name}"  # no name has such a character


def names_of(key: str) -> tuple[str, str]:
    """The data type and the name that a key is of; without name if it is that of a data type."""
    data_type, _, name = key.partition("\0")
    return data_type, name

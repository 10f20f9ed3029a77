"""Admission: the one judge of models. Each descriptor of the model log is loaded and checked once.

The judge is free of Flink. Its state for a data type is a small `AdmissionState` message that the caller keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelserving import descriptors, loader
from modelserving.data_types import DataTypes
from modelserving.errors import ModelRejected
from modelserving.rejections import encode_rejected
from modelserving.servable import Servable
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import LogPosition, Reason
from modelserving.wire.state_pb2 import AdmissionState, AdmittedModel, Decision

STATE_SCHEMA = 1

LONGEST_DETAIL = 500
"""Characters: a fault may quote what it found, and a producer may have sent megabytes."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What admission says of one message; at most one of the two is set.

    Neither is set for a message that was judged before, or that sends the serving model again.
    """

    decision: Decision | None = None
    rejected: bytes | None = None
    """An encoded `Rejected`."""


@dataclass(frozen=True, slots=True)
class Admission:
    """Judges descriptors for the data types of a job."""

    data_types: DataTypes
    sources: descriptors.ModelSources
    clock_ms: Callable[[], int]
    """Epoch milliseconds."""

    def complete(self, descriptor: ModelDescriptor) -> ModelDescriptor:
        """The parsed descriptor with its model's bytes, sha256 and version.

        Raises:
            ModelRejected: its data type is not configured, or its bytes cannot be had.
        """
        if self.data_types.get(descriptor.dataType) is None:
            known = ", ".join(self.data_types.names)
            raise ModelRejected(
                Reason.UNKNOWN_DATA_TYPE,
                f"data type {descriptor.dataType!r} is not configured; the job knows {known}",
            )
        return descriptors.complete(descriptor, self.sources)

    def load(self, complete: ModelDescriptor) -> Servable:
        """Load a complete descriptor for its data type.

        Raises:
            ModelRejected: it cannot be loaded.
        """
        try:
            return loader.load(complete, self.data_types[complete.dataType])
        except ModelRejected:
            raise
        except Exception as error:  # a model's bytes may make a library raise anything
            raise ModelRejected(Reason.UNLOADABLE, f"its loader raised {type(error).__name__}: {error}") from error

    def judge(self, message: bytes | None, position: LogPosition, state: AdmissionState) -> Verdict:
        """Judge one message of the model log; `state` of its data type is updated in place."""
        if state.schema and position.offset <= state.applied_offset:
            return Verdict()
        state.schema = STATE_SCHEMA
        state.applied_offset = position.offset
        descriptor = ModelDescriptor()
        try:
            descriptor = descriptors.parse(message)
            complete = self.complete(descriptor)
            settled = _without_bytes(complete)
            if settled == state.serving:
                state.repeated += 1
                return Verdict()
            self.load(complete).close()
        except ModelRejected as fault:
            return Verdict(
                rejected=encode_rejected(
                    reason=fault.reason,
                    detail=fault.detail[:LONGEST_DETAIL],
                    original=message,
                    position=position,
                    rejected_at_ms=self.clock_ms(),
                    data_type=descriptor.dataType,
                    model_name=descriptor.name,
                    model_version=descriptor.version,
                )
            )
        state.serving.CopyFrom(settled)
        admitted = AdmittedModel(offset=position.offset, descriptor=complete)
        return Verdict(decision=Decision(schema=STATE_SCHEMA, data_type=complete.dataType, admitted=admitted))


def _without_bytes(complete: ModelDescriptor) -> ModelDescriptor:
    """What makes two descriptors the same one: all of a complete descriptor, its sha256 in place of its bytes.

    Not when it was made: publishing the same model again is no new model.
    """
    settled = ModelDescriptor()
    settled.CopyFrom(complete)
    settled.ClearField("model")
    settled.ClearField("created_at_ms")
    return settled


def data_type_of(message: bytes | None) -> str:
    """The data type that a message of the model log is for; empty if it does not parse: such are judged together."""
    try:
        return descriptors.parse(message).dataType
    except ModelRejected:
        return ""

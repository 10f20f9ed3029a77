"""Life-cycle events: what happened to a model version in a running job, as messages for `model-events`."""

from __future__ import annotations

from modelserving.outgoing import Outgoing
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import EventKind, LogPosition, ModelEvent, Reason

ADMISSION = "admission"
"""The instance that admission's events name."""

LONGEST_DETAIL = 500
"""Characters: a fault may quote what it found, and a producer may have sent megabytes."""


def model_event(
    kind: EventKind,
    descriptor: ModelDescriptor,
    *,
    at_ms: int,
    instance: str,
    position: LogPosition | None = None,
    detail: str = "",
    reason: Reason = Reason.REASON_UNSPECIFIED,
) -> ModelEvent:
    """One event about the version that `descriptor` describes, as far as it does.

    Args:
        at_ms: epoch milliseconds.
        position: of the message on the model log, if the event is about one.
    """
    return ModelEvent(
        kind=kind,
        data_type=descriptor.dataType,
        model_name=descriptor.name,
        model_version=descriptor.version,
        model_sha256=descriptor.sha256,
        at_ms=at_ms,
        instance=instance,
        reason=reason,
        detail=detail[:LONGEST_DETAIL].encode("utf-8", "replace").decode("utf-8"),
        position=position,
    )


def outgoing_events(events: list[ModelEvent]) -> Outgoing:
    """The messages for `model-events`, keyed by data type."""
    keys = [event.data_type.encode() for event in events]
    return Outgoing.of("model-events", keys, [event.SerializeToString() for event in events])

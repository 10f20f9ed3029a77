"""What the messages of the topics look like in answers: events, rejections and results."""

from __future__ import annotations

from itertools import islice
from typing import Any

from modelserving.query.plain import enum_name, plain
from modelserving.wire.serving_pb2 import EventKind, ModelEvent, Reason, Rejected, ServingResult

BYTES_SHOWN = 64
"""Of the original of a rejection."""
LONGEST_DETAIL = 500
"""Characters; the job cuts its own, but others may write to the topics."""
MOST_ELEMENTS = 1000
"""Probabilities or outputs of a result; what is more is left out."""


def reason_name(number: int) -> str:
    """The name of a `Reason`; empty for none."""
    return enum_name(Reason.DESCRIPTOR, number) if number else ""


def kind_name(number: int) -> str:
    """The name of an `EventKind`."""
    return enum_name(EventKind.DESCRIPTOR, number)


def event(message: ModelEvent, partition: int, offset: int) -> dict[str, Any]:
    """An event.

    Args:
        partition: of its topic, with `offset`: what tells it from all others.
    """
    return {
        "kind": kind_name(message.kind),
        "data_type": message.data_type,
        "model_name": message.model_name,
        "model_version": message.model_version,
        "model_sha256": message.model_sha256,
        "at_ms": message.at_ms,
        "instance": message.instance,
        "reason": reason_name(message.reason),
        "detail": message.detail[:LONGEST_DETAIL],
        "offset": message.position.offset,
        "event_partition": partition,
        "event_offset": offset,
    }


def rejection(message: Rejected, kind: str) -> dict[str, Any]:
    """A rejection; `kind` is "record" or "model"."""
    return {
        "kind": kind,
        "reason": reason_name(message.reason),
        "detail": message.detail[:LONGEST_DETAIL],
        "data_type": message.data_type,
        "model_name": message.model_name,
        "model_version": message.model_version,
        "topic": message.position.topic,
        "partition": message.position.partition,
        "offset": message.position.offset,
        "rejected_at_ms": message.rejected_at_ms,
        "original_hex": message.original[:BYTES_SHOWN].hex(),
        "original_bytes": len(message.original),
    }


def result(message: ServingResult) -> dict[str, Any]:
    """A result; it has `number` or `label`, or neither."""
    answer = message.WhichOneof("answer")
    return {
        "data_type": message.data_type,
        "model_name": message.model_name,
        "model_version": message.model_version,
        "model_sha256": message.model_sha256,
        **({answer: getattr(message, answer)} if answer else {}),
        "probabilities": dict(islice(message.probabilities.items(), MOST_ELEMENTS)),
        "outputs": list(islice(message.outputs, MOST_ELEMENTS)),
        "record": plain(message.record),
        "scored_at_ms": message.scored_at_ms,
        "latency_us": message.latency_us,
    }

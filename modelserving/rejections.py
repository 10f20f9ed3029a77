"""Rejections: what could not be scored, with the reason, the original bytes and their position, as messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from modelserving.outgoing import Outgoing
from modelserving.servable import ModelVersion, RecordFailure
from modelserving.wire.serving_pb2 import LogPosition, Reason, Rejected


@dataclass(frozen=True, slots=True)
class RejectedRecord:
    """A record that has no score."""

    key: bytes | None
    value: bytes | None
    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    reason: Reason
    detail: str
    data_type: str = ""
    """Empty where the record never said."""
    model: ModelVersion | None = None
    """The model that failed on it."""


def rejected_records(
    records: pa.RecordBatch,
    failures: Sequence[RecordFailure],
    topic: str,
    data_type: str = "",
    model: ModelVersion | None = None,
) -> list[RejectedRecord]:
    """The failed rows of `records` (columns of `decoding.RAW_SCHEMA`, in that order) with what is known of them."""
    rows = records.take(pa.array([failure.row for failure in failures], pa.int64()))
    columns = (column.to_pylist() for column in rows.columns)
    return [
        RejectedRecord(
            key, value, topic, partition, offset, timestamp_ms, failure.reason, failure.detail, data_type, model
        )
        for failure, key, value, partition, offset, timestamp_ms in zip(failures, *columns, strict=True)
    ]


def reject(rejected: Sequence[RejectedRecord], clock_us: Callable[[], int]) -> Outgoing:
    """The messages for `rejected-records`; `clock_us` tells epoch microseconds."""
    rejected_at_ms = clock_us() // 1000
    values = [
        encode_rejected(
            reason=record.reason,
            detail=record.detail,
            original=record.value,
            position=LogPosition(
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                timestamp_ms=record.timestamp_ms,
            ),
            rejected_at_ms=rejected_at_ms,
            data_type=record.data_type,
            model_name=record.model.name if record.model else "",
            model_version=record.model.version if record.model else "",
        )
        for record in rejected
    ]
    return Outgoing.of("rejected-records", [record.key for record in rejected], values)


def encode_rejected(
    *,
    reason: Reason,
    detail: str,
    original: bytes | None,
    position: LogPosition,
    rejected_at_ms: int,
    data_type: str = "",
    model_name: str = "",
    model_version: str = "",
) -> bytes:
    """One `Rejected` message, of a record or a model."""
    return Rejected(
        reason=reason,
        # An exception's text may hold what UTF-8 cannot express.
        detail=detail.encode("utf-8", "replace").decode("utf-8"),
        original=original,
        position=position,
        rejected_at_ms=rejected_at_ms,
        data_type=data_type,
        model_name=model_name,
        model_version=model_version,
    ).SerializeToString()

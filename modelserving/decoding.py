"""Decoding: a batch of raw Kafka records to Arrow batches, one for each data type, and the records turned away.

A record finds its data type like this:
1. its Kafka key is that of a data type routed by key; else
2. if data types are routed by field, it is decoded with their codec, and the field's value names the data type; else
3. it is of the constant data type, if there is one; else it is of no known data type.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelserving.arrow import ARROW_TYPES, from_ipc, to_ipc
from modelserving.codecs import Codec, Messages, build_codec
from modelserving.data_types import DataType, DataTypes, RouteBy
from modelserving.rejections import RejectedRecord, rejected_records
from modelserving.servable import RecordFailure
from modelserving.wire.serving_pb2 import Reason

RAW_SCHEMA = pa.schema(
    [
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("partition", pa.int32()),
        pa.field("offset", pa.int64()),
        pa.field("timestamp_ms", pa.int64()),
    ]
)
"""The columns of a raw batch: Kafka records."""

_RECORD_COLUMNS = [f"@{name}" for name in RAW_SCHEMA.names]
_LONGEST_QUOTE = 100


@dataclass(frozen=True, slots=True)
class TypedBatch:
    """Decoded records of one data type."""

    data_type: str
    received_us: int
    """When the job received the raw batch, epoch microseconds."""
    batch: pa.RecordBatch
    """The features by name (float64 or string; null is missing), then `RAW_SCHEMA` with an @ before each name."""

    @property
    def records(self) -> pa.RecordBatch:
        """The records themselves: columns of `RAW_SCHEMA`."""
        columns = [self.batch.column(name) for name in _RECORD_COLUMNS]
        return pa.RecordBatch.from_arrays(columns, schema=RAW_SCHEMA)

    def to_ipc(self) -> bytes:
        """The whole as one Arrow IPC stream."""
        metadata = {"data_type": self.data_type, "received_us": str(self.received_us)}
        return to_ipc(self.batch.replace_schema_metadata(metadata))

    @staticmethod
    def from_ipc(encoded: bytes) -> TypedBatch:
        """What `to_ipc` made; the columns stay in `encoded`, uncopied."""
        batch = from_ipc(encoded)
        metadata = batch.schema.metadata
        data_type, received_us = metadata[b"data_type"].decode(), int(metadata[b"received_us"])
        return TypedBatch(data_type, received_us, batch.replace_schema_metadata(None))


@dataclass(frozen=True, slots=True)
class Decoded:
    """A raw batch, decoded: each record is in one of the two."""

    batches: list[TypedBatch]
    """At most one for each data type, records in the order of the raw batch; none is empty."""
    rejected: list[RejectedRecord]


class Decoder:
    """Decodes raw batches of the records' topic.

    It holds native handlers, so it cannot be pickled: make it in the worker.
    """

    def __init__(self, data_types: DataTypes, topic: str) -> None:
        self._topic = topic
        codecs = {config: build_codec(config) for config in {data_type.codec for data_type in data_types}}
        self._by_key = {
            data_type.route.value.encode(): _Lane(codecs[data_type.codec], (data_type,))
            for data_type in data_types.routed(RouteBy.KEY)
        }
        self._keys = pa.array(list(self._by_key), pa.binary())
        others = data_types.routed(RouteBy.FIELD) or data_types.routed(RouteBy.CONSTANT)
        self._other = _Lane(codecs[others[0].codec], others) if others else None
        self._known = ", ".join(data_types.names)

    def decode(self, raw: pa.RecordBatch, received_us: int) -> Decoded:
        """Decode `raw` (`RAW_SCHEMA`), received at `received_us` (epoch microseconds)."""
        decoded = Decoded([], [])
        lengths = pc.fill_null(pc.binary_length(raw.column("value")), 0)
        if raw.num_rows and pc.min(lengths).as_py() == 0:
            empty = np.flatnonzero(lengths.to_numpy() == 0).tolist()
            detail = "empty value (tombstone); a record must have a value"
            decoded.rejected.extend(self._rejected(raw, [RecordFailure(r, Reason.MALFORMED, detail) for r in empty]))
            raw = _without(raw, empty)
        for lane, records in self._lanes(raw):
            if lane is None:
                unknown = f"the key is that of no data type; configured are {self._known}"
                failures = [RecordFailure(row, Reason.UNKNOWN_DATA_TYPE, unknown) for row in range(records.num_rows)]
                decoded.rejected.extend(self._rejected(records, failures))
            else:
                self._decode_lane(lane, records, received_us, decoded)
        return decoded

    def _lanes(self, raw: pa.RecordBatch) -> Iterator[tuple[_Lane | None, pa.RecordBatch]]:
        """Split records by what their keys say; no empty batches."""
        lanes = list(self._by_key.values())
        for code, rows in _groups(pc.index_in(raw.column("key"), self._keys)):
            yield self._other if code is None else lanes[code], raw if rows is None else raw.take(rows)

    def _decode_lane(self, lane: _Lane, records: pa.RecordBatch, received_us: int, decoded: Decoded) -> None:
        messages, malformed = lane.codec.decode(records.column("value"))
        if malformed:
            name = lane.types[0].name if lane.field is None else ""
            decoded.rejected.extend(self._rejected(records, malformed, name))
            records = _without(records, [failure.row for failure in malformed])
        # Without a field all records are of the lane's sole data type.
        text = pa.repeat(lane.values[0], records.num_rows) if lane.field is None else messages.text(lane.field)
        codes = pc.index_in(text, lane.values)
        for code, rows in _groups(codes):
            group = records if rows is None else records.take(rows)
            if code is None:
                failures = self._unknown(lane, text if rows is None else text.take(rows))
                decoded.rejected.extend(self._rejected(group, failures))
                continue
            data_type = lane.types[code]
            batch, failures = _assemble(data_type, messages if rows is None else messages.take(rows), group)
            if failures:
                decoded.rejected.extend(self._rejected(group, failures, data_type.name))
                batch = _without(batch, [failure.row for failure in failures])
            if batch.num_rows:
                decoded.batches.append(TypedBatch(data_type.name, received_us, batch))

    def _unknown(self, lane: _Lane, names: pa.Array) -> list[RecordFailure]:
        failures = []
        for row, name in enumerate(names.to_pylist()):
            # What a stranger sent is escaped and cut, so that it can neither break a line nor fill the message.
            said = f"names {name[:_LONGEST_QUOTE]!a}" if name else "names nothing"
            detail = f"field {lane.field!r} {said}; configured are {self._known}"
            failures.append(RecordFailure(row, Reason.UNKNOWN_DATA_TYPE, detail))
        return failures

    def _rejected(
        self, records: pa.RecordBatch, failures: Sequence[RecordFailure], data_type: str = ""
    ) -> list[RejectedRecord]:
        return rejected_records(records, failures, self._topic, data_type)


class _Lane:
    """Data types whose records are decoded alike: one alone, or several told apart by a field."""

    def __init__(self, codec: Codec, types: tuple[DataType, ...]) -> None:
        self.codec = codec
        self.types = types
        self.field = types[0].route.field if types[0].route.by is RouteBy.FIELD else None
        self.values = pa.array([data_type.route.value for data_type in types], pa.string())


def _assemble(
    data_type: DataType, messages: Messages, records: pa.RecordBatch
) -> tuple[pa.RecordBatch, list[RecordFailure]]:
    """A batch as `TypedBatch` has it, and the rows in it that must not go to a model, each once."""
    columns, failures = messages.columns(data_type.features)
    failed = {failure.row for failure in failures}
    for feature, column in zip(data_type.features, columns, strict=True):
        if feature.optional or not column.null_count:
            continue
        for row in np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)).tolist():
            if row not in failed:
                failed.add(row)
                detail = f"feature {feature.name!r} is missing; send it, or make it optional in the configuration"
                failures.append(RecordFailure(row, Reason.MISSING_FEATURE, detail))
    fields = [pa.field(feature.name, ARROW_TYPES[feature.kind]) for feature in data_type.features]
    fields += [field.with_name(name) for field, name in zip(RAW_SCHEMA, _RECORD_COLUMNS, strict=True)]
    return pa.RecordBatch.from_arrays(columns + records.columns, schema=pa.schema(fields)), failures


def _groups(codes: pa.Array) -> Iterator[tuple[int | None, pa.Array | None]]:
    """Each value in `codes` (int32; null is one, too) and the rows that have it; None for all rows, the usual case."""
    if not len(codes):
        return
    if codes.null_count == len(codes):
        yield None, None
        return
    values = codes.fill_null(-1).to_numpy()
    distinct = np.unique(values).tolist()
    for value in distinct:
        rows = None if len(distinct) == 1 else pa.array(np.flatnonzero(values == value))
        yield (None if value < 0 else value), rows


def _without(batch: pa.RecordBatch, rows: Sequence[int]) -> pa.RecordBatch:
    """`batch` without the given rows."""
    keep = np.ones(batch.num_rows, bool)
    keep[np.asarray(rows, np.int64)] = False
    return batch.filter(pa.array(keep))

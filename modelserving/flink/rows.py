"""The rows that cross between Flink and Python, and their types."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyflink.common import Row, Types

from modelserving.decoding import RAW_SCHEMA
from modelserving.outgoing import Outgoing
from modelserving.topics import Topics

BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())


def batch_type() -> Any:
    """One decoded batch: data type, Arrow IPC message."""
    return Types.ROW([Types.STRING(), BYTES])


def decision_type() -> Any:
    """One decision of admission: data type, encoded `Decision`."""
    return Types.ROW([Types.STRING(), BYTES])


def outgoing_type() -> Any:
    """Messages for one topic, as an array: a row a message would cross one by one.

    Each is an array of key and value. PyFlink's `Row` says better what they are, but takes longer to make than all
    the rest of a result.
    """
    messages = Types.OBJECT_ARRAY(Types.OBJECT_ARRAY(BYTES))
    return Types.ROW_NAMED(["topic", "messages"], [Types.STRING(), messages])


def raw_batch(row: Row) -> pa.RecordBatch:
    """The arrays that a window aggregated, as the raw batch that the decoder takes."""
    columns = [pa.array(values, type=field.type) for values, field in zip(row, RAW_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=RAW_SCHEMA)


def outgoing_row(outgoing: Outgoing, topics: Topics) -> Row:
    """A row of `outgoing_type`."""
    topic = getattr(topics, outgoing.role.replace("-", "_"))
    return Row(topic, list(map(list, zip(outgoing.keys, outgoing.values, strict=True))))

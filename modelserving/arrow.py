"""How features and bytes stand in Arrow arrays."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.data_types import FeatureKind

ARROW_TYPES = {FeatureKind.NUMBER: pa.float64(), FeatureKind.STRING: pa.string()}
"""The type of a feature's column."""


def byte_strings(array: pa.Array) -> list[Any]:
    """The values of a binary array as bytes, None for nulls; several times faster than `to_pylist`."""
    if array.null_count == len(array):
        return [None] * len(array)
    if array.null_count:
        values: list[Any] = array.to_pylist()
        return values
    ends = _ends(array)
    encoded = bytes(bytes_of(array))
    return [encoded[begin:end] for begin, end in pairwise((ends - ends[0]).tolist())]


def bytes_of(array: pa.Array) -> pa.Buffer | bytes:
    """The values of a binary array one after the other, uncopied."""
    data = array.buffers()[2]
    if not data or not len(array):
        return b""
    start, end = _ends(array)[[0, -1]].tolist()
    return data.slice(start, end - start)


def to_ipc(batch: pa.RecordBatch) -> bytes:
    """A batch as one Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    encoded: bytes = sink.getvalue().to_pybytes()
    return encoded


def from_ipc(encoded: bytes) -> pa.RecordBatch:
    """What `to_ipc` made; the columns stay in `encoded`, uncopied."""
    with pa.ipc.open_stream(encoded) as reader:
        return reader.read_next_batch()


def _ends(array: pa.Array) -> NDArray[np.int32]:
    """Where the first of n values begins, and where each ends: (n + 1,)."""
    return np.frombuffer(array.buffers()[1], np.int32)[array.offset : array.offset + len(array) + 1]

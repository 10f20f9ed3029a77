"""Batches as they cross between the JVM and Python: each as one byte string, not as some objects for each record.

The classes in `jars/src/` are the other side; they describe the two layouts.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelserving.arrow import bytes_of
from modelserving.decoding import RAW_SCHEMA
from modelserving.outgoing import Outgoing

_INT32 = np.dtype("<i4")


def unpack_records(packed: bytes) -> pa.RecordBatch:
    """The raw batch (`RAW_SCHEMA`) that `PackRecords` packed; its columns stay in `packed`, uncopied."""
    buffers = _Buffers(packed)
    (rows,) = np.frombuffer(buffers.take(_INT32.itemsize), _INT32).tolist()
    partition = pa.Array.from_buffers(pa.int32(), rows, [None, buffers.take(4 * rows)])
    offset = pa.Array.from_buffers(pa.int64(), rows, [None, buffers.take(8 * rows)])
    timestamp_ms = pa.Array.from_buffers(pa.int64(), rows, [None, buffers.take(8 * rows)])
    key, value = buffers.take_byte_strings(rows), buffers.take_byte_strings(rows)
    return pa.RecordBatch.from_arrays([key, value, partition, offset, timestamp_ms], schema=RAW_SCHEMA)


def pack_messages(outgoing: Outgoing) -> bytes:
    """Messages as `UnpackMessages` takes them."""
    lengths = [pc.fill_null(pc.binary_length(each), -1) for each in (outgoing.keys, outgoing.values)]
    header = np.array([len(outgoing.values), len(outgoing.prefix)], _INT32)
    return b"".join(
        (
            header.tobytes(),
            *(length.to_numpy().astype(_INT32, copy=False).tobytes() for length in lengths),
            outgoing.prefix,
            # A null may hide bytes.
            *(bytes_of(each.fill_null(b"")) for each in (outgoing.keys, outgoing.values)),
        )
    )


class _Buffers:
    """Takes one buffer after the other, each of which begins at a multiple of 8 bytes."""

    def __init__(self, packed: bytes) -> None:
        self._packed = pa.py_buffer(packed)
        self._position = 0

    def take(self, size: int) -> pa.Buffer:
        """The next `size` bytes."""
        taken = self._packed.slice(self._position, size)
        self._position += size + -size % 8
        return taken

    def take_byte_strings(self, rows: int) -> pa.Array:
        """The next `rows` byte strings, some of them null."""
        validity, ends = self.take((rows + 7) // 8), self.take(4 * (rows + 1))
        (length,) = np.frombuffer(ends, _INT32)[-1:].tolist()
        return pa.Array.from_buffers(pa.binary(), rows, [validity, ends, self.take(length)])

"""Packed batches and messages: what one side writes, the other reads. The Java classes are tested in running jobs."""

from __future__ import annotations

import struct

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.decoding import RAW_SCHEMA
from modelserving.outgoing import Outgoing
from modelserving.packing import pack_messages, unpack_records

BYTES = st.binary(max_size=20)
KEYS = st.none() | BYTES
RECORDS = st.lists(st.tuples(KEYS, KEYS, st.integers(0, 9), st.integers(0, 2**62), st.integers(-1, 2**62)), max_size=20)


def packed(records: list[tuple[bytes | None, bytes | None, int, int, int]]) -> bytes:
    """What `PackRecords` makes of records, written as its description says, one number after the other."""
    out = bytearray()

    def write(form: str, *numbers: int) -> None:
        out.extend(struct.pack(f"<{len(numbers)}{form}", *numbers))
        out.extend(bytes(-len(out) % 8))

    write("i", len(records))
    keys, values, *positions = [[record[place] for record in records] for place in range(5)]
    for form, numbers in zip("iqq", positions, strict=True):
        write(form, *(number for number in numbers if isinstance(number, int)))
    for strings in (keys, values):
        texts = [text if isinstance(text, bytes) else b"" for text in strings]
        bits = sum(1 << row for row, text in enumerate(strings) if text is not None)
        write("B", *bits.to_bytes((len(strings) + 7) // 8, "little"))
        write("i", *(len(b"".join(texts[:row])) for row in range(len(texts) + 1)))
        write("B", *b"".join(texts))
    return bytes(out)


@given(RECORDS)
def test_records(records: list[tuple[bytes | None, bytes | None, int, int, int]]) -> None:
    batch = unpack_records(packed(records))
    batch.validate(full=True)
    assert batch.schema == RAW_SCHEMA
    assert list(zip(*(column.to_pylist() for column in batch.columns), strict=True)) == records


def unpacked(message: bytes) -> list[tuple[bytes | None, bytes | None]]:
    """What `UnpackMessages` makes of messages."""
    count, prefix_length = struct.unpack_from("<ii", message)
    key_lengths = struct.unpack_from(f"<{count}i", message, 8)
    value_lengths = struct.unpack_from(f"<{count}i", message, 8 + 4 * count)
    position = 8 + 8 * count

    def take(length: int) -> bytes:
        nonlocal position
        position += length
        return message[position - length : position]

    prefix = take(prefix_length)
    keys = [None if length < 0 else take(length) for length in key_lengths]
    values = [None if length < 0 else prefix + take(length) for length in value_lengths]
    assert position == len(message)
    return list(zip(keys, values, strict=True))


@given(st.lists(st.tuples(KEYS, KEYS), max_size=20), BYTES, st.integers(0, 3))
def test_messages(messages: list[tuple[bytes | None, bytes | None]], prefix: bytes, first: int) -> None:
    whole = Outgoing.of("results", [key for key, _ in messages], [value for _, value in messages])
    part = Outgoing("results", whole.keys[first:], whole.values[first:], prefix)
    expected = [(key, None if value is None else prefix + value) for key, value in messages[first:]]
    assert part.messages == expected
    assert unpacked(pack_messages(part)) == expected


@pytest.mark.parametrize("hidden", [b"", b"hidden"])
def test_bytes_behind_a_null_do_not_leave(hidden: bytes) -> None:
    ends = struct.pack("<3i", 0, len(hidden), len(hidden) + 1)
    keys = pa.Array.from_buffers(pa.binary(), 2, [pa.py_buffer(b"\2"), pa.py_buffer(ends), pa.py_buffer(hidden + b"k")])
    outgoing = Outgoing("results", keys, pa.array([b"a", b"b"], pa.binary()))
    assert unpacked(pack_messages(outgoing)) == outgoing.messages == [(None, b"a"), (b"k", b"b")]

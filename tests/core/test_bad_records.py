"""What must happen to bad records, each case by name: rejected once, with reason and bytes, the rest scored."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from modelserving.configuration import load_data_types
from modelserving.data_types import DataTypes
from modelserving.servable import RecordFailure
from modelserving.wire.serving_pb2 import Reason
from tests.core.cases import FIRST_OFFSET, TICKETS, TOPIC, FakeServable, load_text, raw, reasons, serve, wine

GOOD_WINE = wine(alcohol=9.5, pH=3.0)
GOOD_TICKET = json.dumps({"amount": 2.5, "product": "train"}).encode()


@pytest.fixture
def data_types(tmp_path: Path) -> DataTypes:
    """Wine and tickets together."""
    return DataTypes((*load_data_types(), *load_text(TICKETS, tmp_path)))


def nested(depth: int) -> bytes:
    return b'{"amount":' + b"[" * depth + b"]" * depth + b"}"


BAD_WINES: dict[str, tuple[bytes | None, str]] = {
    "not decodable": (b"\xff\xff\xff", "MALFORMED"),
    "random bytes": (bytes.fromhex("b1a0c4e7779f0b6a51e9d2"), "MALFORMED"),
    "truncated": (GOOD_WINE[:-1], "MALFORMED"),
    "a length that points past the end": (b"\x62\x7fwine", "MALFORMED"),
    "a length beyond all memory": (b"\x62" + b"\xff" * 9 + b"\x01", "MALFORMED"),
    "JSON where protobuf is due": (json.dumps({"dataType": "wine", "alcohol": 9.5}).encode(), "MALFORMED"),
    "invalid UTF-8 in a string": (GOOD_WINE + b"\x62\x02\xff\xfe", "MALFORMED"),
    "group that ends as another": (GOOD_WINE + b"\x2b\x64", "MALFORMED"),
    "groups nested 10,000 deep": (GOOD_WINE + b"\x7b" * 10_000 + b"\x7c" * 10_000, "MALFORMED"),
    "a tag of seven bytes": (GOOD_WINE + b"\xe8\x80\x80\x80\x80\x00\x01", "MALFORMED"),
    "empty value (tombstone)": (None, "MALFORMED"),
    "empty message": (b"", "MALFORMED"),
    "unknown data type": (wine("beer", alcohol=5.0), "UNKNOWN_DATA_TYPE"),
    "no data type": (wine("", alcohol=5.0), "UNKNOWN_DATA_TYPE"),
    "a data type of 10 MB": (wine("x" * 10_000_000), "UNKNOWN_DATA_TYPE"),
    "wrong wire type for the data type": (b"\x60\x05", "UNKNOWN_DATA_TYPE"),
    "NaN where the model has no rule for it": (wine(alcohol=float("nan")), "MODEL_FAILED"),
    "Infinity where the model has no rule for it": (wine(alcohol=float("inf")), "MODEL_FAILED"),
    "1e308 twice where the model has no rule for it": (wine(alcohol=1e308, pH=1e308), "MODEL_FAILED"),
}

BAD_TICKETS: dict[str, tuple[bytes | None, str]] = {
    "not decodable": (b"\xff\xff\xff", "MALFORMED"),
    "protobuf where JSON is due": (GOOD_WINE, "MALFORMED"),
    "truncated": (GOOD_TICKET[:-1], "MALFORMED"),
    "two objects": (GOOD_TICKET * 2, "MALFORMED"),
    "an array": (b"[1, 2]", "MALFORMED"),
    "null": (b"null", "MALFORMED"),
    "UTF-16": (GOOD_TICKET.decode().encode("utf-16"), "MALFORMED"),
    "nested 10,000 deep": (nested(10_000), "MALFORMED"),
    "NaN": (b'{"amount": NaN, "product": "train"}', "MALFORMED"),
    "-Infinity": (b'{"amount": -Infinity, "product": "train"}', "MALFORMED"),
    "empty value (tombstone)": (None, "MALFORMED"),
    "empty message": (b"", "MALFORMED"),
    "missing feature": (b'{"product": "train"}', "MISSING_FEATURE"),
    "null feature": (b'{"amount": null, "product": "train"}', "MISSING_FEATURE"),
    "string for a number": (b'{"amount": "2.5", "product": "train"}', "WRONG_TYPE"),
    "boolean for a number": (b'{"amount": true, "product": "train"}', "WRONG_TYPE"),
    "object for a number": (b'{"amount": {}, "product": "train"}', "WRONG_TYPE"),
    "number for a string": (b'{"amount": 1, "product": 7}', "WRONG_TYPE"),
    "string for an optional number": (b'{"amount": 1, "product": "train", "age": "7"}', "WRONG_TYPE"),
    "1e400": (b'{"amount": 1e400, "product": "train"}', "INVALID_VALUE"),
    "integer too large for a double": (b'{"amount": %s, "product": "train"}' % (b"9" * 5000), "INVALID_VALUE"),
    "half of a surrogate pair": (b'{"amount": 1, "product": "\\ud800"}', "INVALID_VALUE"),
    "a category never seen": (b'{"amount": 1, "product": "rocket"}', "INVALID_VALUE"),
    "two faults": (b'{"amount": "1", "product": "\\ud800"}', "WRONG_TYPE"),
}


def check_isolated(results: list[Any], rejected: list[Any], value: bytes | None, reason: str) -> None:
    """The record between two good ones was rejected, and nothing else."""
    assert [result.record.offset for result in results] == [FIRST_OFFSET, FIRST_OFFSET + 2]
    assert reasons(rejected) == [reason]
    (one,) = rejected
    assert (one.original if one.HasField("original") else None) == value
    assert (one.position.topic, one.position.partition, one.position.offset) == (TOPIC, 3, FIRST_OFFSET + 1)
    assert one.position.timestamp_ms == 1_650_000_000_000
    assert one.rejected_at_ms == 1_700_000_000_005
    assert 0 < len(one.detail) < 300


@pytest.mark.parametrize(("value", "reason"), BAD_WINES.values(), ids=BAD_WINES.keys())
def test_bad_protobuf_record(data_types: DataTypes, value: bytes | None, reason: str) -> None:
    results, rejected = serve(data_types, raw([GOOD_WINE, value, GOOD_WINE]))
    check_isolated(results, rejected, value, reason)


@pytest.mark.parametrize(("value", "reason"), BAD_TICKETS.values(), ids=BAD_TICKETS.keys())
def test_bad_json_record(data_types: DataTypes, value: bytes | None, reason: str) -> None:
    def unseen(batch: pa.RecordBatch) -> Iterator[RecordFailure]:
        for row, product in enumerate(batch.column("product").to_pylist()):
            if product != "train":
                yield RecordFailure(row, Reason.INVALID_VALUE, f"product {product!r} is not known")

    servable = FakeServable(data_types["ticket"].feature_names, lambda batch: list(unseen(batch)))
    results, rejected = serve(data_types, raw([GOOD_TICKET, value, GOOD_TICKET], [b"ticket"] * 3), servable)
    check_isolated(results, rejected, value, reason)


def test_record_that_makes_the_model_itself_fail(data_types: DataTypes) -> None:
    poison = wine(alcohol=666.0)

    def fail(batch: pa.RecordBatch) -> tuple[RecordFailure, ...]:
        if 666.0 in batch.column("alcohol").to_pylist():
            raise ZeroDivisionError("\ud800 in the text")
        return ()

    servable = FakeServable(data_types["wine"].feature_names, fail)
    results, rejected = serve(data_types, raw([GOOD_WINE, poison, GOOD_WINE]), servable)
    check_isolated(results, rejected, poison, "MODEL_FAILED")
    assert "ZeroDivisionError" in rejected[0].detail
    assert (rejected[0].data_type, rejected[0].model_name, rejected[0].model_version) == ("wine", "linear", "1")


@pytest.mark.parametrize(
    "number",
    [-0.0, 5e-324, 1e308, -1e308, 2.0**53 + 2],
    ids=["-0", "denormal", "1e308", "-1e308", "beyond 2^53"],
)
def test_odd_numbers_are_scored(data_types: DataTypes, number: float) -> None:
    for value, key in (
        (wine(alcohol=number), None),
        (json.dumps({"amount": number, "product": "a"}).encode(), b"ticket"),
    ):
        results, rejected = serve(data_types, raw([value], [key]))
        assert not rejected
        assert struct.pack("d", results[0].number + 0.0) == struct.pack("d", number + 0.0)
        assert results[0].WhichOneof("answer") == "number"


def test_10_mb_record(data_types: DataTypes) -> None:
    padding = b"\xa2\x06" + b"\x80\x80\x80\x05" + bytes(10 * 1024 * 1024)  # field 100, unknown to the message
    ticket = json.dumps({"amount": 1, "product": "train", "more": "x" * 10_000_000}).encode()
    values = [GOOD_WINE, GOOD_WINE + padding, ticket, b"\x00" + padding]
    results, rejected = serve(data_types, raw(values, [None, None, b"ticket", None]))
    assert sorted(result.record.offset - FIRST_OFFSET for result in results) == [0, 1, 2]
    assert reasons(rejected) == ["MALFORMED"]
    assert rejected[0].original == values[3]


def test_absent_protobuf_numbers_are_zero(data_types: DataTypes) -> None:
    results, rejected = serve(data_types, raw([wine()]))
    assert not rejected
    assert results[0].number == 0
    assert results[0].WhichOneof("answer") == "number"


def test_missing_optional_feature_reaches_the_model_as_null(data_types: DataTypes) -> None:
    seen: list[Any] = []

    def look(batch: pa.RecordBatch) -> tuple[RecordFailure, ...]:
        seen.extend(batch.column("age").to_pylist())
        return ()

    values = [
        GOOD_TICKET,
        b'{"amount": 1, "product": "a", "age": 4, "age": 5}',
        b'{"amount": 1, "product": "a", "age": null}',
    ]
    servable = FakeServable(data_types["ticket"].feature_names, look)
    results, rejected = serve(data_types, raw(values, [b"ticket"] * 3), servable)
    assert (len(results), rejected) == (3, [])
    assert seen == [None, 5.0, None]  # of members with the same name the last one counts


def test_every_record_bad(data_types: DataTypes) -> None:
    values = [value for value, _ in BAD_WINES.values()]
    results, rejected = serve(data_types, raw(values))
    assert not results
    expected = {FIRST_OFFSET + row: reason for row, (_, reason) in enumerate(BAD_WINES.values())}
    assert {one.position.offset: Reason.Name(one.reason) for one in rejected} == expected
    assert len(rejected) == len(values)


def test_no_records(data_types: DataTypes) -> None:
    assert serve(data_types, raw([])) == ([], [])

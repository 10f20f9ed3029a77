"""Decoding raw batches: routing, what protobuf refuses, and that every record leaves exactly once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from modelserving.codecs import build_codec
from modelserving.configuration import load_data_types
from modelserving.data_types import CodecConfig, DataType, DataTypes, Feature, FeatureKind, Route, RouteBy
from modelserving.decoding import Decoder, TypedBatch
from modelserving.errors import ConfigurationError
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.wine_pb2 import WineRecord
from tests.core.cases import (
    FIRST_OFFSET,
    RECEIVED_US,
    TICKETS,
    TOPIC,
    load_text,
    raw,
    serve,
    wine,
)

WINE = load_data_types()["wine"]
TICKET = DataType(
    "ticket",
    (Feature("amount"), Feature("product", FeatureKind.STRING), Feature("age", optional=True)),
    CodecConfig("json"),
    Route(RouteBy.KEY, value="ticket"),
)
BOTH = DataTypes((WINE, TICKET))


def by_field(name: str, *features: Feature) -> DataType:
    return DataType(name, features, CodecConfig("json"), Route(RouteBy.FIELD, "kind", name))


def routed(data_types: DataTypes, value: bytes, key: bytes | None) -> str:
    """The data type that a record finds, or the reason why it was rejected."""
    decoded = Decoder(data_types, TOPIC).decode(raw([value], [key]), RECEIVED_US)
    if decoded.rejected:
        return Reason.Name(decoded.rejected[0].reason)
    return decoded.batches[0].data_type


def test_the_shipped_ticket_text_is_this_ticket(tmp_path: Path) -> None:
    assert load_text(TICKETS, tmp_path)["ticket"] == TICKET


@pytest.mark.parametrize(
    ("others", "value", "key", "found"),
    [
        ((TICKET,), b'{"amount": 1, "product": "a"}', b"ticket", "ticket"),
        ((TICKET,), b'{"amount": 1, "product": "a"}', b"other", "UNKNOWN_DATA_TYPE"),
        ((TICKET,), b'{"amount": 1, "product": "a"}', None, "UNKNOWN_DATA_TYPE"),
        ((WINE, TICKET), wine(), None, "wine"),
        ((WINE, TICKET), wine(), b"wine", "wine"),
        ((WINE, TICKET), wine(), b"ticket", "MALFORMED"),
        ((by_field("a"), by_field("b")), b'{"kind": "a"}', None, "a"),
        ((by_field("a"), by_field("b")), b'{"kind": "b"}', b"a", "b"),
        ((by_field("a"), by_field("b")), b'{"kind": "c"}', b"a", "UNKNOWN_DATA_TYPE"),
        ((by_field("a"), by_field("b")), b'{"kind": 1}', b"a", "UNKNOWN_DATA_TYPE"),
        ((by_field("a"), by_field("b")), b"{}", b"a", "UNKNOWN_DATA_TYPE"),
        ((by_field("a"), by_field("b")), b'{"kind": "\\ud800"}', b"a", "UNKNOWN_DATA_TYPE"),
        ((DataType("c", (Feature("x"),)), TICKET), b'{"x": 1}', b"anything", "c"),
        ((DataType("c", (Feature("x"),)), TICKET), b'{"amount": 1, "product": "a"}', b"ticket", "ticket"),
    ],
)
def test_routing(others: tuple[DataType, ...], value: bytes, key: bytes | None, found: str) -> None:
    assert routed(DataTypes(others), value, key) == found


def test_two_data_types_by_field_have_their_own_features() -> None:
    data_types = DataTypes((by_field("a", Feature("x")), by_field("b", Feature("x", FeatureKind.STRING))))
    values = [
        b'{"kind": "a", "x": 1}',
        b'{"kind": "b", "x": "one"}',
        b'{"kind": "a", "x": 2}',
        b'{"kind": "b", "x": 1}',
    ]
    decoded = Decoder(data_types, TOPIC).decode(raw(values), RECEIVED_US)
    assert {b.data_type: b.batch.column("x").to_pylist() for b in decoded.batches} == {"a": [1.0, 2.0], "b": ["one"]}
    assert [(one.offset, Reason.Name(one.reason), one.data_type) for one in decoded.rejected] == [
        (FIRST_OFFSET + 3, "WRONG_TYPE", "b")
    ]


def test_the_usual_batch_is_not_copied() -> None:
    batch = raw([wine(pH=float(row)) for row in range(100)])
    (typed,) = Decoder(load_data_types(), TOPIC).decode(batch, RECEIVED_US).batches
    assert typed.batch.column("@value").buffers()[2].address == batch.column("value").buffers()[2].address
    assert typed.records.equals(batch)
    assert typed.batch.column("pH").to_pylist() == [float(row) for row in range(100)]
    assert typed.batch.schema.names[:11] == list(WINE.feature_names)


def test_slices_of_batches() -> None:
    batch = raw([wine(pH=float(row)) for row in range(10)], [b"%d" % row for row in range(10)]).slice(4, 3)
    (typed,) = Decoder(load_data_types(), TOPIC).decode(batch, RECEIVED_US).batches
    assert typed.batch.column("pH").to_pylist() == [4.0, 5.0, 6.0]
    results, rejected = serve(load_data_types(), batch)
    assert [result.number for result in results] == [4.0, 5.0, 6.0]
    assert not rejected


def test_batches_cross_between_operators() -> None:
    values = [b'{"amount": 1, "product": "train", "age": 3}', b'{"amount": 2, "product": "bus"}']
    (typed,) = Decoder(BOTH, TOPIC).decode(raw(values, [b"ticket"] * 2), RECEIVED_US).batches
    arrived = TypedBatch.from_ipc(typed.to_ipc())
    assert (arrived.data_type, arrived.received_us) == ("ticket", RECEIVED_US)
    assert arrived.batch.equals(typed.batch)
    assert arrived.batch.schema.equals(typed.batch.schema, check_metadata=True)


# Protobuf: what ptars and the protobuf library make of the same bytes.

SEED = wine(fixed_acidity=7.4, pH=3.51, alcohol=9.4) + WineRecord(ts=-5).SerializeToString()


@st.composite
def damaged(draw: Any) -> bytes:
    """A wine record with some of its bytes changed, or its end cut off, or random bytes altogether."""
    if draw(st.booleans()):
        return draw(st.binary(min_size=1, max_size=12))  # type: ignore[no-any-return]
    value = bytearray(SEED)
    for _ in range(draw(st.integers(0, 3))):
        value[draw(st.integers(0, len(value) - 1))] = draw(st.integers(0, 255))
    return bytes(value[: draw(st.integers(1, len(value)))])


def expected_wine(value: bytes) -> dict[str, Any] | None:
    try:
        message = WineRecord.FromString(value)
    except DecodeError:
        return None
    return {name: getattr(message, name) for name in WINE.feature_names}


@given(st.lists(damaged(), min_size=1, max_size=8))
def test_protobuf_refuses_and_reads_as_the_protobuf_library(values: list[bytes]) -> None:
    expected = [expected_wine(value) for value in values]
    messages, failures = build_codec(WINE.codec).decode(pa.array(values, pa.binary()))
    assert [failure.row for failure in failures] == [row for row, wines in enumerate(expected) if wines is None]
    columns, more = messages.columns(WINE.features)
    rows = [
        dict(zip(WINE.feature_names, row, strict=True)) for row in zip(*(c.to_pylist() for c in columns), strict=True)
    ]
    assert not more
    assert repr(rows) == repr([wines for wines in expected if wines is not None])  # NaN equals NaN, -0.0 is no 0.0


class Moody:
    """A handler that refuses messages the protobuf library accepts, and cannot encode."""

    def __init__(self, handler: Any, refused: bytes) -> None:
        self.handler = handler
        self.refused = refused

    def array_to_record_batch(self, values: pa.Array) -> pa.RecordBatch:
        if self.refused in values.to_pylist():
            raise ValueError("in no mood")
        return self.handler.array_to_record_batch(values)

    def record_batch_to_array(self, _: pa.RecordBatch) -> pa.Array:
        raise ValueError("in no mood")


def test_what_only_ptars_refuses_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    codec: Any = build_codec(WINE.codec)
    monkeypatch.setattr(codec, "_handler", Moody(codec._handler, wine(pH=2.0)))
    values = [wine(pH=1.0), wine(pH=2.0), b"\xff", wine(pH=3.0)]
    messages, failures = codec.decode(pa.array(values, pa.binary()))
    assert messages.text("pH").to_pylist() == [1.0, 3.0]
    assert {(failure.row, failure.reason) for failure in failures} == {(1, Reason.MALFORMED), (2, Reason.MALFORMED)}
    messages, failures = codec.decode(pa.array([values[0], values[3]], pa.binary()))
    assert (messages.text("pH").to_pylist(), failures) == ([1.0, 3.0], [])


def every_kind() -> tuple[CodecConfig, Callable[..., Any]]:
    """A codec for a message with a field of each kind, and the message's class."""
    from google.protobuf import descriptor_pool, message_factory

    kinds = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="every.proto", package="every", syntax="proto3")
    color = file.enum_type.add(name="Color")
    color.value.add(name="RED", number=0)
    color.value.add(name="BLUE", number=1)
    message = file.message_type.add(name="Every")
    wanted = {
        "int64": kinds.TYPE_INT64,
        "uint64": kinds.TYPE_UINT64,
        "sint32": kinds.TYPE_SINT32,
        "fixed32": kinds.TYPE_FIXED32,
        "float": kinds.TYPE_FLOAT,
        "bool": kinds.TYPE_BOOL,
        "string": kinds.TYPE_STRING,
        "enum": kinds.TYPE_ENUM,
        "bytes": kinds.TYPE_BYTES,
        "message": kinds.TYPE_MESSAGE,
        "maybe": kinds.TYPE_DOUBLE,
        "maybe_string": kinds.TYPE_STRING,
        "list": kinds.TYPE_DOUBLE,
    }
    names = {"enum": ".every.Color", "message": ".every.Every"}
    for number, (name, kind) in enumerate(wanted.items(), 1):
        label = kinds.LABEL_REPEATED if name == "list" else kinds.LABEL_OPTIONAL
        field = message.field.add(name=name, number=number, type=kind, label=label, type_name=names.get(name))
        if name.startswith("maybe"):
            field.proto3_optional = True
            field.oneof_index = len(message.oneof_decl)
            message.oneof_decl.add(name=f"_{name}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    config = CodecConfig("protobuf", descriptor_pb2.FileDescriptorSet(file=[file]).SerializeToString(), "every.Every")
    return config, message_factory.GetMessageClass(pool.FindMessageTypeByName("every.Every"))


@pytest.mark.parametrize(
    ("name", "kind", "value", "seen"),
    [
        ("int64", FeatureKind.NUMBER, -(2**53) - 1, -(2.0**53)),
        ("uint64", FeatureKind.NUMBER, 2**64 - 1, 2.0**64),
        ("sint32", FeatureKind.NUMBER, -7, -7.0),
        ("fixed32", FeatureKind.NUMBER, 7, 7.0),
        ("float", FeatureKind.NUMBER, 0.5, 0.5),
        ("bool", FeatureKind.NUMBER, True, 1.0),
        ("string", FeatureKind.STRING, "né", "né"),
        ("enum", FeatureKind.STRING, 1, "BLUE"),
        ("enum", FeatureKind.STRING, 9, "9"),
        ("maybe", FeatureKind.NUMBER, 0.0, 0.0),
        ("maybe", FeatureKind.NUMBER, None, None),
        ("maybe_string", FeatureKind.STRING, None, None),
        ("int64", FeatureKind.NUMBER, None, 0.0),
        ("string", FeatureKind.STRING, None, ""),
        ("enum", FeatureKind.STRING, None, "RED"),
    ],
)
def test_protobuf_kinds(name: str, kind: FeatureKind, value: Any, seen: Any) -> None:
    config, message_class = every_kind()
    codec = build_codec(config)
    feature = Feature(name, kind)
    codec.check(feature)
    encoded = message_class(message=message_class(int64=1), **({} if value is None else {name: value}))
    messages, failures = codec.decode(pa.array([encoded.SerializeToString()], pa.binary()))
    columns, more = messages.columns([feature])
    assert (columns[0].to_pylist(), failures, more) == ([seen], [], [])


@pytest.mark.parametrize("name", ["bytes", "message", "list"])
def test_protobuf_fields_that_are_no_features(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        build_codec(every_kind()[0]).check(Feature(name))


def test_absent_optional_protobuf_field_is_missing() -> None:
    config, message_class = every_kind()
    data_types = DataTypes((DataType("every", (Feature("maybe"),), config),))
    values = [message_class(int64=1, maybe=value).SerializeToString() for value in (None, 0.0)]
    decoded = Decoder(data_types, TOPIC).decode(raw(values), RECEIVED_US)
    assert [(one.offset, Reason.Name(one.reason)) for one in decoded.rejected] == [(FIRST_OFFSET, "MISSING_FEATURE")]
    assert decoded.batches[0].batch.column("maybe").to_pylist() == [0.0]


# Whatever comes, each record leaves once.

RECORDS = st.one_of(
    st.tuples(st.none(), st.floats().map(lambda number: wine(alcohol=number))),
    st.tuples(st.just(b"k"), st.floats(0, 9).map(lambda number: wine(pH=number))),
    st.tuples(
        st.just(b"ticket"), st.builds(lambda a: json.dumps({"amount": a, "product": "p"}).encode(), st.floats(0, 9))
    ),
    st.tuples(st.just(b"ticket"), st.just(b'{"product": "p"}')),
    st.tuples(st.just(b"ticket"), st.just(b'{"amount": "1", "product": "p"}')),
    st.tuples(st.sampled_from([None, b"ticket", b"k"]), st.none()),
    st.tuples(st.sampled_from([None, b"ticket"]), st.binary(max_size=8)),
    st.tuples(st.none(), damaged()),
    st.tuples(st.none(), st.just(wine("beer"))),
)


@given(st.lists(RECORDS, max_size=30))
def test_results_and_rejected_are_the_records(records: list[tuple[bytes | None, bytes | None]]) -> None:
    keys = [key for key, _ in records]
    values = [value for _, value in records]
    results, rejected = serve(BOTH, raw(values, keys))
    positions = Counter([r.record.offset for r in results] + [r.position.offset for r in rejected])
    assert positions == Counter(range(FIRST_OFFSET, FIRST_OFFSET + len(records)))
    for name in BOTH.names:
        offsets = [result.record.offset for result in results if result.data_type == name]
        assert offsets == sorted(offsets)
    for one in rejected:
        original = one.original if one.HasField("original") else None
        assert original == values[one.position.offset - FIRST_OFFSET]

"""From the rows of a CSV file to the messages of a data type: the way opposite to the job's codecs."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import FieldDescriptor

from modelserving.data_types import DataType, Feature, FeatureKind, RouteBy
from modelserving.errors import ConfigurationError

Encode = Callable[[int], bytes]
"""From the time in epoch milliseconds, for records that hold one, to the message."""

TIME_FIELD = "ts"

_DELIMITERS = ";\t,"


def read_csv(path: Path, data_type: DataType, delimiter: str | None) -> list[dict[str, Any]]:
    """Read the features of each row, by column name if the first row has names, else by position.

    Columns that are no feature, and those after the last one, are left out; an empty cell is a feature left out.
    Without a `delimiter` it is the first of semicolon, tab and comma that the first line holds.

    Raises:
        ConfigurationError: the file cannot be read, or a row lacks a feature or holds text for a number.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    first_line = text.partition("\n")[0]
    separator = delimiter or next((mark for mark in _DELIMITERS if mark in first_line), ",")
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    try:
        rows = [(lines.line_num, row) for row in lines if row]
    except csv.Error as error:
        raise ConfigurationError(f"{path}, line {lines.line_num}: {error}") from error
    columns = _columns(rows[0][1], data_type) if rows else None
    if columns is not None:
        rows = rows[1:]
    if not rows:
        raise ConfigurationError(f"{path} holds no rows")
    positions = columns or {feature.name: position for position, feature in enumerate(data_type.features)}
    return [_features(row, positions, data_type, f"{path}, line {number}") for number, row in rows]


def encoders(rows: Sequence[Mapping[str, Any]], data_type: DataType) -> Iterator[Encode]:
    """What makes the message of each row, in the data type's codec, with the field it is routed by."""
    route = data_type.route
    constants = {route.field: route.value} if route.by is RouteBy.FIELD else {}
    encode = _CODECS[data_type.codec.name](data_type)
    return (encode({**row, **constants}) for row in rows)


def _protobuf(data_type: DataType) -> Callable[[Mapping[str, Any]], Encode]:
    files = descriptor_pb2.FileDescriptorSet.FromString(data_type.codec.descriptor_set)
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    descriptor = pool.FindMessageTypeByName(data_type.codec.message)
    make = message_factory.GetMessageClass(descriptor)
    time_field = descriptor.fields_by_name.get(TIME_FIELD)
    timed = time_field is not None and time_field.type == FieldDescriptor.TYPE_INT64

    def encode(values: Mapping[str, Any]) -> Encode:
        message = make()
        for name, value in values.items():
            try:
                setattr(message, name, _field_value(descriptor.fields_by_name[name], value))
            except (TypeError, ValueError, KeyError) as error:
                raise ConfigurationError(f"{value!r} is no value for {name} of {data_type.name}: {error}") from error

        def at(now_ms: int) -> bytes:
            if timed:
                setattr(message, TIME_FIELD, now_ms)
            return bytes(message.SerializeToString())

        return at

    return encode


def _json(_data_type: DataType) -> Callable[[Mapping[str, Any]], Encode]:
    def encode(values: Mapping[str, Any]) -> Encode:
        message = json.dumps(values, ensure_ascii=False).encode()
        return lambda _now_ms: message

    return encode


_CODECS: Mapping[str, Callable[[DataType], Callable[[Mapping[str, Any]], Encode]]] = {
    "protobuf": _protobuf,
    "json": _json,
}

_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32,
    FieldDescriptor.CPPTYPE_INT64,
    FieldDescriptor.CPPTYPE_UINT32,
    FieldDescriptor.CPPTYPE_UINT64,
}


def _field_value(field: FieldDescriptor, value: Any) -> Any:
    """What a protobuf field takes for a feature's value, a float or text."""
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return {0.0: False, 1.0: True}[value]
    if field.enum_type is not None:
        return field.enum_type.values_by_name[value].number
    if field.cpp_type in _INTEGERS and value.is_integer():
        return int(value)
    return value


def _columns(row: Sequence[str], data_type: DataType) -> dict[str, int] | None:
    """The position of each feature if `row` is a header: if one of its cells is a feature's name."""
    titles = {_plain(cell): position for position, cell in enumerate(row)}
    found = {name: titles[_plain(name)] for name in data_type.feature_names if _plain(name) in titles}
    return found or None


def _plain(name: str) -> str:
    """A name as spreadsheets and programs agree on it: `fixed acidity` and `fixed_acidity` are one."""
    return re.sub(r"[\s._-]+", "_", name.strip()).casefold()


def _features(row: Sequence[str], positions: Mapping[str, int], data_type: DataType, place: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for feature in data_type.features:
        position = positions.get(feature.name, len(row))
        cell = row[position].strip() if position < len(row) else ""
        if cell:
            values[feature.name] = _value(cell, feature, place)
        elif not feature.optional:
            raise ConfigurationError(f"{place}: no value for {feature.name}, which data type {data_type.name} needs")
    return values


def _value(cell: str, feature: Feature, place: str) -> float | str:
    if feature.kind is FeatureKind.STRING:
        return cell
    try:
        return float(cell)
    except ValueError:
        raise ConfigurationError(f"{place}: {cell!r} is no number, which feature {feature.name} is") from None

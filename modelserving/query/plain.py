"""Protobuf messages as plain values, and the JSON schema of what comes of them.

Unlike protobuf's own JSON, all fields are there, under their proto names, and 64-bit integers are numbers. An enum that
may be absent, and is, is an empty string. Bytes are left out.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

# There are two kinds of each, and their stubs are those of another release.
Descriptor = Any
EnumDescriptor = Any
Field = Any

_REAL = (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT)


def plain(message: Message) -> dict[str, Any]:
    """The fields of `message`, also those that are not set."""
    return {
        field.name: ""
        if field.has_presence and field.type == FieldDescriptor.TYPE_ENUM and not message.HasField(field.name)
        else _value(field, getattr(message, field.name))
        for field in _fields(message.DESCRIPTOR)
    }


def enum_name(enum: EnumDescriptor, number: int) -> str:
    """The name of an enum's value; the number itself where a later release has written it."""
    value = enum.values_by_number.get(number)
    return str(number) if value is None else str(value.name)


def schema(descriptor: Descriptor) -> dict[str, Any]:
    """The JSON schema of what `plain` makes of such a message."""
    fields = {field.name: _schema(field) for field in _fields(descriptor)}
    return {"type": "object", "required": list(fields), "properties": fields}


def _fields(descriptor: Descriptor) -> list[Field]:
    return [field for field in descriptor.fields if field.type != FieldDescriptor.TYPE_BYTES]


def _is_map(field: Field) -> bool:
    return field.message_type is not None and bool(field.message_type.GetOptions().map_entry)


def _value(field: Field, value: Any) -> Any:
    if _is_map(field):
        return dict(value)
    if field.label == field.LABEL_REPEATED:
        return [plain(each) for each in value] if field.type == FieldDescriptor.TYPE_MESSAGE else list(value)
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return plain(value)
    if field.type == FieldDescriptor.TYPE_ENUM:
        return enum_name(field.enum_type, value)
    return value


def _schema(field: Field) -> dict[str, Any]:
    if _is_map(field):
        return {"type": "object", "additionalProperties": _single(field.message_type.fields_by_name["value"])}
    if field.label == field.LABEL_REPEATED:
        return {"type": "array", "items": _single(field)}
    return _single(field)


def _single(field: Field) -> dict[str, Any]:
    if field.type == FieldDescriptor.TYPE_MESSAGE:
        return schema(field.message_type)
    if field.type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_ENUM):
        return {"type": "string"}
    if field.type == FieldDescriptor.TYPE_BOOL:
        return {"type": "boolean"}
    # JSON has no word for what is not finite.
    return {"type": ["number", "null"]} if field.type in _REAL else {"type": "integer"}

"""The JSON codec: a record is one JSON object in UTF-8 (RFC 8259), a feature one of its members.

`null` counts as absent, the last of members with the same name wins, and NaN and Infinity, which JSON does not have,
make a record MALFORMED. Numbers are read as doubles; one that no finite double is near is an INVALID_VALUE.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa

from modelserving.arrow import ARROW_TYPES, byte_strings
from modelserving.codecs import Messages
from modelserving.data_types import CodecConfig, Feature, FeatureKind
from modelserving.servable import RecordFailure
from modelserving.wire.serving_pb2 import Reason

_TYPES: dict[FeatureKind, type] = {FeatureKind.NUMBER: float, FeatureKind.STRING: str}
_JSON_NAMES = {float: "a number", str: "a string", bool: "a boolean", dict: "an object", list: "an array"}


def build(_: CodecConfig) -> JsonCodec:
    """The JSON codec; there is nothing to configure."""
    return JsonCodec()


class JsonCodec:
    """Reads JSON objects."""

    def __init__(self) -> None:
        # parse_int=float: a boundless integer costs time that grows with the square of its digits.
        self._parser = json.JSONDecoder(parse_int=float, parse_constant=_refuse_constant)

    def check(self, feature: Feature) -> None:
        """See `Codec.check`: a JSON object may have any feature."""

    def decode(self, values: pa.Array) -> tuple[Messages, list[RecordFailure]]:
        """See `Codec.decode`."""
        objects: list[dict[str, Any]] = []
        failures: list[RecordFailure] = []
        for row, value in enumerate(byte_strings(values)):
            try:
                parsed = self._parser.decode(value.decode("utf-8"))
            except RecursionError:
                failures.append(RecordFailure(row, Reason.MALFORMED, "JSON nested too deeply"))
            except UnicodeDecodeError as error:
                failures.append(RecordFailure(row, Reason.MALFORMED, f"not JSON: not UTF-8 at byte {error.start}"))
            except ValueError as error:
                failures.append(RecordFailure(row, Reason.MALFORMED, f"not JSON: {error}"))
            else:
                if isinstance(parsed, dict):
                    objects.append(parsed)
                else:
                    detail = f"a JSON object is due, not {_json_name(parsed)}"
                    failures.append(RecordFailure(row, Reason.MALFORMED, detail))
        return JsonMessages(objects), failures


class JsonMessages:
    """Decoded JSON objects."""

    def __init__(self, objects: Sequence[dict[str, Any]]) -> None:
        self._objects = objects

    def text(self, field: str) -> pa.Array:
        """See `Messages.text`."""
        values = [message.get(field) for message in self._objects]
        return pa.array([value if _is_text(value) else None for value in values], pa.string())

    def take(self, rows: pa.Array) -> JsonMessages:
        """See `Messages.take`."""
        return JsonMessages([self._objects[row] for row in rows.to_pylist()])

    def columns(self, features: Sequence[Feature]) -> tuple[list[pa.Array], list[RecordFailure]]:
        """See `Messages.columns`."""
        columns: list[pa.Array] = []
        failures: dict[int, RecordFailure] = {}
        for feature in features:
            values = [message.get(feature.name) for message in self._objects]
            column = _numbers(values) if feature.kind is FeatureKind.NUMBER else _strings(values)
            if column is None:
                for row, value in enumerate(values):
                    fault = _fault(feature, value)
                    if fault:
                        values[row] = None
                        failures.setdefault(row, RecordFailure(row, *fault))
                column = pa.array(values, ARROW_TYPES[feature.kind])
            columns.append(column)
        return columns, list(failures.values())


def _numbers(values: list[Any]) -> pa.Array | None:
    """The values as a column, or None if one of them is no finite number."""
    if not set(map(type, values)) <= {float, type(None)}:
        return None
    column = pa.array(values, pa.float64())
    return None if np.isinf(column.to_numpy(zero_copy_only=False)).any() else column


def _strings(values: list[Any]) -> pa.Array | None:
    """The values as a column, or None if one of them is no string of Unicode characters."""
    if not set(map(type, values)) <= {str, type(None)}:
        return None
    try:
        return pa.array(values, pa.string())
    except UnicodeEncodeError:
        return None


def _fault(feature: Feature, value: Any) -> tuple[Reason, str] | None:
    if value is None:
        return None
    expected = _TYPES[feature.kind]
    if type(value) is not expected:
        detail = f"feature {feature.name!r} must be {_JSON_NAMES[expected]}, not {_json_name(value)}"
        return Reason.WRONG_TYPE, detail
    if isinstance(value, float) and np.isinf(value):
        return Reason.INVALID_VALUE, f"feature {feature.name!r} is too large for a double"
    if isinstance(value, str) and not _is_text(value):
        return Reason.INVALID_VALUE, f"feature {feature.name!r} holds half of a surrogate pair, which is no character"
    return None


def _is_text(value: Any) -> bool:
    """Whether a value is a string that UTF-8 can express; JSON's escapes can spell others."""
    if not isinstance(value, str):
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _json_name(value: Any) -> str:
    return _JSON_NAMES.get(type(value), "null")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")

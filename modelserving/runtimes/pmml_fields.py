"""The rules that a PMML document has for its input fields, applied to the columns of a batch.

They are those of https://dmg.org/pmml/v4-4-1/MiningSchema.html: missing, invalid and outlying values. A number that
is not finite is invalid unless the document has a rule for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.data_types import DataType, Feature, FeatureKind
from modelserving.errors import ModelRejected
from modelserving.runtimes.pmml_document import InputField
from modelserving.servable import RecordFailure
from modelserving.wire.serving_pb2 import Reason


@dataclass(frozen=True, slots=True)
class BoundField:
    """An input field and the feature that it reads."""

    field: InputField
    feature: str


def normalised(name: str) -> str:
    """The name in lower case with every run of other characters than letters and digits as one underscore.

    Under this rule a document's field `fixed acidity` is the feature `fixed_acidity`.
    """
    return re.sub(r"[\W_]+", "_", name.casefold()).strip("_")


def bind(fields: tuple[InputField, ...], data_type: DataType) -> tuple[BoundField, ...]:
    """Find each field's feature: the one of its name, else the only one whose normalised name is the same.

    Raises:
        ModelRejected: UNLOADABLE: no such feature, or one of another kind.
    """
    return tuple(BoundField(field, _feature(field, data_type).name) for field in fields)


def _feature(field: InputField, data_type: DataType) -> Feature:
    matches = [feature for feature in data_type.features if feature.name == field.name] or [
        feature for feature in data_type.features if normalised(feature.name) == normalised(field.name)
    ]
    if len(matches) != 1:
        raise ModelRejected(
            Reason.UNLOADABLE,
            f"field {field.name!r} is no feature of data type {data_type.name!r}, which has "
            f"{', '.join(data_type.feature_names)}",
        )
    if (matches[0].kind is FeatureKind.NUMBER) != field.numeric:
        raise ModelRejected(
            Reason.UNLOADABLE,
            f"field {field.name!r} is of type {field.data_type}, but the feature is a {matches[0].kind.value}",
        )
    return matches[0]


@dataclass(slots=True)
class Treated:
    """A column with the rules applied; where a value is missing or failed its element in `values` means nothing."""

    values: NDArray[Any]
    """(n,) float64, or strings as objects."""
    missing: NDArray[np.bool_]
    """(n,) missing, and not replaced."""
    failed: NDArray[np.bool_]
    """(n,) against the rules."""


def prepared(batch: pa.RecordBatch, bound: tuple[BoundField, ...]) -> tuple[list[list[Any]], list[RecordFailure]]:
    """Apply the rules to the columns of `batch`.

    Returns:
        One list of Python values for each field, with None for a missing value; and the failures of rows with an
        invalid value, each row once.
    """
    columns = []
    parts = []
    for each in bound:
        raw = batch.column(each.feature)
        column = treated(raw, each.field)
        parts.append((each, raw, column))
        values = column.values.tolist()
        for row in np.flatnonzero(column.missing):
            values[row] = None
        columns.append(values)
    return columns, failures(parts)


def failures(columns: Iterable[tuple[BoundField, pa.Array, Treated]]) -> list[RecordFailure]:
    """The rows with a value against the rules, each once, for the first field that says so.

    Args:
        columns: of each field the values before and after the rules.
    """
    found: dict[int, RecordFailure] = {}
    for bound, raw, column in columns:
        for row in np.flatnonzero(column.failed).tolist():
            found.setdefault(row, _failure(row, bound, raw[row].as_py()))
    return list(found.values())


def _failure(row: int, bound: BoundField, value: object) -> RecordFailure:
    if value is None:
        return RecordFailure(row, Reason.MISSING_FEATURE, f"feature {bound.feature!r} is missing")
    return RecordFailure(row, Reason.INVALID_VALUE, f"feature {bound.feature!r} is {value!r}, invalid for the model")


def treated(raw: pa.Array, field: InputField) -> Treated:
    """Apply the rules to the values of one field, float64 or strings."""
    values = raw.to_numpy(zero_copy_only=False)
    missing = np.array(raw.is_null().to_numpy(zero_copy_only=False), dtype=bool)
    column = Treated(
        values.copy(),
        missing | _among(values, _of_type(field.missing_values, field), field),
        np.zeros(len(values), bool),
    )
    wrong = invalid(values, field) & ~column.missing
    if field.numeric:
        _treat_outliers(column, field, ~wrong & ~column.missing)
    _treat_invalid(column, field, wrong)
    if field.missing_value_treatment == "returnInvalid":
        column.failed |= column.missing
    elif field.missing_value_replacement is not None:
        column.values[column.missing] = _cast(field.missing_value_replacement, field)
        column.missing[:] = False
    return column


def _treat_invalid(column: Treated, field: InputField, invalid: NDArray[np.bool_]) -> None:
    treatment = field.invalid_value_treatment
    if treatment == "asMissing":
        column.missing |= invalid
    elif treatment not in ("asIs", "asValue"):
        column.failed |= invalid
    # JPMML reads a replacement, or its absence, with the one as with the other
    elif field.invalid_value_replacement is not None:
        column.values[invalid] = _cast(field.invalid_value_replacement, field)
    elif field.numeric:
        # what is not a value of the field's type at all stays without a rule
        column.failed |= invalid & (~np.isfinite(column.values) | _broken(column.values, field))


def _treat_outliers(column: Treated, field: InputField, valid: NDArray[np.bool_]) -> None:
    if field.outliers == "asIs":
        return
    values = _typed(column.values, field)
    for bound, beyond in ((field.low_value, np.less), (field.high_value, np.greater)):
        if bound is None:
            continue
        outlying = valid & beyond(values, _typed(np.array(bound), field))
        if field.outliers == "asMissingValues":
            column.missing |= outlying
        else:
            column.values[outlying] = bound


def invalid(values: NDArray[Any], field: InputField) -> NDArray[np.bool_]:
    """Which values of a field, none of them missing, the document calls invalid.

    Where it names valid values, its intervals allow no others, as with JPMML.
    """
    refused = _among(values, _of_type(field.invalid_values, field), field)
    if field.numeric:
        refused |= np.isnan(values) | (np.isinf(values) & _unbounded(values, field)) | _broken(values, field)
    if field.valid_values:
        refused |= ~_among(values, field.valid_values, field)
    elif field.intervals:
        typed = _typed(values, field)
        inside = [_within(typed, each.left, each.right, each.closure) for each in field.intervals]
        refused |= ~np.logical_or.reduce(inside)
    return refused


def _typed(values: NDArray[Any], field: InputField) -> NDArray[Any]:
    """The numbers as the field's type has them: those of a float field have 32 bits."""
    if field.data_type != "float":
        return values
    with np.errstate(over="ignore"):
        return values.astype(np.float32).astype(np.float64)


def _broken(values: NDArray[Any], field: InputField) -> NDArray[np.bool_]:
    """Numbers with a fraction where the field has whole ones."""
    if field.data_type != "integer":
        return np.zeros(len(values), dtype=bool)
    broken: NDArray[np.bool_] = np.isfinite(values) & (values != np.trunc(values))
    return broken


def _unbounded(values: NDArray[Any], field: InputField) -> NDArray[np.bool_]:
    """Where no outlier rule brings an infinite value back into a finite range."""
    if field.outliers == "asIs":
        return np.ones(len(values), dtype=bool)
    return np.where(values > 0, field.high_value is None, field.low_value is None)


def _within(values: NDArray[Any], left: float | None, right: float | None, closure: str) -> NDArray[np.bool_]:
    inside = np.ones(len(values), dtype=bool)
    if left is not None:
        inside &= values >= left if closure.startswith("closed") else values > left
    if right is not None:
        inside &= values <= right if closure.endswith("Closed") else values < right
    return inside


def _among(values: NDArray[Any], texts: tuple[str, ...], field: InputField) -> NDArray[np.bool_]:
    if not texts:
        return np.zeros(len(values), dtype=bool)
    named = np.array([_cast(text, field) for text in texts], dtype=values.dtype)
    return np.isin(_typed(values, field), _typed(named, field))


def _of_type(texts: tuple[str, ...], field: InputField) -> tuple[str, ...]:
    """Those that a value of the field's type may have: a missing or an invalid value can be named by another text."""
    return tuple(text for text in texts if not field.numeric or _is_number(text))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _cast(text: str, field: InputField) -> float | str:
    if not field.numeric:
        return text
    try:
        return float(text)
    except ValueError as error:
        raise ModelRejected(
            Reason.UNLOADABLE, f"value {text!r} of field {field.name!r} is not of its type {field.data_type}"
        ) from error

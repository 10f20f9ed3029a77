"""Expressions that look up a value in a table: https://dmg.org/pmml/v4-4-1/Transformations.html.

"Discretization" has a bin for each range of numbers, "Map Values" a row for each combination of values.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelserving.runtimes.vectorised.columns import UNKNOWN, Column, Field, Frame, Mask, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, child, number
from modelserving.runtimes.vectorised.predicates import below
from modelserving.runtimes.vectorised.typed import Expression, constant_number, either

_DEFAULT, _MISSING = -2, -1
"""Where a table keeps what it gives to what it does not list, and to what is missing."""

_MOST_COMBINATIONS = 2**62

Index = NDArray[np.intp]


def discretize(element: ET.Element, scope: Scope) -> Expression:
    """Compile a Discretize.

    Raises:
        NotCovered: of a category, or its bins overlap.
    """
    field = scope.resolve(element.get("field", ""))
    if not field.numeric:
        raise NotCovered("Discretize of a category")
    ranges = [(*_range(child(each, "Interval")), each.get("binValue", "")) for each in element.findall("DiscretizeBin")]
    # one like (1, 1] holds nothing
    bins = sorted(each for each in ranges if each[0] <= each[1])
    if not bins:
        raise NotCovered("Discretize without bins")
    first, last = np.array([low for low, _, _ in bins]), np.array([high for _, high, _ in bins])
    if (first[1:] <= last[:-1]).any():
        raise NotCovered("Discretize with bins that overlap")

    def index(frame: Frame) -> Index:
        given = field.column(frame)
        found = np.minimum(last.searchsorted(given.values), len(last) - 1)
        inside = (given.values >= first[found]) & (given.values <= last[found])
        return _index(found, inside, given.missing)

    return _table(element, [text for _, _, text in bins], scope, index)


def _range(interval: ET.Element) -> tuple[float, float]:
    """The first and the last number of an interval."""
    closure = interval.get("closure", "")
    if closure not in ("openOpen", "openClosed", "closedOpen", "closedClosed"):
        raise NotCovered(f"Interval with closure={closure!r}")
    left, right = number(interval, "leftMargin", -math.inf), number(interval, "rightMargin", math.inf)
    if left > right:
        raise NotCovered("Interval whose left margin is beyond the right one")
    # a margin that is not given is not excluded either
    first = math.nextafter(left, math.inf) if closure.startswith("open") and math.isfinite(left) else left
    last = below(right) if closure.endswith("Open") and math.isfinite(right) else right
    return first, last


def map_values(element: ET.Element, scope: Scope) -> Expression:
    """Compile a MapValues.

    Raises:
        NotCovered: its table is elsewhere, lists the same values twice, or lacks some.
    """
    pairs = element.findall("FieldColumnPair")
    rows = [_cells(row) for row in child(element, "InlineTable").findall("row")]
    if not pairs or not rows:
        raise NotCovered("MapValues without fields or rows")
    fields = [scope.resolve(pair.get("field", "")) for pair in pairs]
    keys = [
        _keys(field, _column(rows, pair.get("column", "")), scope) for field, pair in zip(fields, pairs, strict=True)
    ]
    listed = [np.unique(each) for each in keys]
    if math.prod(len(each) + 1 for each in listed) > _MOST_COMBINATIONS:
        raise NotCovered("MapValues with as many combinations of values")
    combined = _combined(listed, keys)[0]
    order = np.argsort(combined, kind="stable")
    combined = combined[order]
    if (combined[1:] == combined[:-1]).any():
        raise NotCovered("MapValues with the same values in two rows")

    def index(frame: Frame) -> Index:
        columns = [field.column(frame) for field in fields]
        wanted, known = _combined(listed, [each.values for each in columns])
        found = np.minimum(combined.searchsorted(wanted), len(combined) - 1)
        missing = None
        for each in columns:
            missing = either(missing, each.missing)
        return _index(order[found], known & (combined[found] == wanted), missing)

    return _table(element, _column(rows, element.get("outputColumn", "")), scope, index)


def _cells(row: ET.Element) -> dict[str, str]:
    cells = {cell.tag: cell.text or "" for cell in row}
    if len(cells) < len(row):
        raise NotCovered("MapValues with two values for a column in a row")
    return cells


def _column(rows: Sequence[dict[str, str]], name: str) -> list[str]:
    if any(name not in row for row in rows):
        raise NotCovered(f"MapValues with a row without column {name!r}")
    return [row[name] for row in rows]


def _keys(field: Field, texts: Sequence[str], scope: Scope) -> NDArray[Any]:
    """(r,) what a field's value has to be in each row."""
    if field.numeric:
        return np.array([field.number(text) for text in texts])
    if field.data_type == "string":
        return np.array([scope.vocabulary.add(text) for text in texts], dtype=np.int32)
    raise NotCovered(f"MapValues of a field of type {field.data_type}")


def _combined(listed: Sequence[NDArray[Any]], values: Sequence[NDArray[Any]]) -> tuple[NDArray[np.int64], Mask]:
    """One number for the values of each field together, and which are all listed."""
    combined, known = np.zeros(len(values[0]), dtype=np.int64), np.ones(len(values[0]), dtype=bool)
    for own, given in zip(listed, values, strict=True):
        found = np.minimum(own.searchsorted(given), len(own) - 1)
        known &= own[found] == given
        combined = combined * len(own) + found
    return combined, known


def _index(found: Index, inside: Mask, missing: Mask | None) -> Index:
    index = np.where(inside, found, _DEFAULT)
    return index if missing is None else np.where(missing, _MISSING, index)


def _table(element: ET.Element, texts: Sequence[str], scope: Scope, index: Callable[[Frame], Index]) -> Expression:
    """What the element gives to each row of a frame, by the row of its table."""
    every = [*texts, element.get("defaultValue"), element.get("mapMissingTo")]
    absent = np.array([text is None for text in every])
    data_type = element.get("dataType", "string")
    values: NDArray[Any]
    if data_type == "string":
        codes = [UNKNOWN if text is None else scope.vocabulary.add(text) for text in every]
        values = np.array(codes, dtype=np.int32)
    else:
        values = np.array([0.0 if text is None else constant_number(text, data_type, element.tag) for text in every])

    def column(frame: Frame) -> Column:
        rows = index(frame)
        missing = absent[rows]
        return Column(values[rows], missing if missing.any() else None)

    given = tuple(text for text in every if text is not None)
    return Expression(data_type, column, texts=given if data_type == "string" else None)

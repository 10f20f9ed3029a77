"""Compiled expressions: what type they have, and how their values become those of another type."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from modelserving.runtimes.vectorised.columns import UNKNOWN, Column, Field, Frame, Mask, Scope, Texts, typed_number
from modelserving.runtimes.vectorised.coverage import NotCovered, number

NUMERIC = ("double", "float", "integer")

MIXED = "integer or double"
"""The type of what is the one in some rows and the other in the rest: a division of integers is another one."""

_TRUTHS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression."""

    data_type: str
    """`double`, `float`, `integer`, `MIXED`, `boolean` (1 and 0) or `string` (codes of categories)."""
    column: Callable[[Frame], Column]
    constant: str | None = None
    """The text of a Constant."""
    texts: tuple[str, ...] | None = None
    """All categories that there may be; None where a record may bring another."""


def single(column: Column) -> Column:
    """The numbers rounded to 32 bits."""
    with np.errstate(over="ignore"):
        return Column(column.values.astype(np.float32).astype(np.float64), column.missing)


def either(one: Mask | None, other: Mask | None) -> Mask | None:
    """Where one of the two is true; None where neither may be."""
    if one is None or other is None:
        return other if one is None else one
    result: Mask = one | other
    return result


def constant_number(text: str, data_type: str, what: str) -> float:
    """A number, or a truth as one, that an expression gives.

    Raises:
        NotCovered: the text is none of that type, or the type is another one.
    """
    if data_type == "boolean" and text in _TRUTHS:
        return _TRUTHS[text]
    if data_type not in NUMERIC:
        raise NotCovered(f"value {text!r} for {what} of type {data_type}")
    value = typed_number(text, data_type, what)
    if data_type == "integer" and not value.is_integer():
        raise NotCovered(f"value {text!r} for {what} of type integer")
    return value


def value_of(text: str, field: Field, scope: Scope) -> float:
    """What stands in the field's column where it has the value of that text: a number, a truth, a category's code.

    Raises:
        NotCovered: the text is not of the field's type.
    """
    if field.numeric:
        return field.number(text)
    if field.data_type == "string":
        return float(scope.vocabulary.add(text))
    return constant_number(text, field.data_type, f"field {field.name!r}")


def converted(made: Expression, data_type: str, scope: Scope, what: str) -> Expression:
    """The values as those of another type.

    Raises:
        NotCovered: they would have to be rounded to integers, formatted, or parsed from what records bring.
    """
    numeric = made.data_type in (*NUMERIC, MIXED)
    if data_type == "float" and numeric:
        # also of a float: what is given instead of a missing one is as wide as it is written
        return Expression(data_type, lambda frame: single(made.column(frame)))
    if data_type == made.data_type or (data_type == "double" and numeric):
        return replace(made, data_type=data_type)
    if data_type in NUMERIC and made.data_type == "string" and made.texts is not None:
        return _parsed(made, made.texts, data_type, scope, what)
    raise NotCovered(f"{what} of type {data_type} from a value of type {made.data_type}")


def _parsed(made: Expression, texts: tuple[str, ...], data_type: str, scope: Scope, what: str) -> Expression:
    codes = [scope.vocabulary.add(text) for text in texts]
    numbers = np.zeros(max(codes, default=UNKNOWN) + 2)
    numbers[codes] = [constant_number(text, data_type, what) for text in texts]

    def column(frame: Frame) -> Column:
        given = made.column(frame)
        # what is missing has any code
        rows = given.values if given.missing is None else np.where(given.missing, UNKNOWN, given.values)
        return Column(numbers[rows], given.missing)

    return Expression(data_type, column)


def filled(element: ET.Element, attribute: str, made: Expression, scope: Scope) -> Expression:
    """The values, with what the element's attribute says instead of missing ones; as they are if it says nothing.

    Raises:
        NotCovered: what it says is not of the values' type.
    """
    text = element.get(attribute)
    if text is None:
        return made
    if made.data_type == "string":
        return _filled_with_category(text, made, scope)
    value = constant_number(text, "boolean", attribute) if made.data_type == "boolean" else number(element, attribute)

    def column(frame: Frame) -> Column:
        given = made.column(frame)
        return given if given.missing is None else Column(np.where(given.missing, value, given.values))

    return Expression(made.data_type, column)


def _filled_with_category(text: str, made: Expression, scope: Scope) -> Expression:
    code = scope.vocabulary.add(text)

    def column(frame: Frame) -> Column:
        given = made.column(frame)
        if given.missing is None:
            return given
        texts = given.texts
        if texts is not None:
            rows = np.where(given.missing, len(texts.values), texts.rows)
            texts = Texts(np.append(texts.values, np.array([text], dtype=object)), rows)
        return Column(np.where(given.missing, np.int32(code), given.values), None, texts)

    return Expression("string", column, texts=None if made.texts is None else (*made.texts, text))

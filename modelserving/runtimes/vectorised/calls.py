"""Apply, a call of a built-in function: https://dmg.org/pmml/v4-4-1/Functions.html."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from modelserving.runtimes.vectorised.columns import Column, Frame, Numbers, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, only
from modelserving.runtimes.vectorised.functions import (
    AGGREGATES,
    ARITHMETIC,
    BINARY,
    COMPARISONS,
    LOGIC,
    ROUNDING,
    UNARY,
)
from modelserving.runtimes.vectorised.strings import among, choice, of_categories
from modelserving.runtimes.vectorised.typed import (
    MIXED,
    NUMERIC,
    Expression,
    constant_number,
    converted,
    either,
    filled,
    single,
)


def call(element: ET.Element, given: Sequence[Expression], scope: Scope) -> Expression:
    """Compile an Apply.

    Args:
        element: the Apply.
        given: its arguments.
        scope: where it is.

    Raises:
        NotCovered
    """
    only(element, "invalidValueTreatment", None, "returnInvalid")
    name, strict = element.get("function", ""), element.get("mapMissingTo") is not None
    if name == "if" and len(given) == 2 and strict:
        raise NotCovered("if without a value for false, with mapMissingTo")
    # the first is for a missing argument, the second for a missing result
    made = filled(element, "mapMissingTo", _function(name, given, scope, strict), scope)
    return filled(element, "defaultValue", made, scope)


def _function(name: str, given: Sequence[Expression], scope: Scope, strict: bool) -> Expression:
    """With `strict` the value is missing wherever that of an argument is; of `if`, of one that counts."""
    count = len(given)
    if name in ("isMissing", "isNotMissing") and count == 1:
        return _missing(given[0], name == "isMissing", strict)
    if name in ("isIn", "isNotIn") and count >= 2:
        return _membership(name == "isIn", given, scope, strict)
    if name == "if" and count in (2, 3):
        return _if(given, scope)
    if any(each.data_type == "string" for each in given):
        return of_categories(name, given, scope, strict=strict)
    width = _width(given)
    if name in ARITHMETIC and count == 2 and not (width in ("integer", MIXED) and name == "/"):
        return _elementwise(width, ARITHMETIC[name], given)
    if name == "modulo" and count == 2 and (width != "integer" or float(given[1].constant or 0)):
        return _elementwise(width, _modulo, given)
    if name in UNARY and count == 1:
        data_type = "integer" if name in ROUNDING else width if name == "abs" else "double"
        return _elementwise(data_type, UNARY[name], given)
    if name in BINARY and count == 2 and width == "double":
        return _elementwise("double", BINARY[name], given)
    if name in COMPARISONS and count == 2:
        # as in JPMML, the second is made one of the first's type
        other = converted(given[1], "float", scope, name) if given[0].data_type == "float" else given[1]
        return _elementwise("boolean", COMPARISONS[name], (given[0], other))
    if name in LOGIC and count >= 2:
        return _elementwise("boolean", lambda *values: reduce(LOGIC[name], values), given)
    if name == "not" and count == 1:
        return _elementwise("boolean", np.logical_not, given)
    if name in AGGREGATES and count >= 1 and (width != "float" or name in ("min", "max")):
        return _aggregate("double" if name == "avg" else width, name, given, strict)
    raise NotCovered(f"function {name} of {count} arguments of type {', '.join(each.data_type for each in given)}")


def _width(given: Sequence[Expression]) -> str:
    """The type that arithmetic of these gives: as in JPMML, floats beside nothing wider give a float.

    Raises:
        NotCovered: it is another one for each record.
    """
    types = {each.data_type for each in given}
    if types == {"integer"}:
        return "integer"
    if types <= {"integer", MIXED}:
        return MIXED
    if MIXED in types and "double" not in types:
        raise NotCovered(f"a function of arguments of type {', '.join(each.data_type for each in given)}")
    return "float" if types <= {"float", "integer"} else "double"


def _modulo(dividend: Numbers, divisor: Numbers) -> Numbers:
    # of the sign of the divisor, as in Java; a remainder of NumPy is more exact
    result: Numbers = dividend - np.floor(dividend / divisor) * divisor
    return result


def _elementwise(data_type: str, function: Callable[..., Numbers], given: Sequence[Expression]) -> Expression:
    def column(frame: Frame) -> Column:
        columns = [each.column(frame) for each in given]
        with np.errstate(all="ignore"):
            values = function(*(each.values for each in columns)).astype(np.float64, copy=False)
        return Column(values, reduce(either, (each.missing for each in columns)))

    return Expression(data_type, column if data_type != "float" else lambda frame: single(column(frame)))


def _aggregate(data_type: str, name: str, given: Sequence[Expression], strict: bool) -> Expression:
    """Of the arguments that are not missing."""

    def column(frame: Frame) -> Column:
        columns = [each.column(frame) for each in given]
        none = np.zeros(frame.rows, dtype=bool)
        absent = np.stack([none if each.missing is None else each.missing for each in columns])
        with np.errstate(all="ignore"):
            values = AGGREGATES[name](np.stack([each.values for each in columns]), absent)
        missing = absent.any(axis=0) if strict else absent.all(axis=0)
        return Column(values, missing if missing.any() else None)

    return Expression(data_type, column)


def _missing(given: Expression, wanted: bool, strict: bool) -> Expression:
    def column(frame: Frame) -> Column:
        absent = given.column(frame).missing
        if absent is None:
            return Column(np.full(frame.rows, float(not wanted)))
        return Column((absent == wanted).astype(np.float64), absent if strict else None)

    return Expression("boolean", column)


def _membership(wanted: bool, given: Sequence[Expression], scope: Scope, strict: bool) -> Expression:
    """A missing value is not among constants."""
    value, constants = given[0], [each.constant for each in given[1:] if each.constant is not None]
    if len(constants) < len(given) - 1 or value.constant is not None:
        raise NotCovered("isIn of a constant, or of what is no Constant")
    if value.data_type == "string":
        inside = among(value, constants, scope, wanted=True)
    elif value.data_type in NUMERIC and all(each.data_type in NUMERIC for each in given[1:]):
        # as in JPMML, constants are made of the value's type
        types = [each.data_type if value.data_type == "double" else value.data_type for each in given[1:]]
        inside = _among_numbers(value, [constant_number(*each, "isIn") for each in zip(constants, types, strict=True)])
    else:
        raise NotCovered(f"isIn of types {', '.join(each.data_type for each in given)}")

    def column(frame: Frame) -> Column:
        found = inside.column(frame)
        true = found.values != 0
        if found.missing is not None:
            true = true & ~found.missing
        return Column((true == wanted).astype(np.float64), found.missing if strict else None)

    return Expression("boolean", column)


def _among_numbers(value: Expression, numbers: Sequence[float]) -> Expression:
    def column(frame: Frame) -> Column:
        own = value.column(frame)
        return Column(np.isin(own.values, numbers).astype(np.float64), own.missing)

    return Expression("boolean", column)


def _if(given: Sequence[Expression], scope: Scope) -> Expression:
    condition, *branches = given
    types = {each.data_type for each in branches}
    if condition.data_type == "string" or (len(types) > 1 and not types <= {"integer", "double", MIXED}):
        raise NotCovered("if with branches of different types, or of a category")
    data_type = MIXED if len(types) > 1 else branches[0].data_type

    def column(frame: Frame) -> Column:
        decided = condition.column(frame)
        true = decided.values != 0
        columns = [each.column(frame) for each in branches]
        none = np.zeros(frame.rows, dtype=bool)
        absent = [none if each.missing is None else each.missing for each in columns]
        if len(columns) == 1:
            return Column(columns[0].values, either(decided.missing, ~true | absent[0]), columns[0].texts)
        missing = either(decided.missing, np.where(true, absent[0], absent[1]))
        if types == {"string"}:
            return choice(true, columns[0], columns[1], missing, scope.vocabulary)
        return Column(np.where(true, columns[0].values, columns[1].values), missing)

    closed = [each.texts for each in branches if each.texts is not None]
    texts = tuple(dict.fromkeys(text for each in closed for text in each)) if len(closed) == len(branches) else None
    return Expression(data_type, column, texts=texts)

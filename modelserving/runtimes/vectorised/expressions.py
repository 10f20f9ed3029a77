"""Expressions of derived fields: https://dmg.org/pmml/v4-4-1/Transformations.html and Functions.html."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from modelserving.runtimes.vectorised.columns import UNKNOWN, Column, Frame, Mask, Numbers, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, number, only
from modelserving.runtimes.vectorised.functions import (
    AGGREGATES,
    ARITHMETIC,
    BINARY,
    COMPARISONS,
    LOGIC,
    UNARY,
)
from modelserving.runtimes.vectorised.normalisation import normalise

NUMERIC = ("double", "float", "integer")


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression."""

    data_type: str
    """`double`, `float`, `integer`, `boolean` (1 and 0) or `string` (codes of categories)."""
    column: Callable[[Frame], Column]
    constant: str | None = None
    """The text of a Constant."""


def expression(element: ET.Element, scope: Scope) -> Expression:
    """Compile an expression.

    Raises:
        NotCovered
    """
    compiler = _COMPILERS.get(element.tag)
    if compiler is None:
        raise NotCovered(f"expression {element.tag}")
    return compiler(element, scope)


def define(element: ET.Element, scope: Scope) -> None:
    """Make a DerivedField visible in `scope`.

    Raises:
        NotCovered: its expression, or a type that its values would have to be converted to.
    """
    made = derived(element, scope)
    scope.define(element.get("name", ""), made.data_type, made.column)


def derived(element: ET.Element, scope: Scope) -> Expression:
    """The values of a DerivedField, of its type.

    Raises:
        NotCovered
    """
    inner = [each for each in element if each.tag not in ("Value", "Interval")]
    if len(inner) != 1:
        raise NotCovered(f"DerivedField {element.get('name')!r} without one expression")
    made = expression(inner[0], scope)
    wanted = element.get("dataType", made.data_type)
    if wanted == made.data_type or (wanted == "double" and made.data_type in NUMERIC):
        return Expression(wanted, made.column)
    if wanted == "float" and made.data_type in NUMERIC:
        return Expression(wanted, lambda frame: _single(made.column(frame)))
    raise NotCovered(f"DerivedField of type {wanted} from a value of type {made.data_type}")


def _single(column: Column) -> Column:
    with np.errstate(over="ignore"):
        return Column(column.values.astype(np.float32).astype(np.float64), column.missing)


def _filled(column: Column, value: float) -> Column:
    if column.missing is None:
        return column
    return Column(np.where(column.missing, value, column.values))


def _constant(element: ET.Element, _: Scope) -> Expression:
    only(element, "missing", None, "false")
    text = element.text or ""
    data_type = element.get("dataType") or _type_of(text)
    if data_type not in NUMERIC:
        # categories have a code only beside the field that they are compared with
        return Expression(data_type, lambda frame: Column(np.full(frame.rows, UNKNOWN, dtype=np.int32)), text)
    try:
        value = float(text)
    except ValueError as error:
        raise NotCovered(f"Constant {text!r} of type {data_type}") from error
    return Expression(data_type, lambda frame: Column(np.full(frame.rows, value)), text)


def _type_of(text: str) -> str:
    for data_type, kind in (("integer", int), ("double", float)):
        try:
            kind(text)
        except ValueError:
            continue
        return data_type
    return "string"


def _field_ref(element: ET.Element, scope: Scope) -> Expression:
    field = scope.resolve(element.get("field", ""))
    if element.get("mapMissingTo") is None:
        return Expression(field.data_type, field.column)
    if not field.numeric:
        raise NotCovered("FieldRef to a category with mapMissingTo")
    value = number(element, "mapMissingTo")
    return Expression(field.data_type, lambda frame: _filled(field.column(frame), value))


def _norm_continuous(element: ET.Element, scope: Scope) -> Expression:
    field = scope.resolve(element.get("field", ""))
    if not field.numeric:
        raise NotCovered("NormContinuous of a category")
    normalised = normalise(element)
    value = None if element.get("mapMissingTo") is None else number(element, "mapMissingTo")

    def column(frame: Frame) -> Column:
        given = field.column(frame)
        values, outside = normalised(given.values)
        made = Column(values, _either(given.missing, outside))
        return made if value is None else _filled(made, value)

    return Expression("double", column)


def _norm_discrete(element: ET.Element, scope: Scope) -> Expression:
    only(element, "method", None, "indicator")
    field = scope.resolve(element.get("field", ""))
    text = element.get("value", "")
    wanted = field.number(text) if field.numeric else float(scope.vocabulary.add(text))
    value = None if element.get("mapMissingTo") is None else number(element, "mapMissingTo")

    def column(frame: Frame) -> Column:
        given = field.column(frame)
        made = Column((given.values == wanted).astype(np.float64), given.missing)
        return made if value is None else _filled(made, value)

    return Expression("double", column)


def _apply(element: ET.Element, scope: Scope) -> Expression:
    only(element, "invalidValueTreatment", None, "returnInvalid")
    if element.get("defaultValue") is not None:
        raise NotCovered("Apply with defaultValue")
    made = _function(element.get("function", ""), [expression(each, scope) for each in element], scope)
    if element.get("mapMissingTo") is None:
        return made
    value = number(element, "mapMissingTo")
    return Expression(made.data_type, lambda frame: _filled(made.column(frame), value))


def _function(name: str, given: Sequence[Expression], scope: Scope) -> Expression:
    count = len(given)
    if name in ("isMissing", "isNotMissing") and count == 1:
        return _missing(given[0], name == "isMissing")
    if name in ("equal", "notEqual") and count == 2 and any(each.data_type == "string" for each in given):
        return _categories(name, given, scope)
    if any(each.data_type not in (*NUMERIC, "boolean") for each in given):
        raise NotCovered(f"function {name} of categories")
    width = _width(given)
    if name in ARITHMETIC and count == 2 and not (width == "integer" and name == "/"):
        return _elementwise(width, ARITHMETIC[name], given)
    if name in UNARY and count == 1 and width != "integer":
        return _elementwise("double", UNARY[name], given)
    if name in BINARY and count == 2 and width == "double":
        return _elementwise("double", BINARY[name], given)
    if name in COMPARISONS and count == 2:
        return _elementwise("boolean", COMPARISONS[name], given)
    if name in LOGIC and count >= 2:
        return _elementwise("boolean", lambda *values: reduce(LOGIC[name], values), given)
    if name == "not" and count == 1:
        return _elementwise("boolean", np.logical_not, given)
    if name in AGGREGATES and count >= 1 and (width == "double" or name in ("min", "max")):
        return _aggregate(width, name, given)
    if name == "if" and count in (2, 3):
        return _if(given)
    raise NotCovered(f"function {name} of {count} arguments of type {', '.join(each.data_type for each in given)}")


def _width(given: Sequence[Expression]) -> str:
    """The type that arithmetic of these gives: as in JPMML, floats beside nothing wider give a float."""
    types = {each.data_type for each in given}
    if types == {"integer"}:
        return "integer"
    return "float" if types <= {"float", "integer"} else "double"


def _elementwise(data_type: str, function: Callable[..., Numbers], given: Sequence[Expression]) -> Expression:
    def column(frame: Frame) -> Column:
        columns = [each.column(frame) for each in given]
        with np.errstate(all="ignore"):
            values = function(*(each.values for each in columns)).astype(np.float64, copy=False)
        return Column(values, reduce(_either, (each.missing for each in columns)))

    return Expression(data_type, column if data_type != "float" else lambda frame: _single(column(frame)))


def _aggregate(data_type: str, name: str, given: Sequence[Expression]) -> Expression:
    def column(frame: Frame) -> Column:
        columns = [each.column(frame) for each in given]
        with np.errstate(all="ignore"):
            values = AGGREGATES[name](np.stack([each.numbers() for each in columns]))
        absent = [each.missing for each in columns]
        if any(each is None for each in absent):
            return Column(values)
        return Column(values, np.logical_and.reduce(np.stack([each for each in absent if each is not None])))

    return Expression(data_type, column)


def _missing(given: Expression, wanted: bool) -> Expression:
    def column(frame: Frame) -> Column:
        absent = given.column(frame).missing
        if absent is None:
            return Column(np.full(frame.rows, float(not wanted)))
        return Column((absent == wanted).astype(np.float64))

    return Expression("boolean", column)


def _categories(name: str, given: Sequence[Expression], scope: Scope) -> Expression:
    constants = [each.constant for each in given if each.constant is not None]
    fields = [each for each in given if each.constant is None]
    if len(fields) != 1 or fields[0].data_type != "string":
        raise NotCovered(f"function {name} of two fields of categories")
    code = scope.vocabulary.add(constants[0])

    def column(frame: Frame) -> Column:
        own = fields[0].column(frame)
        return Column(((own.values == code) == (name == "equal")).astype(np.float64), own.missing)

    return Expression("boolean", column)


def _if(given: Sequence[Expression]) -> Expression:
    condition, *branches = given
    types = {each.data_type for each in branches}
    if types not in ({"integer"}, {"float"}, {"double"}):
        raise NotCovered("if with branches of different types, or of categories")

    def column(frame: Frame) -> Column:
        decided = condition.column(frame)
        true = decided.values != 0
        columns = [each.column(frame) for each in branches]
        none = np.zeros(frame.rows, dtype=bool)
        absent = [none if each.missing is None else each.missing for each in columns]
        if len(columns) == 1:
            return Column(columns[0].values, _either(decided.missing, ~true | absent[0]))
        values = np.where(true, columns[0].values, columns[1].values)
        return Column(values, _either(decided.missing, np.where(true, absent[0], absent[1])))

    return Expression(branches[0].data_type, column)


def _either(one: Mask | None, other: Mask | None) -> Mask | None:
    if one is None or other is None:
        return other if one is None else one
    result: Mask = one | other
    return result


_COMPILERS: dict[str, Callable[[ET.Element, Scope], Expression]] = {
    "Constant": _constant,
    "FieldRef": _field_ref,
    "NormContinuous": _norm_continuous,
    "NormDiscrete": _norm_discrete,
    "Apply": _apply,
}

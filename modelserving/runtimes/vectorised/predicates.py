"""Predicates, evaluated for all rows at once: https://dmg.org/pmml/v4-4-1/TreeModel.html, "Predicates".

A predicate is true, false or, where a value it needs is missing, unknown. Truth is two masks, of the rows where it is
true and of those where it is false; it is unknown in the rest.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelserving.runtimes.pmml_document import array_items
from modelserving.runtimes.vectorised.columns import Field, Frame, Mask, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, child
from modelserving.runtimes.vectorised.typed import value_of

Truth = tuple[Mask, Mask]

TAGS = frozenset({"True", "False", "SimplePredicate", "SimpleSetPredicate", "CompoundPredicate"})

_ORDERED: dict[str, Callable[[NDArray[Any], float], Mask]] = {
    "lessThan": np.less,
    "lessOrEqual": np.less_equal,
    "greaterThan": np.greater,
    "greaterOrEqual": np.greater_equal,
}


@dataclass(frozen=True, slots=True)
class Predicate:
    """A compiled predicate."""

    fields: tuple[Field, ...]
    """The fields that it reads, each once."""
    cuts: tuple[float, ...]
    """If it reads one field of numbers or truths: it is constant between neighbouring cuts, each belonging below."""
    codes: tuple[int, ...]
    """If it reads one field of categories: it is constant over all categories but these."""
    truth: Callable[[Frame], Truth]


def below(value: float) -> float:
    """The greatest number less than `value`."""
    return float(np.nextafter(value, -np.inf))


def predicate(element: ET.Element, scope: Scope) -> Predicate:
    """Compile a predicate.

    Raises:
        NotCovered: an unknown operator, a value that is not of the field's type, or an order of categories.
    """
    tag = element.tag
    if tag == "True":
        return Predicate((), (), (), _constant(True))
    if tag == "False":
        return Predicate((), (), (), _constant(False))
    if tag == "SimplePredicate":
        return _simple(scope.resolve(element.get("field", "")), element, scope)
    if tag == "SimpleSetPredicate":
        return _set(scope.resolve(element.get("field", "")), element, scope)
    if tag == "CompoundPredicate":
        return _compound(element, scope)
    raise NotCovered(f"predicate {tag}")


def _constant(value: bool) -> Callable[[Frame], Truth]:
    def truth(frame: Frame) -> Truth:
        return np.full(frame.rows, value), np.full(frame.rows, not value)

    return truth


def _known(column_missing: Mask | None, holds: Mask) -> Truth:
    if column_missing is None:
        return holds, ~holds
    return holds & ~column_missing, ~holds & ~column_missing


def _simple(field: Field, element: ET.Element, scope: Scope) -> Predicate:
    operator, text = element.get("operator", ""), element.get("value")
    if operator in ("isMissing", "isNotMissing"):
        wanted = operator == "isMissing"

        def missing(frame: Frame) -> Truth:
            column = field.column(frame)
            absent = np.zeros(frame.rows, dtype=bool) if column.missing is None else column.missing
            return (absent, ~absent) if wanted else (~absent, absent)

        return Predicate((field,), (), (), missing)
    if text is None:
        raise NotCovered(f"SimplePredicate {operator} without value")
    if operator in ("equal", "notEqual"):
        return _membership(field, [text], operator == "equal", scope)
    if operator not in _ORDERED or not field.numeric:
        raise NotCovered(f"SimplePredicate with operator {operator!r} on a field of type {field.data_type}")
    compare, value = _ORDERED[operator], field.number(text)

    def ordered(frame: Frame) -> Truth:
        column = field.column(frame)
        return _known(column.missing, compare(column.values, value))

    cut = value if operator in ("lessOrEqual", "greaterThan") else below(value)
    return Predicate((field,), (cut,), (), ordered)


def _set(field: Field, element: ET.Element, scope: Scope) -> Predicate:
    operator = element.get("booleanOperator")
    if operator not in ("isIn", "isNotIn"):
        raise NotCovered(f"SimpleSetPredicate with booleanOperator {operator!r}")
    return _membership(field, array_items(child(element, "Array")), operator == "isIn", scope)


def _membership(field: Field, texts: list[str], wanted: bool, scope: Scope) -> Predicate:
    if field.data_type == "string":
        codes = tuple(scope.vocabulary.add(text) for text in texts)
        members: NDArray[Any] = np.array(codes, dtype=np.int32)
        cuts: tuple[float, ...] = ()
    else:
        numbers = [value_of(text, field, scope) for text in texts]
        members, codes = np.array(numbers, dtype=np.float64), ()
        cuts = tuple(cut for value in numbers for cut in (below(value), value))

    def membership(frame: Frame) -> Truth:
        column = field.column(frame)
        inside = column.values == members[0] if len(members) == 1 else np.isin(column.values, members)
        return _known(column.missing, inside if wanted else ~inside)

    return Predicate((field,), cuts, codes, membership)


def _compound(element: ET.Element, scope: Scope) -> Predicate:
    operator = element.get("booleanOperator", "")
    parts = [predicate(each, scope) for each in element if each.tag in TAGS]
    if operator not in _COMBINE or len(parts) < 2:
        raise NotCovered(f"CompoundPredicate {operator!r} of {len(parts)} predicates")
    combine = _COMBINE[operator]
    return Predicate(
        tuple(dict.fromkeys(field for part in parts for field in part.fields)),
        tuple(cut for part in parts for cut in part.cuts),
        tuple(code for part in parts for code in part.codes),
        lambda frame: reduce(combine, (part.truth(frame) for part in parts)),
    )


def _and(one: Truth, other: Truth) -> Truth:
    return one[0] & other[0], one[1] | other[1]


def _or(one: Truth, other: Truth) -> Truth:
    return one[0] | other[0], one[1] & other[1]


def _xor(one: Truth, other: Truth) -> Truth:
    return (one[0] & other[1]) | (one[1] & other[0]), (one[0] & other[0]) | (one[1] & other[1])


def _surrogate(one: Truth, other: Truth) -> Truth:
    unknown = ~(one[0] | one[1])
    return one[0] | (unknown & other[0]), one[1] | (unknown & other[1])


_COMBINE: dict[str, Callable[[Truth, Truth], Truth]] = {"and": _and, "or": _or, "xor": _xor, "surrogate": _surrogate}

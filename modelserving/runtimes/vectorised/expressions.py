"""Expressions of derived fields: https://dmg.org/pmml/v4-4-1/Transformations.html."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np

from modelserving.runtimes.vectorised.calls import call
from modelserving.runtimes.vectorised.columns import Column, Frame, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, only
from modelserving.runtimes.vectorised.normalisation import normalise
from modelserving.runtimes.vectorised.tables import discretize, map_values
from modelserving.runtimes.vectorised.typed import Expression, constant_number, converted, either, filled, value_of


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
    """Make a DerivedField visible in `scope`; one that is not covered has only those refused that read it."""
    name = element.get("name", "")
    try:
        made = derived(element, scope)
    except NotCovered as error:
        scope.refuse(name, error.construct)
    else:
        scope.define(name, made.data_type, made.column)


def derived(element: ET.Element, scope: Scope) -> Expression:
    """The values of a DerivedField, of its type.

    Raises:
        NotCovered: its expression, or a type that its values would have to be converted to.
    """
    name = f"DerivedField {element.get('name')!r}"
    inner = [each for each in element if each.tag not in ("Value", "Interval")]
    if len(inner) != 1:
        raise NotCovered(f"{name} without one expression")
    made = expression(inner[0], scope)
    return converted(made, element.get("dataType", made.data_type), scope, name)


def _constant(element: ET.Element, scope: Scope) -> Expression:
    only(element, "missing", None, "false")
    text = element.text or ""
    data_type = element.get("dataType") or _type_of(text)
    if data_type == "string":
        code = scope.vocabulary.add(text)
        return Expression(
            data_type, lambda frame: Column(np.full(frame.rows, code, dtype=np.int32)), text, texts=(text,)
        )
    value = constant_number(text, data_type, "Constant")
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
    return filled(element, "mapMissingTo", Expression(field.data_type, field.column), scope)


def _norm_continuous(element: ET.Element, scope: Scope) -> Expression:
    field = scope.resolve(element.get("field", ""))
    if not field.numeric:
        raise NotCovered("NormContinuous of a category")
    normalised = normalise(element)

    def column(frame: Frame) -> Column:
        given = field.column(frame)
        values, outside = normalised(given.values)
        return Column(values, either(given.missing, outside))

    return filled(element, "mapMissingTo", Expression("double", column), scope)


def _norm_discrete(element: ET.Element, scope: Scope) -> Expression:
    only(element, "method", None, "indicator")
    field = scope.resolve(element.get("field", ""))
    text = element.get("value", "")
    wanted = value_of(text, field, scope)

    def column(frame: Frame) -> Column:
        given = field.column(frame)
        return Column((given.values == wanted).astype(np.float64), given.missing)

    return filled(element, "mapMissingTo", Expression("double", column), scope)


def _apply(element: ET.Element, scope: Scope) -> Expression:
    return call(element, [expression(each, scope) for each in element], scope)


_COMPILERS: dict[str, Callable[[ET.Element, Scope], Expression]] = {
    "Constant": _constant,
    "FieldRef": _field_ref,
    "NormContinuous": _norm_continuous,
    "NormDiscrete": _norm_discrete,
    "Discretize": discretize,
    "MapValues": map_values,
    "Apply": _apply,
}

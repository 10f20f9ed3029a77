"""A tree walked node by node for one record, as https://dmg.org/pmml/v4-4-1/TreeModel.html tells it: slow and plain."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import reduce

import numpy as np

from tests.runtimes.pmml_random import Record

Known = bool | None

_PREDICATES = {"True", "False", "SimplePredicate", "SimpleSetPredicate", "CompoundPredicate"}


def reached(model: ET.Element, record: Record) -> str | None:
    """The score of the node that the record ends in, None for no prediction."""
    root = model.find("Node")
    assert root is not None
    return _walk(model, root, record) if _holds(_predicate(root), record) else None


def _walk(model: ET.Element, node: ET.Element, record: Record) -> str | None:
    children = node.findall("Node")
    if not children:
        return node.get("score")
    strategy = model.get("missingValueStrategy", "none")
    for child in children:
        holds = _holds(_predicate(child), record)
        if holds:
            return _walk(model, child, record)
        if holds is None and strategy == "nullPrediction":
            return None
        if holds is None and strategy == "lastPrediction":
            return node.get("score")
        if holds is None and strategy == "defaultChild":
            (default,) = (each for each in children if each.get("id") == node.get("defaultChild"))
            return _walk(model, default, record)
    return node.get("score") if model.get("noTrueChildStrategy") == "returnLastPrediction" else None


def _predicate(node: ET.Element) -> ET.Element:
    return next(each for each in node if each.tag in _PREDICATES)


def _holds(predicate: ET.Element, record: Record) -> Known:
    if predicate.tag in ("True", "False"):
        return predicate.tag == "True"
    if predicate.tag == "CompoundPredicate":
        parts = [_holds(each, record) for each in predicate]
        if predicate.get("booleanOperator") == "surrogate":
            return next((each for each in parts if each is not None), None)
        return reduce(_COMBINED[predicate.attrib["booleanOperator"]], parts)
    field = predicate.get("field", "")
    value = record[field]
    operator = predicate.attrib["booleanOperator" if predicate.tag == "SimpleSetPredicate" else "operator"]
    if operator in ("isMissing", "isNotMissing"):
        return (value is None) == (operator == "isMissing")
    if value is None:
        return None
    if predicate.tag == "SimpleSetPredicate":
        text = predicate.findtext("Array") or ""
        items = text.strip('"').split('" "') if field == "c" else text.split()
        return any(_same(field, value, item) for item in items) == (operator == "isIn")
    constant = predicate.get("value", "")
    if operator in ("equal", "notEqual"):
        return _same(field, value, constant) == (operator == "equal")
    own, other = _number(field, value), _number(field, constant)
    return {
        "lessThan": own < other,
        "lessOrEqual": own <= other,
        "greaterThan": own > other,
        "greaterOrEqual": own >= other,
    }[operator]


def _same(field: str, value: float | str, constant: str) -> bool:
    return value == constant if field == "c" else _number(field, value) == _number(field, constant)


def _number(field: str, value: float | str) -> float:
    with np.errstate(over="ignore"):
        return float(np.float32(value)) if field == "f" else float(value)


def _and(one: Known, other: Known) -> Known:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _or(one: Known, other: Known) -> Known:
    if one or other:
        return True
    return None if one is None or other is None else False


def _xor(one: Known, other: Known) -> Known:
    return None if one is None or other is None else one != other


_COMBINED = {"and": _and, "or": _or, "xor": _xor}

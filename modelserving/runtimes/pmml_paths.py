"""Records that go where a document's trees go: as few as reach every leaf, each one in many trees at once.

Values by chance seldom get deep into a tree, and never into all corners of a forest. So each record is drawn from a
box: the values that reach a leaf of one tree, as far as they also reach a leaf of the next, and so on.
(https://dmg.org/pmml/v4-4-1/TreeModel.html has the predicates.)
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modelserving.probe import CATEGORIES, MODERATE
from modelserving.runtimes.pmml_document import PmmlDocument, array_items
from modelserving.runtimes.pmml_fields import BoundField
from modelserving.servable import Domain

MOST_RECORDS = 1024
"""More would take longer than a model may take to load; that many reach all leaves but those of very large trees."""

MOST_FAILED = 4
"""Trees of which no leaf fits into a box: then it is narrow enough."""

_TAGS = ("True", "False", "SimplePredicate", "SimpleSetPredicate", "CompoundPredicate")
_OTHER = "value that no tree names"
_NOT = {
    "lessThan": "greaterOrEqual",
    "lessOrEqual": "greaterThan",
    "greaterThan": "lessOrEqual",
    "greaterOrEqual": "lessThan",
    "equal": "notEqual",
    "notEqual": "equal",
    "isIn": "isNotIn",
    "isNotIn": "isIn",
}

Row = dict[str, float | str]
"""By feature."""


@dataclass(slots=True)
class _Path:
    """What reaches a leaf: numbers above the first and up to the second of a pair, and categories."""

    numbers: dict[str, tuple[float, float]] = field(default_factory=dict)
    among: dict[str, frozenset[str]] = field(default_factory=dict)
    but: dict[str, frozenset[str]] = field(default_factory=dict)

    def copy(self) -> _Path:
        """The same, to be narrowed."""
        return _Path(dict(self.numbers), dict(self.among), dict(self.but))

    def narrow(self, name: str, low: float, high: float) -> None:
        """Only numbers above `low` and up to `high`."""
        own = self.numbers.get(name, (-math.inf, math.inf))
        self.numbers[name] = (max(own[0], low), min(own[1], high))

    def fits(self, other: _Path) -> bool:
        """Whether a record may take both."""
        return all(
            max(low, other.numbers[name][0]) < min(high, other.numbers[name][1])
            for name, (low, high) in self.numbers.items()
            if name in other.numbers
        ) and all(
            _left(self, other, name) for name in {**self.among, **self.but} if name in other.among or name in other.but
        )

    def join(self, other: _Path) -> None:
        """Narrow to what takes both."""
        for name, (low, high) in other.numbers.items():
            self.narrow(name, low, high)
        for name, values in other.among.items():
            self.among[name] = self.among.get(name, values) & values
        for name, values in other.but.items():
            self.but[name] = self.but.get(name, frozenset()) | values


def _left(one: _Path, other: _Path, name: str) -> bool:
    sets = [each.among[name] for each in (one, other) if name in each.among]
    refused = one.but.get(name, frozenset()) | other.but.get(name, frozenset())
    return not sets or bool(frozenset.intersection(*sets) - refused)


def records(document: PmmlDocument, bound: tuple[BoundField, ...], domain: Mapping[str, Domain]) -> list[Row]:
    """Records that reach the leaves of the document's trees; none if it has no trees.

    Args:
        document: parsed.
        bound: its inputs.
        domain: what the document says of the values of each feature.
    """
    inputs = {each.field.name: each for each in bound}
    names = _names(document.root, inputs)
    trees = [list(_paths(tree, names, inputs)) for tree in document.root.iter("TreeModel")]
    trees = [tree for tree in trees if tree]
    return list(_rows(_Leaves(trees, list(inputs)), inputs, domain))


def _names(root: ET.Element, inputs: dict[str, BoundField]) -> dict[str, str]:
    """The input that each field is, itself or as a copy of another type."""
    names = {name: name for name in inputs}
    for each in root.iter("DerivedField"):
        reference = each.find("FieldRef")
        if reference is not None and len(each) == 1 and reference.get("field") in names:
            names.setdefault(each.get("name", ""), names[reference.get("field", "")])
    return names


class _Leaves:
    """The leaves of all trees, and which of them no record has reached so far."""

    def __init__(self, trees: Sequence[Sequence[_Path]], inputs: Sequence[str]) -> None:
        self.paths = [path for tree in trees for path in tree]
        self.ends = np.cumsum([0, *(len(tree) for tree in trees)]).tolist()
        self._inputs = {name: index for index, name in enumerate(inputs)}
        self._low = np.full((len(self.paths), len(inputs)), -np.inf)
        self._high = np.full((len(self.paths), len(inputs)), np.inf)
        for row, path in enumerate(self.paths):
            for name, (low, high) in path.numbers.items():
                self._low[row, self._inputs[name]], self._high[row, self._inputs[name]] = low, high
        self.open = (self._low < self._high).all(axis=1)

    def take(self, tree: int, box: _Path) -> bool:
        """Narrow the box so that it reaches one more of a tree's leaves; False: none fits."""
        own = slice(self.ends[tree], self.ends[tree + 1])
        low, high = self._bounds(box)
        fitting = self.open[own] & (np.maximum(self._low[own], low) < np.minimum(self._high[own], high)).all(axis=1)
        for row in (np.flatnonzero(fitting) + self.ends[tree]).tolist():
            if box.fits(self.paths[row]):
                box.join(self.paths[row])
                self.open[row] = False
                return True
        return False

    def reach(self, row: Row, features: Sequence[str]) -> None:
        """Note which leaves a record reaches."""
        numbers = [row[feature] for feature in features]
        values = np.array([each if isinstance(each, float) else 0.0 for each in numbers])
        reached = self.open & ((self._low < values) & (values <= self._high)).all(axis=1)
        for leaf in np.flatnonzero(reached).tolist():
            path = self.paths[leaf]
            categories = {name: row[features[self._inputs[name]]] for name in {**path.among, **path.but}}
            self.open[leaf] = not all(
                (name not in path.among or value in path.among[name]) and value not in path.but.get(name, ())
                for name, value in categories.items()
            )

    def _bounds(self, box: _Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        low, high = np.full(len(self._inputs), -np.inf), np.full(len(self._inputs), np.inf)
        for name, bounds in box.numbers.items():
            low[self._inputs[name]], high[self._inputs[name]] = bounds
        return low, high


def _rows(leaves: _Leaves, inputs: dict[str, BoundField], domain: Mapping[str, Domain]) -> Iterator[Row]:
    """Records that together reach every leaf that can be reached, as long as there are not too many."""
    random = np.random.default_rng(len(leaves.paths))
    features = [each.feature for each in inputs.values()]
    starts = leaves.ends[:-1]
    for _ in range(MOST_RECORDS):
        if not leaves.open.any():
            return
        left = np.add.reduceat(leaves.open, starts)
        # the tree with the most left gets its leaf for certain
        box, failed = _Path(), 0
        for tree in np.argsort(-left, kind="stable").tolist():
            failed += not left[tree] or not leaves.take(tree, box)
            if failed > MOST_FAILED:
                break
        row = _row(box, inputs, domain, random)
        leaves.reach(row, features)
        yield row


def _row(box: _Path, inputs: dict[str, BoundField], domain: Mapping[str, Domain], random: np.random.Generator) -> Row:
    """A record in the box; where that leaves a value open, it is one of the domain's."""
    row: Row = {}
    for each in inputs.values():
        known = domain.get(each.feature, Domain())
        choice = (known.numbers or MODERATE) if each.field.numeric else (known.categories or CATEGORIES)
        row[each.feature] = choice[int(random.integers(len(choice)))]
    for name, (low, high) in box.numbers.items():
        if math.isfinite(low) or math.isfinite(high):
            row[inputs[name].feature] = _number(low, high, inputs[name].field.data_type == "integer", random)
    for name in {**box.among, **box.but}:
        named = domain.get(inputs[name].feature, Domain()).categories
        values = sorted(box.among.get(name, frozenset(named)) - box.but.get(name, frozenset()))
        if not values and name not in box.among and not inputs[name].field.valid_values:
            values = [_OTHER]
        if values:
            row[inputs[name].feature] = values[int(random.integers(len(values)))]
    return row


def _number(low: float, high: float, whole: bool, random: np.random.Generator) -> float:
    """A number above `low` and up to `high`, well within: beside a threshold the engines may round in different ways.

    Thresholds themselves are in the domain.
    """
    margin = max(abs(high if math.isinf(low) else low), 1.0)
    start, end = (high - margin if math.isinf(low) else low), (low + margin if math.isinf(high) else high)
    value = start + (end - start) * float(random.uniform(0.05, 0.95))
    if whole:
        value = math.ceil(value) if math.ceil(value) <= high else math.floor(value)
    return float(value) if low < value <= high else float(math.floor(end) if whole else end)


def _paths(tree: ET.Element, names: dict[str, str], inputs: dict[str, BoundField]) -> Iterator[_Path]:
    """What reaches each node at which a record may end."""
    root = tree.find("Node")
    stays = tree.get("noTrueChildStrategy") == "returnLastPrediction"
    open_ = [] if root is None else [(root, _Path())]
    while open_:
        node, path = open_.pop()
        predicate = next((each for each in node if each.tag in _TAGS), None)
        if predicate is None or not _require(predicate, path, names, inputs):
            continue
        children = node.findall("Node")
        if not children:
            yield path
        before = path
        for child in children:
            open_.append((child, before.copy()))
            taken = next((each for each in child if each.tag in _TAGS), None)
            before = before.copy()
            if taken is None or not _refuse(taken, before, names, inputs):
                break
        else:
            if children and stays:
                yield before


def _require(predicate: ET.Element, path: _Path, names: dict[str, str], inputs: dict[str, BoundField]) -> bool:
    """Narrow the path to where the predicate is true, as far as that is a box; False: it never is."""
    if predicate.tag == "CompoundPredicate":
        parts = [each for each in predicate if each.tag in _TAGS]
        if predicate.get("booleanOperator") == "surrogate":
            parts = parts[:1]
        elif predicate.get("booleanOperator") != "and":
            return True
        return all(_require(each, path, names, inputs) for each in parts)
    operator = predicate.get("booleanOperator" if predicate.tag == "SimpleSetPredicate" else "operator", "")
    return predicate.tag != "False" and operator != "isMissing" and _apply(predicate, operator, path, names, inputs)


def _refuse(predicate: ET.Element, path: _Path, names: dict[str, str], inputs: dict[str, BoundField]) -> bool:
    """Narrow the path to where the predicate is false, as far as that is a box; False: it never is."""
    if predicate.tag == "CompoundPredicate" and predicate.get("booleanOperator") == "surrogate":
        return _refuse(predicate[0], path, names, inputs)
    if predicate.tag in ("SimplePredicate", "SimpleSetPredicate"):
        operator = predicate.get("booleanOperator" if predicate.tag == "SimpleSetPredicate" else "operator", "")
        return operator != "isNotMissing" and _apply(predicate, _NOT.get(operator, ""), path, names, inputs)
    return predicate.tag != "True"


def _apply(
    predicate: ET.Element, operator: str, path: _Path, names: dict[str, str], inputs: dict[str, BoundField]
) -> bool:
    name = names.get(predicate.get("field", ""))
    if name is None or operator not in _NOT:
        return True
    if predicate.tag == "SimpleSetPredicate":
        values = frozenset(item for array in predicate.findall("Array")[:1] for item in array_items(array))
    else:
        values = frozenset([predicate.get("value", "")])
    if inputs[name].field.numeric:
        return _apply_number(operator, values, path, name)
    if operator in ("equal", "isIn"):
        path.join(_Path(among={name: values}))
    elif operator in ("notEqual", "isNotIn"):
        path.join(_Path(but={name: values}))
    return bool(_left(path, _Path(), name))


def _apply_number(operator: str, values: frozenset[str], path: _Path, name: str) -> bool:
    try:
        number = float(min(values, key=float))
    except ValueError:
        return True
    below = math.nextafter(number, -math.inf)
    low, high = {
        "lessThan": (-math.inf, below),
        "lessOrEqual": (-math.inf, number),
        "greaterThan": (number, math.inf),
        "greaterOrEqual": (below, math.inf),
        "equal": (below, number),
        "isIn": (below, number),
    }.get(operator, (-math.inf, math.inf))
    path.narrow(name, low, high)
    return path.numbers[name][0] < path.numbers[name][1]

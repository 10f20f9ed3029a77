"""A TreeModel as decisions over ranges of its leaves: https://dmg.org/pmml/v4-4-1/TreeModel.html.

Leaves are numbered depth first, so each subtree is a range of leaves. A decision takes one of several neighbouring
ranges, by the value of one field wherever possible; so which leaf a record reaches follows from all decisions at
once, without a walk from the root (`forest.py`). A node at which a record may stop is a leaf too.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from modelserving.runtimes.vectorised.columns import Field, Frame, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, only
from modelserving.runtimes.vectorised.predicates import TAGS, Predicate, below, predicate

_COMPLEMENTS = {
    "lessOrEqual": "greaterThan",
    "greaterThan": "lessOrEqual",
    "lessThan": "greaterOrEqual",
    "greaterOrEqual": "lessThan",
}
_LOW_FIRST = ("lessOrEqual", "lessThan")

LOW, HIGH, STOP = 0, 1, 2


class Split(NamedTuple):
    """A number decides between two ranges of leaves; a third one is for records that stop for want of it."""

    field: Field
    cut: float
    """A value of at most `cut` takes the first range, a greater one the second."""
    starts: tuple[int, int, int, int]
    """Range i is `starts[i]` up to `starts[i + 1]`; an empty one is no prediction."""
    missing: int
    """The range that a record without the value takes: `LOW`, `HIGH` or `STOP`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Predicates, the first true one of which decides between ranges of leaves."""

    predicates: tuple[Predicate, ...]
    starts: tuple[int, ...]
    """Range i is `starts[i]` up to `starts[i + 1]`: one for each predicate, one where none is true, and one more."""
    unknown: int | None
    """The range taken at a predicate that is unknown; None: it counts as false."""

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields that decide."""
        return tuple(dict.fromkeys(field for each in self.predicates for field in each.fields))

    def taken(self, frame: Frame) -> NDArray[np.intp]:
        """(n,) the index of the range that each row takes."""
        taken = np.full(frame.rows, len(self.predicates), dtype=np.intp)
        undecided = np.ones(frame.rows, dtype=bool)
        for index, each in enumerate(self.predicates):
            true, false = each.truth(frame)
            taken[undecided & true] = index
            undecided &= ~true
            if self.unknown is not None:
                taken[undecided & ~false] = self.unknown
                undecided &= false
        return taken


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree's leaves, in order, and its decisions."""

    leaves: list[ET.Element]
    """The Node whose prediction each leaf is."""
    splits: list[Split]
    choices: list[Choice]


def tree(model: ET.Element, scope: Scope) -> Tree:
    """Compile the nodes of a TreeModel.

    Raises:
        NotCovered: a strategy that takes several paths, or a predicate that is not covered.
    """
    growth = _Growth(model, scope)
    root = model.find("Node")
    if root is None:
        raise NotCovered("TreeModel without Node")
    growth.siblings(None, [root])
    return Tree(growth.leaves, growth.splits, growth.choices)


class _Growth:
    """A tree while its nodes are read."""

    def __init__(self, model: ET.Element, scope: Scope) -> None:
        only(model, "missingValueStrategy", None, "none", "lastPrediction", "nullPrediction", "defaultChild")
        only(model, "noTrueChildStrategy", None, "returnNullPrediction", "returnLastPrediction")
        self._strategy = model.get("missingValueStrategy", "none")
        self._stays = model.get("noTrueChildStrategy") == "returnLastPrediction"
        self._scope = scope
        self.leaves: list[ET.Element] = []
        self.splits: list[Split] = []
        self.choices: list[Choice] = []

    def grow(self, node: ET.Element) -> None:
        """Read a node that a record has reached, and what is below it."""
        children = node.findall("Node")
        if not children:
            self._end(node)
        elif not self._threshold(node, children):
            self.siblings(node, children)

    def siblings(self, parent: ET.Element | None, children: Sequence[ET.Element]) -> None:
        """Read nodes of which a record takes the first whose predicate is true."""
        self._rest(parent, children, [predicate(_predicate_of(child), self._scope) for child in children])

    def _rest(self, parent: ET.Element | None, children: Sequence[ET.Element], compiled: list[Predicate]) -> None:
        if not children:
            if self._stays:
                self._end(parent)
        elif parent is not None and self._strategy == "defaultChild":
            self._choice(parent, children, compiled, len(children))
        else:
            self._choice(parent, children, compiled, _of_one_field(compiled))

    def _choice(
        self, parent: ET.Element | None, children: Sequence[ET.Element], compiled: list[Predicate], together: int
    ) -> None:
        """Decide between the first `together` children, the rest of them, and stopping."""
        if not compiled[0].fields and compiled[0].truth(Frame(1))[0][0]:
            self.grow(children[0])
            return
        number = len(self.choices)
        placeholder = Choice((), (), None)
        self.choices.append(placeholder)
        starts = [len(self.leaves)]
        for child in children[:together]:
            self.grow(child)
            starts.append(len(self.leaves))
        self._rest(parent, children[together:], compiled[together:])
        starts.append(len(self.leaves))
        unknown: int | None = None
        if parent is None or self._strategy == "nullPrediction":
            unknown = together + 1  # an empty range
        elif self._strategy == "lastPrediction":
            unknown = together + 1
            self._end(parent)
        elif self._strategy == "defaultChild" and any(each.fields for each in compiled[:together]):
            unknown = _default(parent, children)
        starts.append(len(self.leaves))
        self.choices[number] = Choice(tuple(compiled[:together]), tuple(starts), unknown)

    def _threshold(self, node: ET.Element, children: list[ET.Element]) -> bool:
        """Read two children that a number decides between, the common case; False: they are not of that kind."""
        if len(children) != 2 or not len(children[0]) or not len(children[1]):
            return False
        first, second = children[0][0], children[1][0]
        operator = first.get("operator", "")
        if first.tag != "SimplePredicate" or operator not in _COMPLEMENTS:
            return False
        otherwise = second.tag == "True"
        if not otherwise and not (
            second.tag == "SimplePredicate"
            and second.get("operator") == _COMPLEMENTS[operator]
            and second.get("field") == first.get("field")
            and second.get("value") == first.get("value")
        ):
            return False
        field = self._scope.resolve(first.get("field", ""))
        if not field.numeric:
            return False
        value = field.number(first.get("value", ""))
        low, high = children if operator in _LOW_FIRST else reversed(children)
        number = len(self.splits)
        start = len(self.leaves)
        self.splits.append(Split(field, 0.0, (0, 0, 0, 0), STOP))
        self.grow(low)
        middle = len(self.leaves)
        self.grow(high)
        end = len(self.leaves)
        missing = STOP
        if self._strategy == "defaultChild":
            missing = LOW if children[_default(node, children)] is low else HIGH
        elif self._strategy == "none" and otherwise:
            missing = HIGH if children[1] is high else LOW
        elif self._strategy == "lastPrediction" or (self._strategy == "none" and self._stays):
            self._end(node)
        cut = value if operator in ("lessOrEqual", "greaterThan") else below(value)
        self.splits[number] = Split(field, cut, (start, middle, end, len(self.leaves)), missing)
        return True

    def _end(self, node: ET.Element | None) -> None:
        """A record may stop at `node`; without a score it has no prediction then."""
        if node is not None and (node.get("score") is not None or node.find("ScoreDistribution") is not None):
            self.leaves.append(node)


def _predicate_of(node: ET.Element) -> ET.Element:
    for each in node:
        if each.tag in TAGS:
            return each
        if each.tag not in ("Partition", "ScoreDistribution"):
            raise NotCovered(f"Node with {each.tag}")
    raise NotCovered("Node without predicate")


def _of_one_field(compiled: Sequence[Predicate]) -> int:
    """How many of the first predicates read the same field; at least one."""
    count = 1
    while count < len(compiled) and compiled[count].fields == compiled[0].fields and len(compiled[0].fields) == 1:
        count += 1
    return count


def _default(node: ET.Element, children: Sequence[ET.Element]) -> int:
    wanted = node.get("defaultChild")
    for index, child in enumerate(children):
        if wanted is not None and child.get("id") == wanted:
            return index
    raise NotCovered(f"Node {node.get('id')!r} with defaultChild={wanted!r}")

"""TreeModels, one or many together: the leaf that a record reaches, and what stands in it.

https://dmg.org/pmml/v4-4-1/TreeModel.html
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from modelserving.runtimes.vectorised.answers import Answer, Labels, Target
from modelserving.runtimes.vectorised.columns import Frame, Numbers, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, number
from modelserving.runtimes.vectorised.forest import Forest, Leaves
from modelserving.runtimes.vectorised.precision import DOUBLE, Precision, precision, refuse_single, widened
from modelserving.runtimes.vectorised.targets import finish, refuse_defaults
from modelserving.runtimes.vectorised.trees import tree


class Trees:
    """TreeModels of one function, compiled together."""

    def __init__(
        self,
        models: Sequence[ET.Element],
        scopes: Sequence[Scope],
        targets: Sequence[Target],
        width: Precision = DOUBLE,
    ) -> None:
        """Compile models, each with its scope and target; the targets have the same classes.

        `width` is that of the numbers that are told.

        Raises:
            NotCovered
        """
        trees = [tree(model, scope) for model, scope in zip(models, scopes, strict=True)]
        self._forest = Forest(trees, scopes[0].vocabulary)
        self._classes = targets[0].classes
        self._numbers = np.full(self._forest.size, np.nan)
        self._labels = np.full(self._forest.size, -1, dtype=np.int32)
        self._shares = np.full((self._forest.size, len(self._classes)), np.nan)
        self._orders: dict[int, tuple[int, ...]] = {}
        for index, (model, target, compiled) in enumerate(zip(models, targets, trees, strict=True)):
            first = int(self._forest.offsets[index])
            if self._classes:
                refuse_defaults(model)
                refuse_single(model, "a classification tree")
                self._read_classes(first, compiled.leaves)
            else:
                scores = np.array([_score(leaf) for leaf in compiled.leaves])
                self._numbers[first : first + len(scores)] = finish(model, target)(precision(model).of(scores))
        self._numbers = width.of(self._numbers)
        self.probable = not self._classes or len(self._orders) == sum(len(each.leaves) for each in trees)
        """Whether every leaf has the probabilities of the classes."""

    def leaves(self, frame: Frame) -> Iterator[Leaves]:
        """Parts of (t, n): the leaf that each row reaches in each tree, as the other methods number them."""
        return self._forest.leaves(frame)

    def numbers(self, leaves: Leaves) -> Numbers:
        """The number in each leaf, NaN for none; of the shape of `leaves`."""
        return self._numbers.take(leaves)

    def labels(self, leaves: Leaves) -> Labels:
        """The class in each leaf, -1 for none; of the shape of `leaves`."""
        return self._labels.take(leaves)

    def probabilities(self, leaves: Leaves) -> Numbers:
        """The share of each of k classes in each leaf, NaN for none; one more axis than `leaves`."""
        return self._shares.take(leaves, axis=0)

    def order(self, leaf: int) -> tuple[int, ...]:
        """In which order a leaf lists classes."""
        return self._orders.get(leaf, ())

    def answer(self, frame: Frame) -> Answer:
        """The answers of the first tree alone."""
        leaves = np.concatenate([part[0] for part in self.leaves(frame)])
        if not self._classes:
            return Answer(numbers=widened(self.numbers(leaves)))
        return Answer(labels=self.labels(leaves), probabilities=self.probabilities(leaves))

    def _read_classes(self, first: int, leaves: Sequence[ET.Element]) -> None:
        index = {name: position for position, name in enumerate(self._classes)}
        for position, leaf in enumerate(leaves, first):
            label = index.get(leaf.get("score", ""))
            if label is None:
                raise NotCovered(f"Node with score={leaf.get('score')!r}, which is no class")
            self._labels[position] = label
            given = leaf.findall("ScoreDistribution")
            if given:
                self._shares[position], self._orders[position] = _shares(given, index)


def _score(leaf: ET.Element) -> float:
    _refuse_models(leaf)
    return number(leaf, "score")


def _shares(given: Sequence[ET.Element], index: dict[str, int]) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """The probabilities of all classes, and the order of those listed."""
    attribute = "recordCount" if given[0].get("probability") is None else "probability"
    shares = np.zeros(len(index))
    order = []
    total = 0.0
    for each in given:
        position = index.get(each.get("value", ""))
        if position is None:
            raise NotCovered(f"ScoreDistribution of {each.get('value')!r}, which is no class")
        shares[position] = value = number(each, attribute)
        total += value
        order.append(position)
    if total <= 0:
        raise NotCovered("Node with an empty distribution")
    return shares if total == 1 else shares / total, tuple(order)


def _refuse_models(leaf: ET.Element) -> None:
    for each in leaf:
        if each.tag.endswith(("Regression", "DecisionTree")):
            raise NotCovered(f"Node with {each.tag}")

"""What decides in a forest, as small whole numbers: the bin of each row along each axis.

An axis is a field whose values fall into bins that no predicate of the forest tells apart, or a choice that more than
one field decides. The last bin of a field is that of missing values.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from modelserving.runtimes.vectorised.columns import UNKNOWN, Column, Field, Frame, Vocabulary
from modelserving.runtimes.vectorised.trees import Choice, Tree

Bins = NDArray[np.intp]


class Axis(Protocol):
    """Something that decides."""

    @property
    def size(self) -> int:
        """The number of bins."""
        ...

    def bins(self, frame: Frame) -> Bins:
        """(n,) the bin of each row."""
        ...


class NumberAxis:
    """A field of numbers, or of truths as 1 and 0: bin i holds those above cut i - 1 up to cut i itself."""

    def __init__(self, field: Field, cuts: Iterable[float]) -> None:
        self.field = field
        self.cuts = np.unique(np.fromiter(cuts, dtype=np.float64))

    @property
    def size(self) -> int:
        """The number of bins."""
        return len(self.cuts) + 2

    def bins(self, frame: Frame) -> Bins:
        """(n,) the bin of each row."""
        column = self.field.column(frame)
        bins: Bins = self.cuts.searchsorted(column.values)
        if column.missing is not None:
            bins[column.missing] = self.size - 1
        return bins

    def representatives(self) -> Frame:
        """A frame whose row i holds a value of bin i."""
        above = np.nextafter(self.cuts[-1], np.inf) if len(self.cuts) else 0.0
        return _representatives(self.field, np.concatenate([self.cuts, [above, 0.0]]))


class CategoryAxis:
    """A field of categories: a bin for each that predicates name, one for all others."""

    def __init__(self, field: Field, codes: Iterable[int], vocabulary: Vocabulary) -> None:
        self.field = field
        self.codes = np.unique(np.fromiter(codes, dtype=np.int32))
        self._vocabulary = vocabulary
        self._bin_of_code: Bins | None = None

    @property
    def size(self) -> int:
        """The number of bins."""
        return len(self.codes) + 2

    def bins(self, frame: Frame) -> Bins:
        """(n,) the bin of each row."""
        if self._bin_of_code is None:
            # only now is the vocabulary complete; UNKNOWN is the last element, as Python counts
            table = np.full(len(self._vocabulary) + 1, len(self.codes), dtype=np.intp)
            table[self.codes] = np.arange(len(self.codes))
            self._bin_of_code = table
        column = self.field.column(frame)
        bins: Bins = self._bin_of_code[column.values]
        if column.missing is not None:
            bins[column.missing] = self.size - 1
        return bins

    def representatives(self) -> Frame:
        """A frame whose row i holds a value of bin i."""
        return _representatives(self.field, np.concatenate([self.codes, [UNKNOWN, UNKNOWN]]).astype(np.int32))


class ChoiceAxis:
    """A choice that several fields decide: its bins are the ranges that it takes."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice

    @property
    def size(self) -> int:
        """The number of bins."""
        return len(self._choice.starts) - 1

    def bins(self, frame: Frame) -> Bins:
        """(n,) the bin of each row."""
        return self._choice.taken(frame)


class Axes:
    """The axes of trees."""

    def __init__(self, trees: Sequence[Tree], vocabulary: Vocabulary) -> None:
        self.axes: list[Axis] = []
        self._of_field: dict[str, int] = {}
        self._of_choice: dict[int, int] = {}
        cuts: dict[str, set[float]] = defaultdict(set)
        codes: dict[str, set[int]] = defaultdict(set)
        fields: dict[str, Field] = {}
        for tree in trees:
            for split in tree.splits:
                fields[split.field.key] = split.field
                cuts[split.field.key].add(split.cut)
            for choice in tree.choices:
                if len(choice.fields) == 1:
                    field = choice.fields[0]
                    fields[field.key] = field
                    for each in choice.predicates:
                        cuts[field.key].update(each.cuts)
                        codes[field.key].update(each.codes)
                else:
                    self._of_choice[id(choice)] = len(self.axes)
                    self.axes.append(ChoiceAxis(choice))
        for key, field in fields.items():
            self._of_field[key] = len(self.axes)
            self.axes.append(
                CategoryAxis(field, codes[key], vocabulary)
                if field.data_type == "string"
                else NumberAxis(field, cuts[key])
            )

    def of_field(self, field: Field) -> int:
        """The index of a field's axis."""
        return self._of_field[field.key]

    def of_choice(self, choice: Choice) -> int:
        """The index of the axis that decides `choice`."""
        own = self._of_choice.get(id(choice))
        return self._of_field[choice.fields[0].key] if own is None else own


def _representatives(field: Field, values: NDArray[np.generic]) -> Frame:
    missing = np.zeros(len(values), dtype=bool)
    missing[-1] = True
    return Frame(len(values), {field.key: Column(values, missing)})

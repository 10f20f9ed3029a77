"""Many trees at once, by masks of leaves instead of walks.

Each bin of each axis leaves some leaves of each tree reachable: a mask of bits. The masks of a record's bins, and-ed,
leave one bit in each tree: its leaf. (Lucchese et al., QuickScorer, SIGIR 2015, has the idea; here a decision rules
out all ranges that it does not take, so that no order of the bits is needed and decisions may be of any kind.)
The masks of all trees stand side by side, and NumPy takes and ands whole rows of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelserving.runtimes.vectorised.axes import Axes, Axis, Bins, CategoryAxis, NumberAxis
from modelserving.runtimes.vectorised.columns import Frame, Vocabulary
from modelserving.runtimes.vectorised.coverage import NotCovered
from modelserving.runtimes.vectorised.trees import HIGH, LOW, STOP, Choice, Tree

Leaves = NDArray[np.intp]

BLOCK_BYTES = 2 * 1024**2
"""Of the masks of the trees that are scored together; about what stays in a processor's cache."""

PART_LEAVES = 110_000
"""How many leaves are looked up together. Arrays for many more would be given back to the system after each batch,
and each of their pages be fetched again: that takes longer than the work."""

MAX_BYTES = 64 * 1024**2
"""Of the masks of one tree: they grow with the square of its size."""


class Forest:
    """Trees whose leaves are found together."""

    def __init__(self, trees: Sequence[Tree], vocabulary: Vocabulary) -> None:
        """Build the masks.

        Raises:
            NotCovered: a tree is too large for masks.
        """
        most = max(len(tree.leaves) for tree in trees)
        self._bits = next((bits for bits in (8, 16, 32) if most <= bits), 64)
        words = [max(1, -(-len(tree.leaves) // self._bits)) for tree in trees]
        self.offsets = np.concatenate([[0], np.cumsum([count * self._bits + 1 for count in words])]).astype(np.intp)
        """Tree t's leaf i is number `offsets[t] + i`; `offsets[t + 1] - 1` stands for no prediction."""
        self._axes = Axes(trees, vocabulary)
        self._blocks = [
            _Block(self._bits, trees[first:last], words[first:last], self._axes)
            for first, last in self._parts(trees, words)
        ]

    @property
    def size(self) -> int:
        """How many numbers of leaves there are."""
        return int(self.offsets[-1])

    def leaves(self, frame: Frame) -> Iterator[Leaves]:
        """Parts of (t, n): the number of the leaf that each row reaches in each tree, some rows after the others."""
        bins = [axis.bins(frame) for axis in self._axes.axes]
        part = max(PART_LEAVES // (len(self.offsets) - 1), 1)
        for start in range(0, max(frame.rows, 1), part):
            rows = min(part, frame.rows - start)
            yield self._leaves([each[start : start + rows] for each in bins], rows)

    def _leaves(self, bins: Sequence[Bins], rows: int) -> Leaves:
        found = np.empty((len(self.offsets) - 1, rows), dtype=np.intp)
        first = 0
        for block in self._blocks:
            own = block.leaves(bins, rows)
            last = first + len(own)
            np.add(own, self.offsets[first:last, np.newaxis], out=found[first:last])
            first = last
        return found

    def _parts(self, trees: Sequence[Tree], words: Sequence[int]) -> list[tuple[int, int]]:
        """Neighbouring trees whose masks are small enough together."""
        parts, first, decisions, width = [], 0, 0, 0
        for index, tree in enumerate(trees):
            own = len(tree.splits) + sum(len(choice.starts) for choice in tree.choices) + 2
            if own * words[index] * self._bits // 8 > MAX_BYTES:
                raise NotCovered(f"a tree with {len(tree.leaves)} leaves")
            decisions, width = decisions + own, width + words[index]
            if index > first and decisions * width * self._bits // 8 > BLOCK_BYTES:
                parts.append((first, index))
                first, decisions, width = index, own, words[index]
        return [*parts, (first, len(trees))]


@dataclass(slots=True)
class _Masks:
    """Along one axis: the rows of `table` are its bins, or, with `row_of_bin`, sets of neighbouring bins."""

    axis: int
    table: NDArray[Any]
    row_of_bin: NDArray[np.intp] | None


class _Block:
    """Trees whose masks are taken together."""

    def __init__(
        self,
        bits: int,
        trees: Sequence[Tree],
        words: Sequence[int],
        axes: Axes,
    ) -> None:
        self._bits = bits
        self._type: Any = np.dtype(f"uint{bits}").type
        self._words = np.array(words)
        self._starts = np.concatenate([[0], np.cumsum(words)[:-1]])
        self._full = np.concatenate([self._all_leaves(tree, count) for tree, count in zip(trees, words, strict=True)])
        used: dict[int, set[float]] = defaultdict(set)
        for tree in trees:
            for split in tree.splits:
                used[axes.of_field(split.field)].add(split.cut)
            for choice in tree.choices:
                used[axes.of_choice(choice)].update(cut for each in choice.predicates for cut in each.cuts)
        self._masks = {index: self._blank(index, axes.axes[index], cuts) for index, cuts in used.items()}
        self._rule_out_splits(trees, axes)
        for tree, word in zip(trees, self._starts.tolist(), strict=True):
            for choice in tree.choices:
                own = self._masks[axes.of_choice(choice)]
                self._rule_out_choice(choice, axes.axes[own.axis], own, word)

    def leaves(self, bins: Sequence[NDArray[np.intp]], rows: int) -> NDArray[np.integer[Any]]:
        """(t, n) the leaf that each row reaches in each tree, counted in the tree."""
        left = np.empty((rows, len(self._full)), self._type)
        other = np.empty_like(left)
        left[:] = self._full if not self._masks else 0
        for position, masks in enumerate(self._masks.values()):
            own = bins[masks.axis]
            if masks.row_of_bin is not None:
                own = masks.row_of_bin.take(own)
            # modes other than "raise" write into `out` without a copy in between
            masks.table.take(own, axis=0, out=other if position else left, mode="clip")
            if position:
                np.bitwise_and(left, other, out=left)
        # one bit is left, or none: the number of zeros below it
        left -= self._type(1)
        found = np.ascontiguousarray(np.bitwise_count(left).T)
        return found if len(self._words) == len(found) else self._joined(found)

    def _joined(self, found: NDArray[np.uint8]) -> NDArray[np.integer[Any]]:
        """The leaf of a tree of several words is in the only word with a bit."""
        most = int(self._words.max()) * self._bits
        narrow = np.int16 if most <= np.iinfo(np.int16).max else np.int32
        first_leaf = ((np.arange(len(found)) - np.repeat(self._starts, self._words)) * self._bits).astype(narrow)
        none = np.repeat(self._words * self._bits, self._words).astype(narrow)
        wide = np.where(found < self._bits, found + first_leaf[:, np.newaxis], none[:, np.newaxis])
        # NumPy has minimum.reduceat for this, which takes many times as long
        joined: NDArray[np.integer[Any]] = wide[self._starts]
        for word in range(1, int(self._words.max())):
            trees = np.flatnonzero(self._words > word)
            joined[trees] = np.minimum(joined[trees], wide[self._starts[trees] + word])
        return joined

    def _all_leaves(self, tree: Tree, words: int) -> NDArray[Any]:
        every = (1 << len(tree.leaves)) - 1
        ones = (1 << self._bits) - 1
        return np.array([every >> (word * self._bits) & ones for word in range(words)], dtype=self._type)

    def _blank(self, index: int, axis: Axis, cuts: set[float]) -> _Masks:
        size, row_of_bin = axis.size, None
        if isinstance(axis, NumberAxis) and len(cuts) < len(axis.cuts):
            own = np.unique(np.fromiter(cuts, dtype=np.float64))
            size = len(own) + 2
            # all bins up to a cut of this block fall into the row of that cut
            row_of_bin = np.append(own.searchsorted(axis.cuts), [len(own), len(own) + 1])
        return _Masks(index, np.tile(self._full, (size, 1)), row_of_bin)

    def _rule_out_splits(self, trees: Sequence[Tree], axes: Axes) -> None:
        """The bins up to a split's cut take its low range, those above it the high one: an and along the axis."""
        of_axis: dict[int, list[tuple[float, int, int, int, int, int]]] = defaultdict(list)
        for tree, word in zip(trees, self._starts.tolist(), strict=True):
            bit = word * self._bits
            for field, cut, (low, high, stop, end), missing in tree.splits:
                of_axis[axes.of_field(field)].append((cut, missing, bit + low, bit + high, bit + stop, bit + end))
        for index, splits in of_axis.items():
            masks, axis = self._masks[index], axes.axes[index]
            if not isinstance(axis, NumberAxis):
                raise TypeError(f"splits along {axis!r}")
            columns = np.array(splits)
            missing, *starts = columns[:, 1:].astype(np.intp).T
            row = axis.cuts.searchsorted(columns[:, 0])
            if masks.row_of_bin is not None:
                row = masks.row_of_bin[row]
            ranges, every = masks.table[:-1], masks.table[-1:]
            keep = self._kept(ranges.shape, [(row, starts[HIGH], starts[STOP + 1])])
            ranges &= np.bitwise_and.accumulate(keep[::-1], axis=0)[::-1]
            above = [(row + 1, starts[each], starts[each + 1]) for each in (LOW, STOP)]
            ranges &= np.bitwise_and.accumulate(self._kept(ranges.shape, above), axis=0)
            refused = []
            for each in (LOW, HIGH, STOP):
                others = np.flatnonzero(missing != each)
                refused.append((np.zeros_like(others), starts[each][others], starts[each + 1][others]))
            every &= self._kept(every.shape, refused)

    def _rule_out_choice(self, choice: Choice, axis: Axis, masks: _Masks, word: int) -> None:
        if isinstance(axis, NumberAxis | CategoryAxis):
            taken = choice.taken(axis.representatives())
            if masks.row_of_bin is not None:
                taken = taken[np.unique(masks.row_of_bin, return_index=True)[1]]
        else:
            taken = np.arange(axis.size)
        for index in range(len(choice.starts) - 1):
            rows = np.flatnonzero(taken != index)
            first, last = choice.starts[index], choice.starts[index + 1]
            for column, keep in self._words_of(first, last, word):
                masks.table[rows, column] &= keep

    def _kept(self, shape: tuple[int, ...], refused: Sequence[tuple[Leaves, Leaves, Leaves]]) -> NDArray[Any]:
        """Masks of all leaves but those refused: rows, with the first leaf and the one behind the last of each row."""
        kept = np.full(shape, ~self._type(0))
        for rows, first, last in refused:
            word = first // self._bits
            words = np.where(last > first, (last - 1) // self._bits - word + 1, 0)
            of = np.repeat(np.arange(len(rows)), words)
            word = word[of] + np.arange(len(of)) - np.repeat(np.cumsum(words) - words, words)
            low = np.maximum(first[of] - word * self._bits, 0)
            high = np.minimum(last[of] - word * self._bits, self._bits)
            ones = ~self._type(0) >> (self._bits - (high - low)).astype(self._type) << low.astype(self._type)
            np.bitwise_and.at(kept, (rows[of], word), ~ones)
        return kept

    def _words_of(self, first: int, last: int, word: int) -> list[tuple[int, Any]]:
        bits = self._bits
        found = []
        while first < last:
            offset, low = divmod(first, bits)
            count = min(last - first, bits - low)
            found.append((word + offset, self._type(~(((1 << count) - 1) << low) & ((1 << bits) - 1))))
            first += count
        return found

"""What a PMML model answered to a batch, as `Scores`, whichever engine evaluated it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelserving.servable import RecordFailure, Scores
from modelserving.wire.serving_pb2 import Reason


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers to n rows, of a regression or, with k classes, of a classification."""

    numbers: NDArray[np.float64]
    """(n,) of a regression; NaN for none."""
    labels: NDArray[np.int32]
    """(n,) of a classification: index of the class, -1 for none."""
    probabilities: NDArray[np.float64]
    """(n, k) of a classification; NaN for none."""

    @classmethod
    def blank(cls, rows: int, classes: int) -> Answers:
        """No answer to any row."""
        return cls(np.full(rows, np.nan), np.full(rows, -1, dtype=np.int32), np.full((rows, classes), np.nan))

    def scores(
        self,
        classes: tuple[str, ...],
        failures: Sequence[RecordFailure],
        absent: Callable[[int], Sequence[str]],
    ) -> Scores:
        """The scores; each row that has neither an answer nor a failure gets a failure.

        Args:
            classes: their names; empty for a regression.
            failures: of rows that were not to be evaluated, or that could not be.
            absent: of a row: the features that it misses.
        """
        answered = self.labels >= 0 if classes else np.isfinite(self.numbers)
        answered[[failure.row for failure in failures]] = True
        without = [_unanswered(row, absent(row)) for row in np.flatnonzero(~answered).tolist()]
        failed = tuple(sorted([*failures, *without], key=lambda failure: failure.row))
        if not classes:
            numbers = np.nan_to_num(self.numbers, posinf=0.0, neginf=0.0)
            return Scores(len(numbers), numbers=numbers, failures=failed)
        labelled = self.labels >= 0
        # a tree's node without score distributions, for one, has a label and no probabilities
        alone = labelled & np.isnan(self.probabilities).any(axis=1)
        given = bool((labelled & ~alone).any())
        probabilities = np.nan_to_num(self.probabilities)
        probabilities[alone] = np.nan
        return Scores(
            len(self.labels),
            classes=classes,
            label_index=np.maximum(self.labels, 0),
            probabilities=probabilities if given else None,
            label_alone=alone if given and alone.any() else None,
            failures=failed,
        )


def _unanswered(row: int, absent: Sequence[str]) -> RecordFailure:
    if absent:
        detail = f"the model needs {', '.join(map(repr, absent))}, which is missing"
        return RecordFailure(row, Reason.MISSING_FEATURE, detail)
    return RecordFailure(row, Reason.MODEL_FAILED, "the model gives no finite answer")

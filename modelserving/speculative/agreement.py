"""Agreement: whether the answers of two models, or of one and what was decided, are the same."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelserving.speculative.ballot import Ballot

_LOST = 2 * float(np.finfo(np.float64).eps)
"""Of a number, at most, by its own rounding, that of the other one and of the tolerance."""


def compare(
    numbers: tuple[NDArray[np.float64], NDArray[np.float64]],
    labels: tuple[NDArray[np.int32], NDArray[np.int32]],
    tolerance: float,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where two sides can be compared, and where they agree: equal labels, or numbers within `tolerance`.

    A side without a label (-1) and without a number (not a number) has no answer, or a vector: it is not compared.
    """
    has = [(label >= 0) | ~np.isnan(number) for number, label in zip(numbers, labels, strict=True)]
    compared = has[0] & has[1]
    with np.errstate(over="ignore"):
        near = np.abs(numbers[0] - numbers[1]) <= reach(numbers[0], numbers[1], tolerance)
    agreed = compared & (((labels[0] == labels[1]) & (labels[0] >= 0)) | near)
    return compared, agreed


def reach(one: NDArray[np.float64], other: NDArray[np.float64], tolerance: float) -> NDArray[np.float64]:
    """How far two numbers may lie apart: `tolerance`, and what numbers lose that are written as decimals.

    With 0.1, both 5.3 and 5.2, and 5.2 and 5.1, are to agree, though the second pair is 0.1000000000000005 apart. With
    0 numbers must be equal.
    """
    largest: NDArray[np.float64] = np.maximum(np.abs(one), np.abs(other))
    return tolerance + largest * (_LOST if tolerance else 0.0)


def matrix(ballot: Ballot, rows: NDArray[np.int64], tolerance: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each pair of m models, on how many of `rows` they can be compared, and agree: (m, m) each."""
    numbers, labels = ballot.numbers[:, rows], ballot.labels[:, rows]
    compared, agreed = compare((numbers[:, None], numbers[None, :]), (labels[:, None], labels[None, :]), tolerance)
    return compared.sum(axis=2), agreed.sum(axis=2)

"""Count the votes of an ensemble whose segments each predict a class (PMML's majorityVote, weighted or not).

https://dmg.org/pmml/v4-4-1/MultipleModels.html says what missing votes mean; it leaves ties open, which go to the
class that got its first vote from the earlier segment, as in JPMML.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Ballot:
    """The rules of a vote among segments."""

    weights: tuple[float, ...]
    """The weight of each segment's vote."""
    conditional: tuple[bool, ...]
    """Whether a segment has a predicate other than True, and so may have no say about a record."""
    missing: str
    """`continue`, `skipSegment` or `returnMissing`: what a segment without a prediction means."""
    missing_threshold: float
    """The share of missing weight above which the result is missing, unless `missing` is `returnMissing`."""


def count(votes: NDArray[np.int32], ballot: Ballot, classes: int) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Count votes.

    Args:
        votes: (n, s) the class that each of s segments votes for; -1 for none.
        ballot: the rules.
        classes: the number k of classes.

    Returns:
        (n,) the elected class, -1 where the result is missing; and (n, k) each class's share of the votes' weight,
        NaN where the result is missing.
    """
    weights = np.array(ballot.weights)
    sums = np.zeros((len(votes), classes))
    first = np.full((len(votes), classes), votes.shape[1])
    rows = np.arange(len(votes))
    for segment in reversed(range(votes.shape[1])):
        cast = votes[:, segment] >= 0
        chosen = votes[cast, segment]
        sums[rows[cast], chosen] += weights[segment]
        first[rows[cast], chosen] = segment
    total = sums.sum(axis=1)
    missing = (total <= 0) | _missing(votes, ballot, weights, sums)
    # the greatest sum; among equals the earliest first vote
    leading = np.isclose(sums, sums.max(axis=1, keepdims=True), rtol=1e-12, atol=0.0)
    elected = np.where(leading, first, votes.shape[1] + 1).argmin(axis=1).astype(np.int32)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = sums / total[:, np.newaxis]
    elected[missing] = -1
    shares[missing] = np.nan
    return elected, shares


def _missing(
    votes: NDArray[np.int32], ballot: Ballot, weights: NDArray[np.float64], sums: NDArray[np.float64]
) -> NDArray[np.bool_]:
    silent = (votes < 0) & ~np.array(ballot.conditional)
    if ballot.missing == "returnMissing":
        return np.asarray(silent.any(axis=1))
    lost = silent @ weights
    present = ((votes >= 0) | silent) @ weights
    with np.errstate(invalid="ignore", divide="ignore"):
        beyond = lost / present > ballot.missing_threshold
    if ballot.missing == "skipSegment":
        return np.asarray(beyond)
    return np.asarray(beyond | (lost > sums.max(axis=1)))

"""Aggregates of what segments predict: https://dmg.org/pmml/v4-4-1/MultipleModels.html.

What the page leaves open (ties, averages of nothing) is as in JPMML. Sums run over the segments one after the other,
so that equal votes come out equal to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modelserving.runtimes.vectorised.answers import Answer, Labels
from modelserving.runtimes.vectorised.columns import Mask, Numbers
from modelserving.runtimes.vectorised.precision import DOUBLE, Precision
from modelserving.runtimes.vectorised.sums import summed

REGRESSION = ("average", "weightedAverage", "sum", "weightedSum", "x-weightedSum", "median")
VOTES = ("majorityVote", "weightedMajorityVote")
PROBABILITIES = ("average", "weightedAverage")


@dataclass(frozen=True, slots=True)
class Rules:
    """How the predictions of t segments become one."""

    method: str
    weights: Numbers
    """(t,) what a segment counts in a weighted method."""
    treatment: str
    """`continue`, `skipSegment` or `returnMissing`: what a segment without a prediction means."""
    threshold: float
    """The share of missing weight above which the result is missing."""
    width: Precision = DOUBLE
    """Of the arithmetic of numbers."""

    @property
    def counted(self) -> Numbers:
        """(t,) the weights, all 1 if the method has none."""
        return self.weights if self.method.removeprefix("x-").startswith("weighted") else np.ones(len(self.weights))


def numbers(predicted: Numbers, active: Mask | None, rules: Rules) -> Answer:
    """Aggregate numbers, as wide as they are given.

    Args:
        predicted: (t, n) NaN for no prediction.
        active: (t, n) which segments apply; None: all.
        rules: method and treatments.
    """
    if active is None and rules.method in ("sum", "average"):
        total = summed(predicted)
        # without a missing prediction, which would be in the sum, there is nothing more to decide
        if not np.isnan(total).any():
            return Answer(numbers=total if rules.method == "sum" else total / len(predicted))
    silent = np.isnan(predicted)
    taking = ~silent if active is None else active & ~silent
    if rules.method == "median":
        result = _median(predicted, taking)
    else:
        values = predicted if taking.all() else np.where(taking, predicted, 0.0)
        weights = rules.counted.astype(predicted.dtype, copy=False)
        if rules.method.startswith(("weighted", "x-weighted")):
            values = values * weights[:, np.newaxis]
        result = summed(values)
        if rules.method.endswith("verage"):
            divisor = summed(np.where(taking, weights[:, np.newaxis], 0.0))
            with np.errstate(invalid="ignore", divide="ignore"):
                result = result / divisor
    if rules.method.endswith("um"):
        # a sum of skipped segments is 0; only without any segment there is none
        result[~(taking | silent if active is None else active).any(axis=0)] = np.nan
    else:
        result[~taking.any(axis=0)] = np.nan
    lost = silent if active is None else silent & active
    if lost.any():
        result[_beyond(lost, active, rules)] = np.nan
    return Answer(numbers=result)


def votes(labels: Labels, active: Mask | None, rules: Rules, classes: int) -> Answer:
    """Count votes.

    Args:
        labels: (t, n) the class that each segment votes for, -1 for none.
        active: (t, n) which segments apply; None: all.
        rules: method and treatments.
        classes: the number k of classes.
    """
    segments, rows = labels.shape
    cast = labels >= 0 if active is None else (labels >= 0) & active
    place = (np.arange(rows, dtype=np.intp) * (classes + 1))[np.newaxis, :] + np.where(cast, labels, classes)
    weights = np.broadcast_to(rules.counted[:, np.newaxis], (segments, rows))
    sums = np.bincount(place.ravel(), weights.ravel(), rows * (classes + 1)).reshape(rows, classes + 1)[:, :classes]
    most = sums.max(axis=1)
    leading = sums == most[:, np.newaxis]
    elected = leading.argmax(axis=1).astype(np.int32)
    tied = np.flatnonzero(leading.sum(axis=1) > 1)
    if len(tied):
        # the class with the earliest vote wins
        own = labels[:, tied]
        first = (cast[:, tied] & leading[tied, own]).argmax(axis=0)
        elected[tied] = own[first, np.arange(len(tied))]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = sums / sums.sum(axis=1, keepdims=True)
    missing = ~cast.any(axis=0)
    lost = labels < 0 if active is None else (labels < 0) & active
    if lost.any():
        if rules.treatment == "continue":
            missing |= _share(lost, active, rules) > rules.threshold
            missing |= rules.counted @ lost > most
        else:
            missing |= _beyond(lost, active, rules)
    elected[missing] = -1
    shares[missing] = np.nan
    return Answer(labels=elected, probabilities=shares)


def probabilities(
    shares: Callable[[int], Numbers],
    active: Mask | None,
    rules: Rules,
    shape: tuple[int, int],
    order: Callable[[int, int], tuple[int, ...]],
) -> Answer:
    """Average probabilities.

    Args:
        shares: (n, k) the probabilities that a segment gives, NaN for none.
        active: (t, n) which segments apply; None: all.
        rules: method and treatments.
        shape: n and k.
        order: of a segment and a row: in which order it lists classes.
    """
    weights = rules.counted
    sums, divisor = np.zeros(shape), np.zeros(shape[0])
    lost = np.zeros((len(weights), shape[0]), dtype=bool)
    for segment, weight in enumerate(weights.tolist()):
        given = shares(segment)
        taking = ~np.isnan(given[:, 0])
        if active is not None:
            lost[segment] = active[segment] & ~taking
            taking &= active[segment]
        else:
            lost[segment] = ~taking
        if taking.all():
            sums += given if weight == 1.0 else given * weight
            divisor += weight
        else:
            sums[taking] += given[taking] * weight
            divisor[taking] += weight
    with np.errstate(invalid="ignore", divide="ignore"):
        result = sums / divisor[:, np.newaxis]
    if lost.any():
        result[_beyond(lost, active, rules)] = np.nan
    most = result.max(axis=1)
    leading = result == most[:, np.newaxis]
    elected = leading.argmax(axis=1).astype(np.int32)
    elected[np.isnan(most)] = -1
    for row in np.flatnonzero(leading.sum(axis=1) > 1).tolist():
        segments = range(len(weights)) if active is None else np.flatnonzero(active[:, row]).tolist()
        listed = (each for segment in segments for each in order(segment, row))
        # the class that is listed first, by the earliest segment, wins
        elected[row] = next((each for each in listed if leading[row, each]), elected[row])
    return Answer(labels=elected, probabilities=result)


def _median(predicted: Numbers, taking: Mask) -> Numbers:
    ordered = np.sort(np.where(taking, predicted, np.inf), axis=0)
    count = taking.sum(axis=0)
    rows = np.arange(predicted.shape[1])
    low, high = ordered[np.maximum(count - 1, 0) // 2, rows], ordered[np.minimum(count // 2, len(ordered) - 1), rows]
    return np.where(low == high, low, low + (high - low) * 0.5)


def _share(lost: Mask, active: Mask | None, rules: Rules) -> Numbers:
    """(n,) the share of the weight of the segments that apply which is lost."""
    present = rules.weights.sum() if active is None else rules.weights @ active
    with np.errstate(invalid="ignore", divide="ignore"):
        share: Numbers = (rules.weights @ lost) / present
    return share


def _beyond(lost: Mask, active: Mask | None, rules: Rules) -> Mask:
    """(n,) where so much is lost that there is no result."""
    if rules.treatment == "skipSegment":
        return _share(lost, active, rules) > rules.threshold
    any_lost: Mask = lost.any(axis=0)
    return any_lost

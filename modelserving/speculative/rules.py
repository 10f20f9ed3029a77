"""The rules: what the votes that are in decide, as functions of arrays.

A rule looks at which votes are in, never at the order in which they came. What it decides early, more votes would not
have changed, but for a quorum: that is decided once it is there, by the votes that are in then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelserving.speculative.agreement import reach
from modelserving.speculative.ballot import Ballot
from modelserving.speculative.policy import Policy
from modelserving.wire.speculative_pb2 import Average, QualityBy, Rule, VoteState, Why

UNDECIDED = Why.WHY_UNSPECIFIED


@dataclass(frozen=True, slots=True)
class Sheet:
    """The votes that decide r records, of m models, the most trusted first: (m, r) arrays."""

    answered: NDArray[np.bool_]
    outstanding: NDArray[np.bool_]
    numbers: NDArray[np.float64]
    """Not a number where the answer is none."""
    labels: NDArray[np.int32]
    """Equal for equal labels; -1 where the answer is none."""
    quality: NDArray[np.float64]
    """Of answers; minus infinity where nothing is known."""
    bound: NDArray[np.float64]
    """What the quality of an outstanding answer can be at most."""

    @staticmethod
    def of(policy: Policy, ballot: Ballot, rows: NDArray[np.int64]) -> Sheet:
        """The votes on `rows` that are in."""
        states, voting = ballot.states[:, rows], ballot.voting[:, rows]
        # A vote that expired is one that does not come by the deadline: until then it might have.
        outstanding = np.isin(states, (VoteState.OUTSTANDING, VoteState.EXPIRED, VoteState.NOT_LOADED))
        quality, bound = _quality(policy, ballot, rows)
        return Sheet(
            voting & (states == VoteState.ANSWERED),
            voting & outstanding,
            ballot.numbers[:, rows],
            ballot.labels[:, rows],
            np.broadcast_to(quality, states.shape),
            np.broadcast_to(bound, states.shape),
        )


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What is decided on r records."""

    why: NDArray[np.int8]
    """(r,) Why; UNDECIDED where nothing is."""
    counted: NDArray[np.bool_]
    """(m, r) the answers that the decided one is, or is made of; the first of them is a label or the only number."""
    averages: NDArray[np.float64]
    """(r,) the number that several are made to; else not a number."""


def decide(policy: Policy, sheet: Sheet, at_deadline: bool) -> Verdicts:
    """What the policy's rule decides by the votes that are in; at the deadline it decides on each record."""
    verdicts = (_agreed if policy.is_voted else _ranked)(policy, sheet, at_deadline)
    if at_deadline:
        _settle(policy, verdicts.why, np.ones(len(verdicts.why), bool))
    return verdicts


def _quality(
    policy: Policy, ballot: Ballot, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Quality of answers and its bound, of a shape that can be spread to (m, r). Of all the same under TRUST."""
    if policy.rule != Rule.QUALITY:
        same = np.zeros((1, 1))
        return same, same
    if policy.quality_by == QualityBy.WEIGHT:
        weights = np.array(policy.ballot_weights)[:, None]
        return weights, weights
    by_metric = policy.quality_by == QualityBy.METRIC
    told = (ballot.quality if by_metric else ballot.confidence)[:, rows]
    return np.where(np.isnan(told), -np.inf, told), np.full((1, 1), np.inf if by_metric else 1.0)


def _ranked(policy: Policy, sheet: Sheet, at_deadline: bool) -> Verdicts:
    """The answer of the highest quality; of equal ones that of the most trusted model.

    It is decided once no outstanding answer can come before it.
    """
    models, rows = sheet.answered.shape
    each = np.arange(rows)
    qualities = np.where(sheet.answered, sheet.quality, -np.inf)
    top = qualities.max(axis=0)
    best = (sheet.answered & (qualities == top)).argmax(axis=0)
    any_in = sheet.answered.any(axis=0)
    more_trusted = np.arange(models)[:, None] < best
    may_win = sheet.outstanding & ((sheet.bound > top) | ((sheet.bound == top) & more_trusted) | ~any_in)
    is_open, outstanding = may_win.any(axis=0), sheet.outstanding.any(axis=0)
    why = np.full(rows, UNDECIDED, np.int8)
    why[any_in & ~is_open] = Why.BEST
    why[any_in & ~outstanding] = Why.ALL_IN
    if at_deadline:
        why[any_in & is_open] = Why.DEADLINE
    counted = np.zeros((models, rows), bool)
    counted[best, each] = why != UNDECIDED
    _settle(policy, why, ~any_in & ~outstanding)
    return Verdicts(why, counted, np.full(rows, np.nan))


def _agreed(policy: Policy, sheet: Sheet, at_deadline: bool) -> Verdicts:
    """What the largest group of models that agree says, if it is a quorum.

    Equal labels agree, and so do numbers whose greatest and least differ by no more than the tolerance. A vector agrees
    with none. Of groups of the same size that goes first which has the most trusted model; where they share it, the
    next one tells.
    """
    models, rows = sheet.answered.shape
    each = np.arange(rows)
    groups = _groups(sheet, policy.tolerance)
    sizes = groups.sum(axis=1)
    # As digits of a number, the most trusted model first, members compare as the tie is to be broken.
    ranks = (groups * (1 << np.arange(models - 1, -1, -1, dtype=np.int64))[:, None]).sum(axis=1)
    largest = ((sizes << models) | ranks).argmax(axis=0)
    counted = groups[largest, :, each].T
    most = sizes[largest, each]
    any_in, left = most > 0, sheet.outstanding.sum(axis=0)
    quorum = most >= policy.needed
    # Those that are outstanding may all join one group, but none of a vector.
    is_vector = np.isnan(sheet.numbers) & (sheet.labels < 0)
    is_possible = np.where(is_vector, 0, sizes).max(axis=0) + left >= policy.needed
    why = np.full(rows, UNDECIDED, np.int8)
    why[quorum] = Why.QUORUM
    if policy.rule == Rule.COMBINED:
        best = sheet.answered.argmax(axis=0)
        more_trusted = (sheet.outstanding & (np.arange(models)[:, None] < best)).any(axis=0)
        why[~quorum & any_in & ~is_possible & (~more_trusted | at_deadline)] = Why.NO_QUORUM
        if at_deadline:
            why[~quorum & any_in & is_possible] = Why.DEADLINE
        trusted = np.zeros_like(counted)
        trusted[best, each] = True
        counted = np.where(quorum, counted, trusted)
        _settle(policy, why, ~any_in & (left == 0))
    else:
        _settle(policy, why, ~quorum & ~is_possible)
    counted &= ~np.isin(why, (UNDECIDED, Why.DEFAULT, Why.NO_ANSWER))
    return Verdicts(why, counted, _averages(policy, sheet, counted))


def _groups(sheet: Sheet, tolerance: float) -> NDArray[np.bool_]:
    """(m, m, r): for each model that answered, those that agree with it; with a number, that lie from it upwards."""
    labels, numbers = sheet.labels, sheet.numbers
    with np.errstate(over="ignore"):
        above = numbers[None, :] - numbers[:, None]
        near = (above >= 0) & (above <= reach(numbers[None, :], numbers[:, None], tolerance))
    agree = ((labels[None, :] == labels[:, None]) & (labels[None, :] >= 0)) | near
    agree |= np.eye(len(labels), dtype=bool)[:, :, None]
    groups: NDArray[np.bool_] = agree & sheet.answered[None, :] & sheet.answered[:, None]
    return groups


def _averages(policy: Policy, sheet: Sheet, counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(r,) of the numbers of each group of several."""
    averages = np.full(counted.shape[1], np.nan)
    members = counted & ~np.isnan(sheet.numbers)
    sizes = members.sum(axis=0)
    several = np.flatnonzero(sizes > 1)
    if not len(several):
        return averages
    sizes = sizes[several]
    values = np.sort(np.where(members[:, several], sheet.numbers[:, several], np.inf), axis=0)
    each = np.arange(len(several))
    if policy.average == Average.MEAN:
        # From the least upwards, since a sum of great numbers may not be finite.
        above = np.where(np.arange(len(values))[:, None] < sizes, values - values[0], 0.0)
        averages[several] = values[0] + (above / sizes).sum(axis=0)
    else:
        lower, upper = values[(sizes - 1) // 2, each], values[sizes // 2, each]
        averages[several] = lower + (upper - lower) / 2
    return averages


def _settle(policy: Policy, why: NDArray[np.int8], final: NDArray[np.bool_]) -> None:
    """Give what is undecided, and can only be final, the default."""
    why[final & (why == UNDECIDED)] = Why.NO_ANSWER if policy.default is None else Why.DEFAULT

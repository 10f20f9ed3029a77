"""Rollout: what is counted of the first challenger over a rolling window, and what follows from the counts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from modelserving.speculative.agreement import compare
from modelserving.speculative.policy import RolloutLimits
from modelserving.speculative.request import Request
from modelserving.wire import speculative_pb2 as wire
from modelserving.wire.speculative_pb2 import RolloutAction, VoteState

SCHEMA = 1
SLOTS = 12
"""Of a window: so finely does it roll."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted of the first challenger: records."""

    asked: int = 0
    """But for those that came while it was being loaded: they tell nothing of it."""
    errors: int = 0
    """Of those: it gave no answer by the deadline."""
    slow: int = 0
    """Of those: it neither answered nor failed within the limit on latency."""
    compared: int = 0
    """Of those: the champion answered as well, and the two can be compared."""
    disagreed: int = 0
    missing: int = 0
    """Beside `asked`: no model of its name was served."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.asked + other.asked,
            self.errors + other.errors,
            self.slow + other.slow,
            self.compared + other.compared,
            self.disagreed + other.disagreed,
            self.missing + other.missing,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done."""

    action: RolloutAction
    """NO_ACTION: go on."""
    detail: str = ""


def count(request: Request) -> Counts:
    """What a request tells of the first challenger; once it is complete, or no vote is waited for any more.

    A vote that is outstanding then is an error, and so is an answer that came too late to decide: the champion's place
    is no place for such a model. Where the champion was too late, too, that is not: the job was behind.
    """
    policy, ballot = request.policy, request.ballot
    if not policy.challengers:
        return Counts()
    challenger, champion = 0, 1
    states = ballot.states[challenger]
    missing = ballot.asked[challenger] & (states == VoteState.NO_SUCH_MODEL)
    asked = ballot.asked[challenger] & ~missing & ~np.isin(states, (VoteState.NOT_LOADED, VoteState.STILL_LOADING))
    if _without_time(request, champion).any():
        asked &= ~_without_time(request, challenger)
    took_us = np.array([votes.taken_us for votes in ballot.votes] or [0])[ballot.part[challenger]]

    answered = states == VoteState.ANSWERED
    latency_ms = policy.limits.latency_ms if policy.limits else None
    slow = 0
    if latency_ms is not None:
        in_limit = answered & (took_us <= latency_ms * 1000)
        slow = int((asked & (states != VoteState.FAILED) & ~in_limit).sum())
    numbers, labels = ballot.numbers, ballot.labels
    compared, agreed = compare(
        (numbers[challenger], numbers[champion]), (labels[challenger], labels[champion]), policy.tolerance
    )
    return Counts(
        asked=int(asked.sum()),
        errors=int((asked & ~(answered & request.in_time[challenger])).sum()),
        slow=slow,
        compared=int(compared.sum()),
        disagreed=int((compared & ~agreed).sum()),
        missing=int(missing.sum()),
    )


def _without_time(request: Request, model: int) -> NDArray[np.bool_]:
    """(n,) where a model answered too late to decide, or was not asked since no time was left."""
    states = request.ballot.states[model]
    late: NDArray[np.bool_] = (states == VoteState.ANSWERED) & ~request.in_time[model]
    return late | np.isin(states, (VoteState.EXPIRED, VoteState.SHED))


class Window:
    """Counts over a rolling window.

    Args:
        window_ms: how long it is; the oldest slot leaves as a whole.
        since_ms: when the rollout began, epoch milliseconds.
    """

    def __init__(self, window_ms: int, since_ms: int) -> None:
        self.since_ms = since_ms
        self._window_ms = window_ms
        self._slot_ms = max(1, window_ms // SLOTS)
        self._slots: dict[int, Counts] = {}

    def add(self, counts: Counts, now_ms: int) -> None:
        """Count something now, epoch milliseconds.

        That no model of its name is served is an error of a challenger that was there before in the window. At the
        beginning of a rollout it may be on its way through admission, and is not counted.
        """
        if counts.missing:
            errors = counts.missing if self.total(now_ms).asked else 0
            counts = replace(counts, asked=counts.asked + errors, errors=counts.errors + errors, missing=0)
        slot = now_ms // self._slot_ms * self._slot_ms
        self._slots[slot] = self._slots.get(slot, Counts()) + counts
        self._slots = {begin: each for begin, each in self._slots.items() if self._is_within(begin, now_ms)}

    def total(self, now_ms: int) -> Counts:
        """What was counted in the window that ends now."""
        within = (each for begin, each in self._slots.items() if self._is_within(begin, now_ms))
        return sum(within, Counts())

    def counted_since_ms(self, now_ms: int) -> int:
        """From when on there are counts in the window that ends now, epoch milliseconds, but for a slot."""
        oldest_ms = min((begin for begin in self._slots if self._is_within(begin, now_ms)), default=now_ms)
        return max(self.since_ms, oldest_ms - self._slot_ms)

    def encode(self) -> bytes:
        """All that is needed to go on."""
        slots = [message(counts, begin) for begin, counts in sorted(self._slots.items())]
        return wire.RolloutState(schema=SCHEMA, since_ms=self.since_ms, slots=slots).SerializeToString()

    @staticmethod
    def decode(encoded: bytes, window_ms: int) -> Window:
        """What `encode` gave, with a window as long as it was then.

        Raises:
            ValueError: it is of a later release.
        """
        state = wire.RolloutState.FromString(encoded)
        if state.schema > SCHEMA:
            raise ValueError(f"a rollout of schema {state.schema} was written by a later release than this")
        window = Window(window_ms, state.since_ms)
        for slot in state.slots:
            window._slots[slot.from_ms] = counts_of(slot)
        return window

    def _is_within(self, begin_ms: int, now_ms: int) -> bool:
        return begin_ms > now_ms - self._window_ms - self._slot_ms


def judge(limits: RolloutLimits, counts: Counts, since_ms: int, now_ms: int) -> Verdict:
    """What follows from what was counted in the window that ends now.

    A limit is broken as soon as its share of at least `least_records` records is above it. It holds once it could have
    been broken and is not. A promotion takes all limits, for as long as the window, and counts that are as old.

    Args:
        since_ms: `Window.counted_since_ms`.
        now_ms: epoch milliseconds.
    """
    shares = (
        ("errors", limits.errors, counts.errors, counts.asked),
        ("disagreement", limits.disagreement, counts.disagreed, counts.compared),
        ("latency", None if limits.latency_ms is None else limits.slow, counts.slow, counts.asked),
    )
    set_ones = [(name, most, part, whole) for name, most, part, whole in shares if most is not None]
    judged = [each for each in set_ones if each[3] >= limits.least_records]
    broken = [
        f"{name}: {part} of {whole} records, more than the share {most:g}"
        for name, most, part, whole in judged
        if part > most * whole
    ]
    if broken:
        action = RolloutAction.ROLL_BACK if limits.roll_back else RolloutAction.NO_ACTION
        return Verdict(action, "; ".join(broken))
    if limits.promote and len(judged) == len(set_ones) and now_ms - since_ms >= limits.window_ms:
        held = "; ".join(f"{name}: {part} of {whole} records" for name, _, part, whole in judged)
        return Verdict(RolloutAction.PROMOTE, held)
    return Verdict(RolloutAction.NO_ACTION)


def counts_of(told: wire.RolloutCounts) -> Counts:
    """The counts that `message` tells."""
    return Counts(told.asked, told.errors, told.slow, told.compared, told.disagreed, told.missing)


def message(counts: Counts, from_ms: int) -> wire.RolloutCounts:
    """The counts as a message, from a point in time on, epoch milliseconds."""
    return wire.RolloutCounts(
        from_ms=from_ms,
        asked=counts.asked,
        errors=counts.errors,
        slow=counts.slow,
        compared=counts.compared,
        disagreed=counts.disagreed,
        missing=counts.missing,
    )

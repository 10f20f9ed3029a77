"""The demonstration of speculative serving: a smart model is slowed down while records flow, and made quick again."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial

from modelserving.demo import messages
from modelserving.demo.decisions import DecisionSummary, DecisionTally, Shift
from modelserving.demo.messages import DATA_TYPE, Publication, Rivals
from modelserving.demo.run import EXAMPLE, POLL_MS, SETTLE_S, STALL_LIMIT_S, START_LIMIT_S, TOPICS, Piece, Stage
from modelserving.demo.shares import SECONDS_SHOWN, Shares
from modelserving.demo.traffic import Pacer, rejected_model
from modelserving.wire.speculative_pb2 import SpeculativeControl

RATE = 200.0
"""Records per second."""
DEADLINE_MS = 100
LAST = 1_000
"""A phase is over once so many decisions on end ..."""
MOST = 0.8
"""... are at least to this share the answers of the model that is expected in it."""
PHASE_LIMIT_S = 120.0


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the demonstration."""

    name: str
    text: str
    published: tuple[Publication, ...]
    """At its beginning."""
    by: str
    """The model whose answers most records are to get."""


def phases(models: Rivals) -> tuple[Phase, ...]:
    """They, in order."""
    return (
        Phase("quick", "smart answers in time", (models.fast, models.smart), models.smart.name),
        Phase("slowed down", "smart is slowed down", (models.slow,), models.fast.name),
        Phase("quick again", "smart is quick again", (models.smart,), models.smart.name),
    )


def piece() -> Piece:
    """It.

    Raises:
        ConfigurationError: files of the checkout are missing.
    """
    played = phases(messages.rivals(EXAMPLE))
    feed = messages.endless_records(EXAMPLE, lambda: time.time_ns() // 1_000_000)
    tally = DecisionTally()
    return Piece(
        title="modelserving demo · speculative",
        job="speculative_serving.py",
        # The slow model is to get through the gate on a slow machine, too.
        arguments=("--lanes", "2", "--parallelism", "1", "--probe-limit", "30"),
        answers=(TOPICS.decisions, TOPICS.late_answers, TOPICS.rejected_records, TOPICS.rejected_models),
        figures=Shares(),
        confirmed=tally.add_sent,
        play=partial(_Play, played, feed, tally),
    )


class _Play:
    """What is sent when. A phase begins with models that are published, and ends when the answers have shifted."""

    def __init__(self, played: tuple[Phase, ...], feed: Iterator[bytes], tally: DecisionTally, stage: Stage) -> None:
        self._phases = played
        self._feed = feed
        self._tally = tally
        self._sender = stage.sender
        self._answers = stage.answers
        self._show = stage.show
        self._page = stage.page
        self._clock = clock = stage.clock
        self._last: deque[str] = deque(maxlen=LAST)
        """Whose answers the last decisions are."""
        self._shares: list[float] = []
        """The smart model's, at the end of each phase that is over."""
        self._flows = False
        """Whether the model that is expected first has answered."""
        self._over = False
        """Whether all has been sent that will be."""
        now = clock()
        self._phase_at = self._moved_at = now
        self._pacer = Pacer(RATE, now)
        self._begin()

    def go_on(self) -> bool:
        """Do what is due; False once all is decided, or nothing has moved for `STALL_LIMIT_S`."""
        if not self._over:
            for _ in range(self._due()):
                self._sender.record(next(self._feed), valid=True)
        self._read()
        self._show_progress()
        if not self._over:
            self._look()
            return True
        waits = self._answered() < self._sender.sent
        return self._clock() - self._moved_at < (STALL_LIMIT_S if waits else SETTLE_S)

    def account(self) -> DecisionSummary:
        """How it came out."""
        seen = dict(enumerate(self._shares))
        return self._tally.summary(
            [Shift(phase.name, phase.by, seen.get(number)) for number, phase in enumerate(self._phases)]
        )

    @property
    def _phase(self) -> Phase:
        return self._phases[min(len(self._shares), len(self._phases) - 1)]

    def _begin(self) -> None:
        """Begin the phase that is next."""
        number = len(self._shares) + 1
        self._show.event(f"phase {number} of {len(self._phases)}: {self._phase.text}")
        if number == 1:
            names = [publication.name for publication in reversed(self._phase.published)]
            control = SpeculativeControl(datatype=DATA_TYPE, tmout=DEADLINE_MS, models=names)
            self._sender.publish(TOPICS.speculative_control, control.SerializeToString())
            self._show.event(f"policy: {', else '.join(names)}, within {DEADLINE_MS} ms")
        for model in self._phase.published:
            self._sender.publish(TOPICS.models, model.descriptor.SerializeToString())
            self._show.event(f"{model} published")
        self._phase_at = self._clock()

    def _due(self) -> int:
        """At the steady rate, but one by one until the model that is expected first answers."""
        due = self._pacer.due(self._clock(), LAST)
        if self._flows:
            return due
        return 1 if self._answered() == self._sender.sent else 0

    def _answered(self) -> int:
        return self._tally.decided + self._tally.rejected

    def _read(self) -> None:
        read = False
        for topic, value in self._answers.poll(POLL_MS):
            read = True
            if topic == TOPICS.decisions:
                by = self._tally.add_decision(value)
                self._last.append(by)
                if by == self._phase.by and not self._flows:
                    self._flows, self._phase_at = True, self._clock()
            elif topic == TOPICS.late_answers:
                self._tally.add_late(value)
            elif topic == TOPICS.rejected_records:
                self._tally.add_rejected(value)
            else:
                raise rejected_model(value)
        if read:
            self._moved_at = self._clock()

    def _look(self) -> None:
        """End the phase if what it waits for has come, or does not come."""
        phase, took_s = self._phase, self._clock() - self._phase_at
        share = self._last.count(phase.by) / LAST
        figures = f"{phase.by}: {share:.0%} of the last {LAST:,} answers, {took_s:.0f} s later"
        if share >= MOST and len(self._last) == LAST:
            self._show.event(figures)
            self._shares.append(self._last.count("smart") / LAST)
            if len(self._shares) < len(self._phases):
                self._begin()
            else:
                self._over = True
        elif took_s > (PHASE_LIMIT_S if self._flows else START_LIMIT_S):
            self._show.event(f"{figures}: given up")
            self._over = True

    def _show_progress(self) -> None:
        # The newest second is not over yet.
        over = sorted(self._tally.seconds)[:-1][-SECONDS_SHOWN:]
        number = self._phases.index(self._phase) + 1
        self._show.update(
            Shares(
                phase=f"{number} of {len(self._phases)}: {self._phase.text}",
                sent=self._sender.sent,
                decided=self._tally.decided,
                late=self._tally.late,
                seconds=[(at, deepcopy(self._tally.seconds[at])) for at in over],  # shown by another thread
                page=self._page,
            )
        )

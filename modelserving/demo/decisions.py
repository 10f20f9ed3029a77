"""The account of the demonstration of speculative serving: whose answer each record got, why and in what time."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from modelserving.demo.tally import Position, position_of
from modelserving.wire.serving_pb2 import Reason, Rejected
from modelserving.wire.speculative_pb2 import LateAnswer, SpeculativeDecision, VoteState, Why


@dataclass(slots=True)
class Second:
    """What was decided in one second."""

    by: Counter[str] = field(default_factory=Counter)
    """Decisions by the model whose answer they are; empty: of none."""
    why: Counter[int] = field(default_factory=Counter)
    """The same by `Why`."""
    took_ms: list[float] = field(default_factory=list)
    """From the receipt of each record to the decision."""
    late: int = 0
    """Answers that came after the deadline."""

    def quantile_ms(self, share: float) -> float:
        """The time within which this share of the records was decided; 0 if there are none."""
        times = sorted(self.took_ms)
        return times[max(0, math.ceil(share * len(times)) - 1)] if times else 0.0


@dataclass(frozen=True, slots=True)
class Shift:
    """What was to be seen in a phase, and what was."""

    phase: str
    to: str
    """The model whose answers most were to be."""
    smart: float | None
    """The share of the smart model's answers once they were; None: it was not seen."""


@dataclass(frozen=True, slots=True)
class DecisionSummary:
    """How it came out."""

    sent: int
    decided: int
    """Records with a decision."""
    surplus: int
    """Decisions beyond one for each record."""
    rejected: Counter[str]
    """Records that were turned away, by reason."""
    shifts: Sequence[Shift]

    @property
    def line(self) -> str:
        """The last line of the demonstration."""
        shares = ", ".join(
            f"{shift.phase} {'not seen' if shift.smart is None else f'{shift.smart:.0%}'}" for shift in self.shifts
        )
        return (
            f"decided {self.decided} of {self.sent} records; answers by smart: {shares}; "
            f"{self.sent - self.decided} lost, {self.surplus} doubled"
        )

    @property
    def faults(self) -> list[str]:
        """What must not be, in words; empty if all is well."""
        unseen = [shift for shift in self.shifts if shift.smart is None]
        found = {
            "records without a decision": self.sent - self.decided,
            "decisions beyond one for each record": self.surplus,
            **{f"records rejected as {reason}": count for reason, count in self.rejected.items()},
        }
        return [
            *(f"{text}: {count}" for text, count in found.items() if count),
            *(f"{shift.phase}: most answers were to be {shift.to}'s, and were not" for shift in unseen[:1]),
        ]


class DecisionTally:
    """Keeps the account, by the records' positions on the log."""

    def __init__(self) -> None:
        self._sent: set[Position] = set()
        self._decided: Counter[Position] = Counter()
        self._rejected: Counter[str] = Counter()
        self.late = 0
        """Answers that came after the deadline."""
        self.seconds: defaultdict[int, Second] = defaultdict(Second)
        """By epoch second."""

    def add_sent(self, position: Position, valid: bool) -> None:  # noqa: ARG002 - all are
        """A record is on the log."""
        self._sent.add(position)

    def add_decision(self, value: bytes) -> str:
        """An encoded `SpeculativeDecision` was read; the model whose answer it is."""
        decision = SpeculativeDecision.FromString(value)
        self._decided[position_of(decision.record)] += 1
        second = self.seconds[decision.decided_at_ms // 1000]
        second.by[decision.model_name] += 1
        second.why[decision.why] += 1
        second.took_ms.append(decision.latency_us / 1000)
        return decision.model_name

    def add_late(self, value: bytes) -> None:
        """An encoded `LateAnswer` was read."""
        late = LateAnswer.FromString(value)
        # What came after the decision may have come before the deadline: then another answer was better.
        if late.vote.state == VoteState.ANSWERED and late.after_deadline_us > 0:
            self.late += 1
            self.seconds[(late.decided_at_ms + late.after_decision_us // 1000) // 1000].late += 1

    def add_rejected(self, value: bytes) -> None:
        """An encoded `Rejected` of a record was read."""
        self._rejected[Reason.Name(Rejected.FromString(value).reason)] += 1

    @property
    def decided(self) -> int:
        """Records with a decision."""
        return len(self._decided)

    @property
    def rejected(self) -> int:
        """Records that were turned away."""
        return self._rejected.total()

    def summary(self, shifts: Sequence[Shift]) -> DecisionSummary:
        """The account; call it once all that was sent was confirmed."""
        decided = len(self._sent & self._decided.keys())
        return DecisionSummary(
            len(self._sent), decided, self._decided.total() - decided, Counter(self._rejected), shifts
        )


def why_text(why: int) -> str:
    """A `Why` as people say it."""
    return Why.Name(Why.ValueType(why)).lower().replace("_", " ")

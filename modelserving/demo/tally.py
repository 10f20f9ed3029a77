"""The account of the demonstration of swaps: what was sent, and what became of each record."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from modelserving.wire.serving_pb2 import LogPosition, Reason, Rejected, ServingResult

Position = tuple[int, int]
"""Partition and offset of a record."""

RATE_WINDOW_S = 5.0


@dataclass(frozen=True, slots=True)
class Summary:
    """How it came out; each figure counts records, but `swaps`."""

    valid: int
    """Sent, and such that a model can score them."""
    scored: int
    """Of the valid ones, those with a result."""
    swaps: int
    """Changes of the version that serves, as the results show them."""
    rejected: int
    """Turned away, with a reason."""
    lost: int
    """Sent, and neither scored nor rejected."""
    surplus: int
    """Answers beyond one for each record."""
    misjudged: int
    """Valid but rejected, or bad but scored."""

    @property
    def line(self) -> str:
        """The last line of the demonstration."""
        return (
            f"scored {self.scored} of {self.valid} records, {self.swaps} model swaps, "
            f"{self.rejected} rejected, {self.lost} lost"
        )

    @property
    def faults(self) -> list[str]:
        """What must not be, in words; empty if all is well."""
        found = {
            "records neither scored nor rejected": self.lost,
            "answers beyond one for each record": self.surplus,
            "valid records rejected, or bad ones scored": self.misjudged,
        }
        return [f"{text}: {count}" for text, count in found.items() if count]


class Tally:
    """Keeps the account, by the records' positions on the log."""

    def __init__(self) -> None:
        self._sent: dict[Position, bool] = {}
        self._results: Counter[Position] = Counter()
        self._rejected: Counter[Position] = Counter()
        self.reasons: Counter[str] = Counter()
        """Rejected records by reason."""
        self.versions: dict[str, ServingResult] = {}
        """The first result of each model version, in the order of their coming."""

    def add_sent(self, position: Position, valid: bool) -> None:
        """A record is on the log."""
        self._sent[position] = valid

    def add_result(self, value: bytes) -> None:
        """An encoded `ServingResult` was read."""
        result = ServingResult.FromString(value)
        self._results[position_of(result.record)] += 1
        self.versions.setdefault(result.model_version, result)

    def add_rejected(self, value: bytes) -> None:
        """An encoded `Rejected` was read."""
        rejected = Rejected.FromString(value)
        self._rejected[position_of(rejected.position)] += 1
        self.reasons[Reason.Name(rejected.reason)] += 1

    @property
    def scored(self) -> int:
        """Records with a result."""
        return len(self._results)

    @property
    def rejected(self) -> int:
        """Records that were turned away."""
        return len(self._rejected)

    @property
    def swaps(self) -> int:
        """Changes of the version that serves: each version is published once, and serves until the next one does."""
        return max(0, len(self.versions) - 1)

    def summary(self) -> Summary:
        """The account; call it once all that was sent was confirmed."""
        answers = self._results + self._rejected
        valid = {position for position, is_valid in self._sent.items() if is_valid}
        bad = self._sent.keys() - valid
        answered = self._sent.keys() & answers.keys()
        return Summary(
            valid=len(valid),
            scored=len(valid & self._results.keys()),
            swaps=self.swaps,
            rejected=self.rejected,
            lost=len(self._sent) - len(answered),
            surplus=answers.total() - len(answered),
            misjudged=len(valid & self._rejected.keys()) + len(bad & self._results.keys()),
        )


class RateMeter:
    """Records per second over the last `RATE_WINDOW_S` seconds."""

    def __init__(self) -> None:
        self._readings: deque[tuple[float, int]] = deque()

    def read(self, now: float, count: int) -> float:
        """The rate, given the time in seconds and how many records there were until now."""
        self._readings.append((now, count))
        while now - self._readings[0][0] > RATE_WINDOW_S:
            self._readings.popleft()
        since, before = self._readings[0]
        return (count - before) / (now - since) if now > since else 0.0


def position_of(position: LogPosition) -> Position:
    """Of a record, as it is kept here."""
    return position.partition, position.offset

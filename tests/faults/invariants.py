"""What must hold after any fault: every record left the job exactly once, and every bad model was rejected once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from modelserving.statistics.earlier import is_earlier
from modelserving.statistics.keys import is_of_policy
from modelserving.wire.serving_pb2 import LogPosition, Reason, Rejected, ServingResult
from modelserving.wire.speculative_pb2 import LateAnswer, SpeculativeDecision, VoteState
from modelserving.wire.stats_pb2 import PolicyStats, ServingStats
from tests.faults.load import BAD, Position, is_bad
from tests.faults.speculation import answer_of


@dataclass(frozen=True, slots=True)
class Findings:
    """What came of the records sent and of the bad models published."""

    lost: list[Position]
    """Sent, and neither scored (or decided) nor rejected."""
    doubled: list[Position]
    """Scored (or decided) or rejected more than once."""
    wrong: list[str]
    """All else that must not be, in words."""

    @property
    def faults(self) -> list[str]:
        """In words; empty if all is well."""
        counted = {"lost": self.lost, "doubled": self.doubled}
        named = [f"{len(found)} records {what}, such as {found[:5]}" for what, found in counted.items() if found]
        return named + self.wrong[:10]


class Account:
    """Keeps what the job has committed, and holds it against what was sent."""

    def __init__(self) -> None:
        self._answers: Counter[Position] = Counter()
        self._numbers: dict[Position, int] = {}
        self._versions: dict[Position, str] = {}
        self._scored: Counter[str] = Counter()
        """By version: the records that it answered, be it in time or late."""
        self._decided_ms: list[tuple[int, int]] = []
        """When each decided record was received, and decided."""
        self._rejected_models: Counter[int] = Counter()
        self._statistics: dict[bytes, ServingStats] = {}
        self._policy = PolicyStats()
        self._wrong: list[str] = []

    def add_result(self, key: bytes, value: bytes) -> None:
        """An encoded `ServingResult`, and its key: the record's number."""
        result = ServingResult.FromString(value)
        self._versions[_place(result.record)] = result.model_version
        self._scored[result.model_version] += 1
        self._add(result.record, int(key), scored=True)

    def add_decision(self, key: bytes, value: bytes) -> None:
        """An encoded `SpeculativeDecision`, and its key: the record's number."""
        decision = SpeculativeDecision.FromString(value)
        answers = [vote for vote in decision.votes if vote.state == VoteState.ANSWERED]
        version = next((vote.model_version for vote in answers if vote.counted), "")
        self._versions[_place(decision.record)] = version
        self._scored.update(vote.model_version for vote in answers)
        self._decided_ms.append((decision.received_at_ms, decision.decided_at_ms))
        self._add(decision.record, int(key), scored=True)
        if decision.number != answer_of(version):
            place = _place(decision.record)
            self._wrong.append(f"the answer to the record at {place} is {decision.number}, by version {version!r}")

    def add_late_answer(self, value: bytes) -> None:
        """An encoded `LateAnswer`."""
        vote = LateAnswer.FromString(value).vote
        if vote.state == VoteState.ANSWERED:
            self._scored[vote.model_version] += 1

    def add_rejected_record(self, key: bytes, value: bytes) -> None:
        """An encoded `Rejected`, and its key: the record's number."""
        rejected = Rejected.FromString(value)
        self._add(rejected.position, int(key), scored=False)
        if (rejected.reason, rejected.original) != (Reason.MALFORMED, BAD):
            self._wrong.append(f"the record at {_place(rejected.position)} was rejected: {rejected.detail}")

    def add_rejected_model(self, value: bytes) -> None:
        """An encoded `Rejected`."""
        self._rejected_models[Rejected.FromString(value).position.offset] += 1

    def add_statistics(self, key: bytes, value: bytes | None) -> None:
        """Encoded `ServingStats` or `PolicyStats`, which replace those of the same key; or None: they are added up with
        others."""
        if value is None:
            self._statistics.pop(key, None)
        elif is_of_policy(key):
            self._policy = PolicyStats.FromString(value)
        else:
            self._statistics[key] = ServingStats.FromString(value)

    def statistics_faults(self) -> list[str]:
        """Where the statistics do not count what has been taken in, in words."""
        served: Counter[str] = Counter()
        rejected = added_up = 0
        for stats in self._statistics.values():
            rejected += sum(stats.rejected.values())
            if is_earlier(stats):
                added_up += stats.served
            else:
                served[stats.model_version] += stats.served
        scored = self._scored
        missing = scored - served
        if added_up and added_up == missing.total():
            served += missing
        faults = [
            f"by the statistics version {version!r} served {served[version]} records, by the results {scored[version]}"
            for version in sorted({*served, *scored})
            if served[version] != scored[version]
        ]
        turned_away = len(self._answers) - len(self._versions)
        if rejected != turned_away:
            faults.append(f"by the statistics {rejected} records were rejected, and {turned_away} were")
        decided = len(self._decided_ms)
        if self._policy.decided != decided:
            faults.append(f"by the statistics {self._policy.decided} records were decided, and {decided} were")
        return faults

    def has_answers(self, positions: Iterable[Position]) -> bool:
        """Whether each of the records has a result, a decision or a rejection."""
        return all(position in self._answers for position in positions)

    def has_rejections(self, bad_models: Iterable[int]) -> bool:
        """Whether each of the bad models, by its offset on the model log, has been rejected."""
        return all(offset in self._rejected_models for offset in bad_models)

    def versions(self, positions: Iterable[Position]) -> set[str]:
        """The model versions that the records were scored by; an empty text for one that none has scored."""
        return {self._versions.get(position, "") for position in positions}

    def in_flight(self, at_ms: float) -> int:
        """How many records had been received for a decision, and were not decided, at that time: epoch milliseconds."""
        return sum(received < at_ms < decided for received, decided in self._decided_ms)

    def findings(self, sent: Mapping[int, Position], bad_models: Collection[int]) -> Findings:
        """All that was taken in, held against the records sent (by number) and the offsets of the bad models."""
        wrong = list(self._wrong)
        wrong += [
            f"an answer to {position}, where no record was sent" for position in self._answers.keys() - sent.values()
        ]
        wrong += [
            f"the answer to the record at {position} has the key {self._numbers[position]}, the record {number}"
            for number, position in sent.items()
            if self._numbers.get(position, number) != number
        ]
        rejections = self._rejected_models
        wrong += [f"the bad model at {offset} was not rejected" for offset in set(bad_models) - rejections.keys()]
        wrong += [f"the good model at {offset} was rejected" for offset in rejections.keys() - set(bad_models)]
        wrong += [f"the model at {offset} was rejected {n} times" for offset, n in rejections.items() if n > 1]
        return Findings(
            lost=[position for position in sent.values() if position not in self._answers],
            doubled=[position for position, times in self._answers.items() if times > 1],
            wrong=wrong,
        )

    def _add(self, record: LogPosition, number: int, *, scored: bool) -> None:
        position = _place(record)
        self._answers[position] += 1
        self._numbers[position] = number
        if scored is is_bad(number):
            self._wrong.append(f"record {number} at {position} was {'scored' if scored else 'rejected'}")


def _place(record: LogPosition) -> Position:
    return record.partition, record.offset

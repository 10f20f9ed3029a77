"""The speculative job in tests: what is sent to it, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from modelserving.wire.serving_pb2 import EventKind, ModelEvent, Rejected
from modelserving.wire.speculative_pb2 import LateAnswer, SpeculativeControl, SpeculativeDecision, SpeculativeVote
from tests.flink.jobs import MiniClusterJob
from tests.flink.messages import wine_record
from tests.flink.scripted.script import ENVIRONMENT, Script
from tests.kafka_client import TopicReader, produce
from tests.waiting import wait_until

CHUNK = 20
Position = tuple[int, int]


class Speculation:
    """Scripted models, policies, records, and the decisions on them; each record is to be decided once."""

    def __init__(self, broker: LocalBroker, topics: Topics, folder: Path) -> None:
        self.servers = broker.bootstrap_servers
        self.topics = topics
        self.script = Script(folder)
        self._folder = folder
        self._keys: dict[Position, bytes | None] = {}
        self._decisions = TopicReader(self.servers, topics.decisions)
        self._late = TopicReader(self.servers, topics.late_answers)
        self._rejected = TopicReader(self.servers, topics.rejected_records)
        self._events = TopicReader(self.servers, topics.model_events)

    def job(self, *arguments: str, parallelism: int = 1) -> MiniClusterJob:
        """The job, a context manager."""
        return MiniClusterJob(
            self._folder,
            self.servers,
            self.topics,
            None,
            *arguments,
            parallelism=parallelism,
            environment=ENVIRONMENT,
        )

    def publish(self, *descriptors: bytes) -> None:
        """Put models on their log."""
        produce(self.servers, self.topics.models, [(None, descriptor) for descriptor in descriptors])

    def control(self, message: SpeculativeControl | bytes) -> None:
        """Put a message on the control stream."""
        encoded = message if isinstance(message, bytes) else message.SerializeToString()
        produce(self.servers, self.topics.speculative_control, [(None, encoded)])

    def policy(self, *models: str, tmout: int = 50, **fields: object) -> None:
        """Send a policy for wine."""
        self.control(SpeculativeControl(datatype="wine", tmout=tmout, models=models, **fields))  # type: ignore[arg-type]

    def send(self, count: int, first: int | None = None) -> list[Position]:
        """Send so many records, the key of each its number; `first` is that of the first, else the next one."""
        start = len(self._keys) if first is None else first
        messages = [(b"%d" % number, wine_record(number)) for number in range(start, start + count)]
        positions = produce(self.servers, self.topics.records, messages)
        self._keys.update(zip(positions, (key for key, _ in messages), strict=True))
        return positions

    def decisions(self) -> dict[Position, SpeculativeDecision]:
        """What has been decided so far; no record twice, each with its key."""
        found = {}
        for message in self._decisions.poll():
            decision = SpeculativeDecision.FromString(message.value())
            position = decision.record.partition, decision.record.offset
            assert position not in found, f"decided twice: {decision}"
            assert message.key() == self._keys[position]
            found[position] = decision
        return found

    def wait(self, positions: Sequence[Position] | None = None) -> list[SpeculativeDecision]:
        """Until these records, or all that were sent, have been decided; their decisions, in order."""
        wanted = list(self._keys if positions is None else positions)
        wait_until(
            lambda: self.decisions().keys() >= set(wanted),
            describe=lambda: f"{len(self.decisions())} of {len(self._keys)} decided",
        )
        found = self.decisions()
        return [found[position] for position in wanted]

    def flow_until(self, holds: Callable[[list[SpeculativeDecision]], bool]) -> list[SpeculativeDecision]:
        """Send records, a few at a time, until something holds for the decisions on the last few; those."""
        newest: list[SpeculativeDecision] = []

        def done() -> bool:
            nonlocal newest
            newest = self.wait(self.send(CHUNK))
            return holds(newest)

        wait_until(done, describe=lambda: f"last: {newest[-1:]}")
        return newest

    def flow_until_answered_by(self, *models: str) -> list[SpeculativeDecision]:
        """Send records until the answer is always that of these models, and each has answered in time."""
        return self.flow_until(lambda newest: {each.model_name for each in newest} == set(models))

    def late(self) -> list[LateAnswer]:
        """Late answers so far."""
        return [LateAnswer.FromString(message.value()) for message in self._late.poll()]

    def rejected(self) -> list[Rejected]:
        """Rejected records so far."""
        return [Rejected.FromString(message.value()) for message in self._rejected.poll()]

    def events(self, *kinds: EventKind) -> list[ModelEvent]:
        """Events so far; of these kinds, or all."""
        events = [ModelEvent.FromString(message.value()) for message in self._events.poll()]
        return [event for event in events if not kinds or event.kind in kinds]

    def wait_for_event(self, kind: EventKind, count: int = 1) -> list[ModelEvent]:
        """Until so many events of a kind have been told."""
        wait_until(
            lambda: len(self.events(kind)) >= count,
            describe=lambda: f"{Counter(EventKind.Name(event.kind) for event in self.events())}",
        )
        return self.events(kind)

    def close(self) -> None:
        """Leave the broker."""
        for reader in (self._decisions, self._late, self._rejected, self._events):
            reader.close()


def vote(decision: SpeculativeDecision, model: str) -> SpeculativeVote:
    """What a model said to a record."""
    return next(each for each in decision.votes if each.model == model)


@contextmanager
def speculation(broker: LocalBroker, topics: Topics, folder: Path) -> Iterator[Speculation]:
    """A `Speculation` that is closed at the end."""
    opened = Speculation(broker, topics, folder)
    try:
        yield opened
    finally:
        opened.close()

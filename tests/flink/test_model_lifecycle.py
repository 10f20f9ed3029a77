"""The life of models in a running job: swaps while idle and under load, rollback, retirement, and their events."""

from __future__ import annotations

import time

from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import EventKind, ModelEvent, Reason, Rejected, ServingResult
from tests.flink.conftest import StartJob
from tests.flink.messages import example_model, wine_records
from tests.kafka_client import TopicReader, produce
from tests.waiting import wait_until

PARALLELISM = 2
TREE_1 = example_model("tree.pmml", name="tree", version="1")
TREE_2 = example_model("linear.pmml", name="tree", version="2")
GRAPH = example_model("tensorflow.pb", name="graph", version="1")


def retirement(name: str, version: str = "") -> bytes:
    """A message that takes a model out of service."""
    return ModelDescriptor(name=name, dataType="wine", version=version, retire=True).SerializeToString()


class Story:
    """A model log that is written to, records, and what a running job makes of both."""

    def __init__(self, broker: LocalBroker, topics: Topics, instances: int) -> None:
        self._servers = broker.bootstrap_servers
        self._topics = topics
        self._instances = instances
        self._events = TopicReader(self._servers, topics.model_events)
        self._results = TopicReader(self._servers, topics.results)
        self._rejected = TopicReader(self._servers, topics.rejected_records)
        self._sent = 0

    def publish(self, message: bytes) -> int:
        """Append to the model log; the offset."""
        ((_, offset),) = produce(self._servers, self._topics.models, [(None, message)])
        return offset

    def serve(self, message: bytes) -> None:
        """Publish a model and wait until it serves everywhere, without a record being sent."""
        self.wait_for(EventKind.SERVING, self.publish(message))

    def retire(self, name: str, version: str = "") -> None:
        """Publish a retirement and wait until it is decided."""
        offset = self.publish(retirement(name, version))
        wait_until(lambda: (EventKind.RETIRED, offset, "admission") in self.events(), describe=self.described)

    def wait_for(self, kind: EventKind, offset: int) -> None:
        """Wait for an event of each instance about the model at an offset."""
        wait_until(
            lambda: sum((kind, offset) == event[:2] for event in self.events()) >= self._instances,
            describe=self.described,
        )

    def events(self) -> list[tuple[EventKind, int, str]]:
        """(kind, offset on the model log, instance) of each event so far."""
        events = [ModelEvent.FromString(message.value()) for message in self._events.poll()]
        return [(event.kind, event.position.offset, event.instance) for event in events]

    def described(self) -> str:
        """All events, with what they say."""
        events = [ModelEvent.FromString(message.value()) for message in self._events.poll()]
        return "\n".join(
            f"{EventKind.Name(event.kind)} {event.position.offset} {event.instance} {event.detail}" for event in events
        )

    def send(self, count: int) -> None:
        produce(self._servers, self._topics.records, wine_records(count, start=self._sent))
        self._sent += count

    def answers(self, count: int = 40) -> set[str]:
        """Send records; what answers them: name and version of models, or reasons."""
        results, rejected = len(self._results.messages), len(self._rejected.messages)
        self.send(count)
        wait_until(
            lambda: len(self._results.poll()) + len(self._rejected.poll()) >= self._sent,
            describe=lambda: f"{len(self._results.messages)} of {self._sent} answered; {self.described()}",
        )
        scored = [ServingResult.FromString(message.value()) for message in self._results.messages[results:]]
        turned_away = [Rejected.FromString(message.value()) for message in self._rejected.messages[rejected:]]
        return {f"{one.model_name} {one.model_version}" for one in scored} | {
            Reason.Name(one.reason) for one in turned_away
        }


def instances_of(join: str) -> int:
    """How many instances hold the one data type's models."""
    return PARALLELISM if join == "partitioned" else 1


def test_idle_swap_rollback_and_retirement(join: str, start_job: StartJob, broker: LocalBroker, topics: Topics) -> None:
    story = Story(broker, topics, instances_of(join))
    with start_job(join, parallelism=PARALLELISM) as job:
        story.serve(TREE_1)
        assert story.answers() == {"tree 1"}
        story.serve(TREE_2)
        assert story.answers() == {"tree 2"}
        story.serve(TREE_1)  # a rollback
        assert story.answers() == {"tree 1"}
        story.serve(GRAPH)
        assert story.answers() == {"graph 1"}
        story.retire("graph")
        wait_until(lambda: story.answers() == {"tree 1"}, describe=story.described)
        story.retire("tree", "1")  # the joins keep nothing else: admission reads the one before from the log
        wait_until(lambda: story.answers() == {"tree 2"}, describe=story.described)
        story.retire("tree")
        wait_until(lambda: story.answers() == {"NO_MODEL"}, describe=story.described)
        story.serve(GRAPH)
        assert story.answers() == {"graph 1"}
        before = story.events()
        for message in (GRAPH, retirement("tree"), retirement("never")):
            story.publish(message)
        story.serve(TREE_2)
        assert story.answers() == {"tree 2"}
        added = [event for event in story.events() if event not in before]
        assert job.restarts() == 0
    received = [event[1] for event in added if event[0] == EventKind.RECEIVED]
    assert len(received) == 4, "each message is received once"
    decided = {event[1] for event in added if event[0] in (EventKind.ADMITTED, EventKind.RETIRED, EventKind.REJECTED)}
    assert decided == {received[-1]}, "neither the serving model nor retirements of what is not there change anything"


def test_scheduled_activation(start_job: StartJob, broker: LocalBroker, topics: Topics) -> None:
    story = Story(broker, topics, PARALLELISM)
    with start_job("partitioned", parallelism=PARALLELISM):
        story.serve(TREE_1)
        later = ModelDescriptor.FromString(TREE_2)
        later.activation_ms = time.time_ns() // 1_000_000 + 5_000
        offset = story.publish(later.SerializeToString())
        wait_until(lambda: (EventKind.SCHEDULED, offset, "admission") in story.events(), describe=story.described)
        story.wait_for(EventKind.SERVING, offset)
        assert time.time_ns() // 1_000_000 >= later.activation_ms
        assert story.answers() == {"tree 2"}

"""The reader on a real broker: everything once, in whatever way it was written, and on through what happens to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from confluent_kafka import Producer

from modelserving import topics as topics_module
from modelserving.local.broker import LocalBroker, free_port
from modelserving.query import reader as reader_module
from modelserving.query.reader import SAMPLED, Reader
from modelserving.query.view import Message
from modelserving.topics import Topics
from tests.conftest import PARTITIONS
from tests.kafka_client import produce
from tests.waiting import wait_until

STOP_LIMIT_S = 30.0


class Follower:
    """A reader, and what it has delivered."""

    def __init__(self, broker: LocalBroker, topics: Topics) -> None:
        self.messages: list[Message] = []
        self.begun_anew = 0

        self._lock = threading.Lock()
        self.reader = Reader(broker.bootstrap_servers, topics, self._deliver, self._begin_anew)

    def _deliver(self, messages: Sequence[Message]) -> None:
        assert 0 < len(messages) <= reader_module.MOST_MESSAGES
        with self._lock:
            self.messages += messages

    def _begin_anew(self) -> None:
        with self._lock:
            self.messages.clear()
            self.begun_anew += 1

    def values(self, topic: str) -> list[bytes]:
        """Of the messages of a topic, sorted."""
        with self._lock:
            return sorted(message.value or b"" for message in self.messages if message.topic == topic)

    def not_ready(self) -> str | None:
        return self.reader.progress.not_ready(time.monotonic())

    def wait_until_ready(self) -> None:
        wait_until(lambda: self.not_ready() is None, describe=lambda: f"not ready: {self.not_ready()}")

    def wait_for(self, topic: str, values: Sequence[bytes]) -> None:
        wait_until(
            lambda: self.values(topic) == sorted(values),
            describe=lambda: f"{len(self.values(topic))} of {len(values)} messages: {self.values(topic)[:5]}",
        )


Follow = Callable[..., Follower]


@pytest.fixture
def follow(broker: LocalBroker, topics: Topics) -> Iterator[Follow]:
    """Start to follow topics; the reader is stopped after the test."""
    started: list[Follower] = []

    def start(at: LocalBroker = broker, of: Topics = topics) -> Follower:
        follower = Follower(at, of)
        started.append(follower)
        follower.reader.start()
        return follower

    yield start
    for follower in started:
        follower.reader.stop(STOP_LIMIT_S)
        assert not follower.reader._thread.is_alive()


def numbered(count: int, name: str = "m") -> list[bytes]:
    return [b"%s %d" % (name.encode(), number) for number in range(count)]


def send(broker: LocalBroker, topic: str, values: Sequence[bytes], partition: int | None = None) -> None:
    produce(broker.bootstrap_servers, topic, [(value, value) for value in values], partition)


def transaction(broker: LocalBroker, topic: str, values: Sequence[bytes], *, commit: bool = True) -> None:
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": f"tests-{topic}"})
    producer.init_transactions(30)
    producer.begin_transaction()
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(30) == 0
    (producer.commit_transaction if commit else producer.abort_transaction)(30)


def test_empty_topics_are_read_at_once(follow: Follow) -> None:
    follower = follow()
    follower.wait_until_ready()
    assert follower.messages == []


def test_what_is_there_is_read_whole_before_it_is_ready(follow: Follow, broker: LocalBroker, topics: Topics) -> None:
    events, stats = numbered(3000, "event"), numbered(300, "stats")
    send(broker, topics.model_events, events)
    send(broker, topics.serving_stats, stats)
    follower = follow()
    follower.wait_until_ready()
    assert follower.values(topics.model_events) == sorted(events)
    assert follower.values(topics.serving_stats) == sorted(stats)


def test_what_comes_is_read(follow: Follow, broker: LocalBroker, topics: Topics) -> None:
    follower = follow()
    follower.wait_until_ready()
    send(broker, topics.model_events, [b"1"])
    follower.wait_for(topics.model_events, [b"1"])
    send(broker, topics.model_events, [b"2", b"3"])
    follower.wait_for(topics.model_events, [b"1", b"2", b"3"])


def test_keys_and_tombstones_arrive(follow: Follow, broker: LocalBroker, topics: Topics) -> None:
    produce(broker.bootstrap_servers, topics.serving_stats, [(b"key", None)])
    follower = follow()
    follower.wait_until_ready()
    (message,) = follower.messages
    assert (message.key, message.value, message.offset) == (b"key", None, 0)


def test_committed_messages_only(follow: Follow, broker: LocalBroker, topics: Topics) -> None:
    transaction(broker, topics.model_events, [b"kept"])
    for _ in range(3):
        transaction(broker, topics.model_events, [b"aborted"] * 3, commit=False)
    follower = follow()
    follower.wait_until_ready()
    assert follower.values(topics.model_events) == [b"kept"]
    transaction(broker, topics.model_events, [b"too"])
    follower.wait_for(topics.model_events, [b"kept", b"too"])


def test_nothing_but_the_ends_of_transactions(follow: Follow, broker: LocalBroker, topics: Topics) -> None:
    transaction(broker, topics.model_events, [b"aborted"], commit=False)
    follower = follow()
    follower.wait_until_ready()
    assert follower.messages == []


def test_of_rejections_the_end_is_read(follow: Follow, broker: LocalBroker, topics: Topics) -> None:
    send(broker, topics.rejected_records, numbered(1000), partition=1)
    send(broker, topics.rejected_models, numbered(2))
    follower = follow()
    follower.wait_until_ready()
    assert follower.values(topics.rejected_records) == sorted(numbered(1000)[-SAMPLED:])
    assert follower.values(topics.rejected_models) == sorted(numbered(2))
    send(broker, topics.rejected_records, [b"another"], partition=1)
    follower.wait_for(topics.rejected_records, [*numbered(1000)[-SAMPLED:], b"another"])


def test_a_flood_of_rejections_is_leapt_over(follow: Follow, broker: LocalBroker, topics: Topics) -> None:
    follower = follow()
    follower.wait_until_ready()
    flood = numbered(20_000)
    send(broker, topics.rejected_records, flood, partition=1)
    wait_until(lambda: flood[-1] in follower.values(topics.rejected_records))
    assert len(follower.values(topics.rejected_records)) < len(flood) / 2
    send(broker, topics.model_events, [b"event"])
    follower.wait_for(topics.model_events, [b"event"])


def test_a_flood_of_events_is_not(follow: Follow, broker: LocalBroker, topics: Topics) -> None:
    follower = follow()
    follower.wait_until_ready()
    send(broker, topics.model_events, numbered(2000), partition=1)
    follower.wait_for(topics.model_events, numbered(2000))


def test_no_group_is_joined(follow: Follow, broker: LocalBroker) -> None:
    with topics_module.admin_client(broker.bootstrap_servers) as admin:
        before = {group["group_id"] for group in admin.list_groups()}
        follow().wait_until_ready()
        assert {group["group_id"] for group in admin.list_groups()} == before


def test_more_partitions_are_noticed(
    follow: Follow, broker: LocalBroker, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "LOOK_EVERY_S", 0.5)
    follower = follow()
    send(broker, topics.model_events, [b"before"])
    follower.wait_for(topics.model_events, [b"before"])
    with topics_module.admin_client(broker.bootstrap_servers) as admin:
        admin.create_partitions({topics.model_events: PARTITIONS + 1})
        admin.wait_for_topics([topics.model_events])
    send(broker, topics.model_events, [b"after"], partition=PARTITIONS)
    follower.wait_for(topics.model_events, [b"before", b"after"])


def test_a_missing_topic_is_told_until_it_is_there(follow: Follow, broker: LocalBroker, topics: Topics) -> None:
    with topics_module.admin_client(broker.bootstrap_servers) as admin:
        admin.delete_topics([topics.serving_stats])
    follower = follow()
    wait_until(lambda: f"there is no topic {topics.serving_stats}" in (follower.not_ready() or ""))
    topics_module.create(broker.bootstrap_servers, topics, PARTITIONS)
    follower.wait_until_ready()


def test_a_topic_made_anew_has_everything_read_anew(follow: Follow, broker: LocalBroker, topics: Topics) -> None:
    send(broker, topics.serving_stats, [b"stats"])
    send(broker, topics.model_events, numbered(10), partition=0)
    follower = follow()
    follower.wait_until_ready()
    with topics_module.admin_client(broker.bootstrap_servers) as admin:
        admin.delete_topics([topics.model_events])
        wait_until(lambda: topics.model_events not in admin.list_topics())
    topics_module.create(broker.bootstrap_servers, topics, PARTITIONS)
    send(broker, topics.model_events, [b"new"], partition=0)
    follower.wait_for(topics.model_events, [b"new"])
    follower.wait_for(topics.serving_stats, [b"stats"])
    assert follower.begun_anew == 1
    follower.wait_until_ready()


def test_a_bug_in_what_takes_messages_is_told(broker: LocalBroker, topics: Topics) -> None:
    def deliver(_: Sequence[Message]) -> None:
        raise ZeroDivisionError("a bug")

    send(broker, topics.model_events, [b"1"])
    reader = Reader(broker.bootstrap_servers, topics, deliver, lambda: None)
    reader.start()
    wait_until(lambda: reader.progress.ended)
    assert reader.progress.not_ready(0) == "the reader of the topics has ended: ZeroDivisionError: a bug"


@pytest.mark.usefixtures("kafka_ready")
def test_a_broker_that_crashes_and_comes_back(follow: Follow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "LOOK_EVERY_S", 0.5)
    monkeypatch.setattr(reader_module, "LOOK_LIMIT_MS", 500)
    monkeypatch.setattr("modelserving.query.progress.AWAY_S", 5.0)
    topics = Topics()
    with LocalBroker(tmp_path, free_port()) as broker:
        topics_module.create(broker.bootstrap_servers, topics, 2)
        send(broker, topics.model_events, [b"before"])
        follower = follow(broker, topics)
        follower.wait_until_ready()
        broker.kill()
        wait_until(lambda: "the broker has not answered" in (follower.not_ready() or ""))
        broker.start()
        send(broker, topics.model_events, [b"after"])
        follower.wait_for(topics.model_events, [b"before", b"after"])
        follower.wait_until_ready()
        assert follower.begun_anew == 0


def test_a_broker_that_is_not_there_at_the_start(follow: Follow, tmp_path: Path, topics: Topics) -> None:
    absent = LocalBroker(tmp_path, free_port())
    follower = follow(absent, topics)
    wait_until(lambda: absent.bootstrap_servers in (follower.not_ready() or ""))
    assert follower.reader.progress.heard_s is None

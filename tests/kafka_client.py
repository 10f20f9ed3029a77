"""Producing and reading messages in tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from modelserving.topics import MAX_REJECTED_BYTES
from tests.waiting import LIMIT_S, wait_until


def produce(
    bootstrap_servers: str,
    topic: str,
    messages: Iterable[tuple[bytes | None, bytes | None]],
    partition: int | None = None,
) -> list[tuple[int, int]]:
    """Send (key, value) pairs; the (partition, offset) of each, in order."""
    producer = Producer(
        {"bootstrap.servers": bootstrap_servers, "linger.ms": 5, "message.max.bytes": MAX_REJECTED_BYTES}
    )
    positions: dict[int, tuple[int, int]] = {}
    count = 0
    for number, (key, value) in enumerate(messages):

        def delivered(error: Any, message: Any, number: int = number) -> None:
            assert error is None, error
            positions[number] = (message.partition(), message.offset())

        where = {} if partition is None else {"partition": partition}
        while True:
            try:
                producer.produce(topic, value=value, key=key, on_delivery=delivered, **where)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
        count += 1
    assert producer.flush(LIMIT_S) == 0
    return [positions[number] for number in range(count)]


class TopicReader:
    """All committed messages of a topic from its beginning, as they arrive."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self.messages: list[Any] = []
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": f"reader-{topic}",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "log_level": 2,  # a broker that a failed test leaves behind it ended is no news
                "fetch.message.max.bytes": MAX_REJECTED_BYTES,
            }
        )
        partitions = self._consumer.list_topics(topic, LIMIT_S).topics[topic].partitions
        self._consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in partitions])

    def poll(self) -> list[Any]:
        """What is there so far."""
        while batch := self._consumer.consume(10_000, timeout=0.2):
            for message in batch:
                assert message.error() is None, message.error()
                self.messages.append(message)
        return self.messages

    def wait_for(self, count: int, limit_s: float = LIMIT_S) -> list[Any]:
        """At least `count` messages; the test fails if they do not arrive in time."""
        wait_until(lambda: len(self.poll()) >= count, limit_s, lambda: f"{len(self.messages)} of {count} messages")
        return self.messages

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

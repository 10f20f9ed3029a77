"""A log of one partition read from a place to another: the model log, the control stream of speculative serving."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from modelserving.errors import BrokerError

READ_TIMEOUT_MS = 30_000
POLL_MS = 100


class SingleLog:
    """A topic's only partition.

    Args:
        consumer: assigned to it.
    """

    def __init__(self, consumer: Any, topic: str) -> None:
        self._consumer = consumer
        self._partition = TopicPartition(topic, 0)

    def read_all(self, each: Callable[[Any], None]) -> None:
        """Call `each` with every record that is there now."""
        partition = self._partition
        end = self._consumer.end_offsets([partition])[partition]
        self._read(self._consumer.beginning_offsets([partition])[partition], end, each)

    def read_one(self, offset: int) -> bytes | None:
        """The message at `offset`; None if it has been deleted since."""
        found: list[bytes | None] = []
        self._read(offset, offset + 1, lambda record: found.append(record.value))
        return found[0] if found else None

    def _read(self, start: int, end: int, each: Callable[[Any], None]) -> None:
        """Call `each` with every record in [start, end)."""
        partition = self._partition
        self._consumer.seek(partition, start)
        position = start
        idle_ms = 0
        while position < end:
            # A poll waits for records, and the markers that end transactions are none: so it must not wait for long.
            for record in self._consumer.poll(timeout_ms=POLL_MS, max_records=1).get(partition, []):
                if record.offset < end:
                    each(record)
            reached = self._consumer.position(partition)
            idle_ms = 0 if reached > position else idle_ms + POLL_MS
            if idle_ms >= READ_TIMEOUT_MS:
                raise BrokerError(f"topic {partition.topic} gave nothing for {READ_TIMEOUT_MS} ms at offset {position}")
            position = reached


@contextmanager
def single_log(bootstrap_servers: str, topic: str) -> Iterator[SingleLog]:
    """A topic of one partition, to read committed messages of.

    Raises:
        BrokerError: the broker or the topic cannot be read.
    """
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            bootstrap_timeout_ms=READ_TIMEOUT_MS,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        try:
            consumer.assign([TopicPartition(topic, 0)])
            yield SingleLog(consumer, topic)
        finally:
            consumer.close()
    except KafkaError as error:
        raise BrokerError(f"topic {topic} at {bootstrap_servers} cannot be read: {error}") from error

"""A consumer of the topics that only reads: no group, nothing committed, no topic created."""

from __future__ import annotations

from typing import Any

from kafka import KafkaConsumer, TopicPartition

from modelserving.errors import BrokerError
from modelserving.topics import CONNECT_LIMIT_MS

FETCH_WAIT_MS = 2_000
"""So long the broker holds a request open if there is nothing new: an idle reader asks once in so long."""


def open_consumer(bootstrap_servers: str, *, fetch_bytes: int, offset_reset: str) -> Any:
    """A consumer of committed messages.

    Args:
        fetch_bytes: of a partition, in one answer; a message that is larger comes alone.
        offset_reset: where to go on if a position is no longer there: `earliest`, or `none` to raise an error.

    Raises:
        KafkaError: the broker cannot be reached.
    """
    return KafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        bootstrap_timeout_ms=CONNECT_LIMIT_MS,
        enable_auto_commit=False,
        allow_auto_create_topics=False,
        isolation_level="read_committed",
        auto_offset_reset=offset_reset,
        fetch_max_wait_ms=FETCH_WAIT_MS,
        max_partition_fetch_bytes=fetch_bytes,
        fetch_max_bytes=4 * fetch_bytes,
        reconnect_backoff_max_ms=2_000,
        metrics_enabled=False,
    )


def partitions_of(consumer: Any, topic: str) -> list[TopicPartition]:
    """The partitions of a topic.

    Raises:
        BrokerError: there is no such topic.
    """
    numbers = consumer.partitions_for_topic(topic)
    if not numbers:
        raise BrokerError(f"there is no topic {topic}: create it, or correct --topic-prefix")
    return [TopicPartition(topic, number) for number in sorted(numbers)]

"""Running commands against the shared broker."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from kafka import KafkaConsumer, TopicPartition

from modelserving.cli.main import main
from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics

Run = Callable[..., Result]
ReadTopic = Callable[[str], list[tuple[bytes | None, bytes]]]


@pytest.fixture
def run(broker: LocalBroker, topics: Topics) -> Run:
    """Run `modelserving ARGUMENTS...` with broker and topics from the environment."""
    environment = {
        "MODELSERVING_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "MODELSERVING_TOPIC_PREFIX": topics.prefix,
    }
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments], env=environment)


@pytest.fixture
def read_topic(broker: LocalBroker) -> ReadTopic:
    """Read (key, value) of all that is on a topic, partition by partition."""

    def read(topic: str) -> list[tuple[bytes | None, bytes]]:
        consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap_servers, isolation_level="read_committed")
        messages: list[tuple[bytes | None, bytes]] = []
        for number in sorted(consumer.partitions_for_topic(topic)):
            partition = TopicPartition(topic, number)
            consumer.assign([partition])
            consumer.seek(partition, 0)
            while consumer.position(partition) < consumer.end_offsets([partition])[partition]:
                batch = consumer.poll(timeout_ms=30_000)
                assert batch, f"nothing of {partition} in 30 s"
                messages += [(record.key, record.value) for records in batch.values() for record in records]
        consumer.close()
        return messages

    return read

"""Topics on a real broker: created once, checked, and told about in one line."""

from __future__ import annotations

import os
import socket

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from modelserving import topics as topics_module
from modelserving.errors import BrokerError, ConfigurationError
from modelserving.local.broker import LocalBroker
from modelserving.topics import MAX_BATCH_BYTES, MAX_MESSAGE_BYTES, Topics
from tests.conftest import PARTITIONS


def test_models_have_one_partition_and_the_others_as_many_as_asked(broker: LocalBroker, topics: Topics) -> None:
    counts = topics_module.partition_counts(broker.bootstrap_servers)
    assert {name: counts[name] for name in topics.names} == {
        topics.models: 1,
        topics.records: PARTITIONS,
        topics.results: PARTITIONS,
        topics.rejected_records: PARTITIONS,
        topics.rejected_models: PARTITIONS,
        topics.model_events: PARTITIONS,
        topics.serving_stats: PARTITIONS,
        topics.speculative_control: 1,
        topics.decisions: PARTITIONS,
        topics.late_answers: PARTITIONS,
    }
    topics_module.check(broker.bootstrap_servers, topics, topics.names)


def test_existing_topics_are_left_as_they_are(broker: LocalBroker, topics: Topics) -> None:
    topics_module.create(broker.bootstrap_servers, topics, PARTITIONS + 1)
    assert topics_module.partition_counts(broker.bootstrap_servers)[topics.records] == PARTITIONS


def test_what_is_missing_is_named(broker: LocalBroker, topics: Topics) -> None:
    with topics_module.admin_client(broker.bootstrap_servers) as admin:
        admin.delete_topics([topics.results])
    with pytest.raises(BrokerError, match=f"no topic {topics.results} at {broker.bootstrap_servers}: create"):
        topics_module.check(broker.bootstrap_servers, topics)


def test_a_job_needs_its_own_topics_alone(broker: LocalBroker, topics: Topics) -> None:
    with topics_module.admin_client(broker.bootstrap_servers) as admin:
        admin.delete_topics([topics.decisions])
    topics_module.check(broker.bootstrap_servers, topics)
    with pytest.raises(BrokerError, match=f"no topic {topics.decisions} at "):
        topics_module.check(broker.bootstrap_servers, topics, topics.speculative)


@pytest.mark.parametrize("name", ["models", "speculative-control"])
def test_more_than_one_partition_is_refused_where_order_matters(broker: LocalBroker, topics: Topics, name: str) -> None:
    with topics_module.admin_client(broker.bootstrap_servers) as admin:
        admin.create_partitions({topics.prefix + name: 2})
        admin.wait_for_topics([topics.prefix + name])
    with pytest.raises(BrokerError, match=f"topic {topics.prefix}{name} has 2 partitions"):
        topics_module.check(broker.bootstrap_servers, topics, topics.speculative)


def test_largest_message_passes(broker: LocalBroker, topics: Topics) -> None:
    value = os.urandom(MAX_MESSAGE_BYTES)
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers, max_request_size=MAX_BATCH_BYTES)
    producer.send(topics.models, value, key=b"wine").get(timeout=120)
    producer.close(timeout=5)
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap_servers, check_crcs=False)
    partition = TopicPartition(topics.models, 0)
    consumer.assign([partition])
    consumer.seek(partition, 0)
    received = consumer.poll(timeout_ms=60_000)
    consumer.close()
    assert [record.value for record in received[partition]] == [value]


def test_unreachable_broker_is_one_line() -> None:
    with socket.socket() as silent:  # it accepts connections and never answers
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(BrokerError) as caught:
            topics_module.check(address, Topics())
    assert str(caught.value).startswith(f"Kafka at {address}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["", "localhost", "localhost:", "a b:1", "localhost:9092,", "http://localhost:1"])
def test_misspelt_address_is_told(address: str) -> None:
    with pytest.raises(BrokerError, match="no broker addresses: write HOST:PORT"):
        topics_module.check(address, Topics())


@pytest.mark.parametrize("prefix", ["a b", "a/b", "ü", "x" * 201], ids=["space", "slash", "umlaut", "long"])
def test_prefix_that_kafka_does_not_allow_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="is no topic prefix"):
        Topics(prefix)

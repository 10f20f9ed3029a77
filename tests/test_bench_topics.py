"""How the benchmark counts results."""

from __future__ import annotations

from confluent_kafka import Consumer, Producer, TopicPartition

from bench.topics import PARTITIONS, Count, renew
from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from tests.kafka_client import produce
from tests.waiting import wait_until


def test_markers_of_a_transaction_that_was_open_when_the_topic_was_made_anew_are_no_results(
    broker: LocalBroker, topics: Topics
) -> None:
    servers = broker.bootstrap_servers
    producer = Producer({"bootstrap.servers": servers, "transactional.id": topics.results})
    producer.init_transactions()
    producer.begin_transaction()
    producer.produce(topics.results, b"of a job that is ended")
    producer.flush()
    renew(servers, topics, keep=())
    producer.abort_transaction()
    counted = Count(servers, topics.results)
    offsets = Consumer({"bootstrap.servers": servers, "group.id": topics.results})
    wait_until(
        lambda: any(
            offsets.get_watermark_offsets(TopicPartition(topics.results, each))[1] for each in range(PARTITIONS)
        )
    )
    assert counted() == 0
    produce(servers, topics.results, [(None, b"a result")] * 3)
    wait_until(lambda: counted() >= 3)
    counted.close()
    offsets.close()

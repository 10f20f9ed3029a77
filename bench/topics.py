"""The benchmarks' topics: made anew for each job, but for the records, and counted."""

from __future__ import annotations

import time
from collections.abc import Iterable

import click
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from kafka import KafkaConsumer, TopicPartition

from bench.load import LOG_LEVEL
from modelserving import topics as kafka_topics
from modelserving.topics import Topics

PARTITIONS = 4
_DELETE_LIMIT_S = 60.0
_LOOK_EVERY_S = 0.1
_READ_MS = 1_000
"""For a first message to be fetched; where there are markers alone, that takes as long."""


def renew(bootstrap_servers: str, topics: Topics, keep: Iterable[str]) -> None:
    """Create the topics, and those that exist anew, but for `keep`; results are stamped when they come to their log.

    So no job finds another's models, and the results of all jobs are never on the disk together.
    """
    old = set(topics.names) - set(keep)
    with kafka_topics.admin_client(bootstrap_servers) as admin:
        doomed = sorted(old & set(admin.list_topics()))
        if doomed:
            admin.delete_topics(doomed)
        deadline = time.monotonic() + _DELETE_LIMIT_S
        while old & set(admin.list_topics()):
            if time.monotonic() > deadline:
                raise click.ClickException(f"{', '.join(doomed)} are not gone after {_DELETE_LIMIT_S:.0f} s")
            time.sleep(_LOOK_EVERY_S)
    kafka_topics.create(bootstrap_servers, topics, PARTITIONS)
    stamp_on_append(bootstrap_servers, topics.records, topics.results)


def stamp_on_append(bootstrap_servers: str, *names: str) -> None:
    """Have the broker's clock say when a message came to its log."""
    entry = ConfigEntry("message.timestamp.type", "LogAppendTime", incremental_operation=AlterConfigOpType.SET)
    resources = [ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry]) for name in names]
    admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": LOG_LEVEL})
    for done in admin.incremental_alter_configs(resources).values():
        done.result()


class Count:
    """Counts the messages of a topic; once there is one, the few markers that end transactions are taken for messages.

    Before, none counts: of a job that was ended the broker aborts an open transaction after 15 minutes, and so writes
    markers also to a topic that has been made anew under the same name.
    """

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers)
        self._partitions = [
            TopicPartition(topic, number) for number in self._consumer.partitions_for_topic(topic) or ()
        ]
        self._consumer.assign(self._partitions)
        self._consumer.seek_to_beginning()
        self._begun = False

    def __call__(self) -> int:
        """Messages so far, committed or not."""
        count = sum(self._consumer.end_offsets(self._partitions).values())
        if count and not self._begun:
            self._begun = bool(self._consumer.poll(_READ_MS, max_records=1))
            if self._begun:
                self._consumer.assign([])  # the rest is not fetched
        return int(count) if self._begun else 0

    def close(self) -> None:
        """Let the connection go."""
        self._consumer.close()

"""What a job wrote: its results, with the times at which they and their records came to their logs."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import click
import numpy as np
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, Message, TopicPartition
from numpy.typing import NDArray

from bench.load import LOG_LEVEL
from modelserving.topics import MAX_REJECTED_BYTES, Topics
from modelserving.wire.serving_pb2 import Reason, Rejected, ServingResult

END_LIMIT_S = 120.0
"""How long the last results may keep one waiting."""
_REQUEST_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Results:
    """All results, one element each, in the order in which they were read.

    Times are those of the two logs (epoch milliseconds), so the topics must have `LogAppendTime`.
    """

    partition: NDArray[np.int64]
    """Of the record."""
    offset: NDArray[np.int64]
    record_ms: NDArray[np.int64]
    written_ms: NDArray[np.int64]
    version: NDArray[np.int64]
    """Number of the model that scored, as whoever reads them gives it."""

    @property
    def latency_ms(self) -> NDArray[np.int64]:
        """From the record's place on its log to the result's."""
        return self.written_ms - self.record_ms

    def first_written_ms(self) -> dict[int, int]:
        """Number of a model → when its first result came to the log."""
        in_order = np.argsort(self.written_ms, kind="stable")
        versions, at = np.unique(self.version[in_order], return_index=True)
        return dict(zip(versions.tolist(), self.written_ms[in_order][at].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Account:
    """What became of all records."""

    results: Results
    unscored: int
    """Records without a result."""
    doubled: int
    """Results too many."""
    rejected: Counter[str]
    """Rejected records by reason."""


def account(bootstrap_servers: str, topics: Topics, number_of: Callable[[ServingResult], int] = lambda _: 0) -> Account:
    """Read all results that the job committed, waiting for the last of them.

    Args:
        bootstrap_servers: the broker.
        topics: of the job.
        number_of: tells the number of the model that scored.

    Raises:
        click.ClickException: a message cannot be read.
    """
    rejected: Counter[str] = Counter()
    columns = [array("q") for _ in range(5)]
    due = ends(bootstrap_servers, topics.records)
    for message in committed(bootstrap_servers, (topics.results, topics.rejected_records), sum(due.values())):
        if message.topic() == topics.rejected_records:
            rejected[Reason.Name(Rejected.FromString(message.value()).reason)] += 1
            continue
        result = ServingResult.FromString(message.value())
        record = result.record
        row = (record.partition, record.offset, record.timestamp_ms, message.timestamp()[1], number_of(result))
        for column, value in zip(columns, row, strict=True):
            column.append(value)
    results = Results(*(np.frombuffer(column, dtype=np.int64) for column in columns))
    times = [
        np.bincount(results.offset[results.partition == partition], minlength=count) for partition, count in due.items()
    ]
    return Account(
        results,
        unscored=int(sum((each == 0).sum() for each in times)),
        doubled=int(sum((each[each > 1] - 1).sum() for each in times)),
        rejected=rejected,
    )


def ends(bootstrap_servers: str, topic: str) -> dict[int, int]:
    """Partition → offset after the last message (markers of transactions count)."""
    with _consumer(bootstrap_servers) as consumer:
        return {
            each.partition: consumer.get_watermark_offsets(each, _REQUEST_LIMIT_S)[1]
            for each in _partitions(consumer, topic)
        }


def wait_for_version(bootstrap_servers: str, topic: str, version: str, limit_s: float) -> None:
    """Return once a result of the model version is written, committed or not.

    Raises:
        click.ClickException: none is in time.
    """
    with _consumer(bootstrap_servers, isolation="read_uncommitted") as consumer:
        consumer.assign([TopicPartition(topic, each.partition, OFFSET_END) for each in _partitions(consumer, topic)])
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            for message in consumer.consume(1000, timeout=0.1):
                if message.error() is None and ServingResult.FromString(message.value()).model_version == version:
                    return
    raise click.ClickException(f"version {version} has scored nothing in {limit_s:.0f} s")


def committed(bootstrap_servers: str, topics: tuple[str, ...], due: int) -> Iterator[Message]:
    """All committed messages of the topics; waits for `due` of them, as long as some come every `END_LIMIT_S`."""
    with _consumer(bootstrap_servers) as consumer:
        partitions = [each for topic in topics for each in _partitions(consumer, topic)]
        consumer.assign(partitions)
        read, to_go = 0, {(each.topic, each.partition) for each in partitions}
        progress = time.monotonic()
        while (to_go or read < due) and time.monotonic() < progress + END_LIMIT_S:
            for message in consumer.consume(10_000, timeout=0.5):
                where = (message.topic(), message.partition())
                if message.error() is None:
                    to_go.add(where)
                    read += 1
                    progress = time.monotonic()
                    yield message
                elif message.error().code() == KafkaError._PARTITION_EOF:
                    to_go.discard(where)
                else:
                    raise click.ClickException(f"{where[0]} cannot be read: {message.error()}")


@contextmanager
def _consumer(bootstrap_servers: str, isolation: str = "read_committed") -> Iterator[Consumer]:
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "bench",
            "isolation.level": isolation,
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "fetch.message.max.bytes": MAX_REJECTED_BYTES,
            "log_level": LOG_LEVEL,
        }
    )
    try:
        yield consumer
    finally:
        consumer.close()


def _partitions(consumer: Consumer, topic: str) -> list[TopicPartition]:
    """All of the topic's, at their beginning."""
    found = consumer.list_topics(topic, _REQUEST_LIMIT_S).topics[topic].partitions
    return [TopicPartition(topic, number, OFFSET_BEGINNING) for number in found]

"""The clients of the demonstration: what sends models and records, and what reads the answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError

from modelserving.errors import ModelServingError
from modelserving.topics import CONNECT_LIMIT_MS, MAX_BATCH_BYTES, Topics, translated_errors
from modelserving.wire.serving_pb2 import Reason, Rejected

FLUSH_LIMIT_S = 30.0
_MOST_AT_ONCE_S = 0.25

Confirmed = Callable[[tuple[int, int], bool], None]
"""Called, from a thread, with position and validity of each record that is on the log."""


class Pacer:
    """Says how many records are due, at a steady rate; what was held back is not made up for.

    Args:
        rate: records per second.
        now: seconds, of the clock that `due` is asked with.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._last = now
        self._credit = 1.0

    def due(self, now: float, most: int) -> int:
        """How many to send now, at most `most`; they count as sent."""
        self._credit = min(self._credit + (now - self._last) * self._rate, max(1.0, self._rate * _MOST_AT_ONCE_S))
        self._last = now
        count = min(int(self._credit), most)
        self._credit -= count
        return count


class Sender:
    """Sends records, models and policies; a context manager."""

    def __init__(self, bootstrap_servers: str, topics: Topics, confirmed: Confirmed) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._topics = topics
        self._confirmed = confirmed
        self._failures: list[BaseException] = []
        self.sent = 0
        """Records handed over."""

    def __enter__(self) -> Sender:
        with translated_errors(self._bootstrap_servers):
            self._producer = KafkaProducer(
                bootstrap_servers=self._bootstrap_servers,
                bootstrap_timeout_ms=CONNECT_LIMIT_MS,
                max_block_ms=CONNECT_LIMIT_MS,
                max_request_size=MAX_BATCH_BYTES,
                batch_size=64 * 1024,
                linger_ms=5,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # What matters was flushed; after a fault that one is told, not its consequence.
        with suppress(KafkaError):
            self._producer.close(timeout=1)

    def record(self, value: bytes | None, valid: bool) -> None:
        """Send a record; its key is its number.

        Raises:
            BrokerError: Kafka refuses, or refused an earlier one.
        """
        with translated_errors(self._bootstrap_servers):
            future = self._producer.send(self._topics.records, value, key=b"%d" % self.sent)
            self.sent += 1
            future.add_callback(lambda placed: self._confirmed((placed.partition, placed.offset), valid))
            future.add_errback(self._failures.append)
            if self._failures:
                raise self._failures[0]

    def publish(self, topic: str, message: bytes) -> None:
        """Send a model or a policy to its topic, and wait until it is on the log.

        Raises:
            BrokerError: Kafka refuses.
        """
        with translated_errors(self._bootstrap_servers):
            self._producer.send(topic, message).get(timeout=FLUSH_LIMIT_S)

    def flush(self) -> None:
        """Wait until all that was sent is on the log.

        Raises:
            BrokerError: it did not get there.
        """
        with translated_errors(self._bootstrap_servers):
            self._producer.flush(timeout=FLUSH_LIMIT_S)
            if self._failures:
                raise self._failures[0]


class Answers:
    """Reads topics that the job writes, from their beginning, committed messages only; a context manager."""

    def __init__(self, bootstrap_servers: str, names: Sequence[str]) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._names = names

    def __enter__(self) -> Answers:
        with translated_errors(self._bootstrap_servers):
            self._consumer = KafkaConsumer(
                bootstrap_servers=self._bootstrap_servers,
                bootstrap_timeout_ms=CONNECT_LIMIT_MS,
                enable_auto_commit=False,
                isolation_level="read_committed",
                max_poll_records=5_000,
            )
            partitions = [
                TopicPartition(name, number)
                for name in self._names
                for number in sorted(self._consumer.partitions_for_topic(name) or ())
            ]
            self._consumer.assign(partitions)
            self._consumer.seek_to_beginning()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(KafkaError):
            self._consumer.close()

    def poll(self, timeout_ms: int) -> Iterator[tuple[str, bytes]]:
        """Topic and value of each message that has come, as soon as there is one."""
        with translated_errors(self._bootstrap_servers):
            batches: dict[Any, list[Any]] = self._consumer.poll(timeout_ms=timeout_ms)
        for partition, messages in batches.items():
            for message in messages:
                yield partition.topic, message.value


def rejected_model(value: bytes) -> ModelServingError:
    """What to raise at an encoded `Rejected` of a model."""
    fault = Rejected.FromString(value)
    model = f"{fault.model_name} {fault.model_version}"
    return ModelServingError(f"model {model} was rejected: {Reason.Name(fault.reason)}: {fault.detail}")

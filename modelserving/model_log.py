"""The model log read from its beginning: how a worker without state learns which models serve.

A cold start may find a backlog on both topics, and nothing orders a model before the records it is for. So the
first batch of a data type without a model waits until the log was read once to its end.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from modelserving import descriptors
from modelserving.admission import Admission
from modelserving.errors import BrokerError, ModelRejected
from modelserving.model_history import ModelHistory, NewestModel
from modelserving.wire.state_pb2 import AdmittedModel

log = logging.getLogger(__name__)


READ_TIMEOUT_MS = 30_000
POLL_MS = 100
_shared: dict[tuple[str, str], dict[str, NewestModel]] = {}
_shared_lock = threading.Lock()


def newest_models_once(bootstrap_servers: str, topic: str, admission: Admission) -> dict[str, NewestModel]:
    """`newest_models`, read once for a worker process and shared by all its functions."""
    with _shared_lock:
        key = (bootstrap_servers, topic)
        if key not in _shared:
            _shared[key] = newest_models(bootstrap_servers, topic, admission)
        return _shared[key]


def newest_models(bootstrap_servers: str, topic: str, admission: Admission) -> dict[str, NewestModel]:
    """Data type → the newest model on the log that passes the checks of admission, has not been retired, and is due.

    Raises:
        BrokerError: the broker or the topic cannot be read.
    """
    partition = TopicPartition(topic, 0)
    with _consumer(bootstrap_servers, topic) as consumer:
        histories: dict[str, ModelHistory] = {}

        def remember(record: Any) -> None:
            try:
                descriptor = descriptors.parse(record.value)
            except ModelRejected:
                return
            if admission.data_types.get(descriptor.dataType) is not None:  # any number of names may be on the log
                history = histories.setdefault(descriptor.dataType, ModelHistory())
                history.add(descriptor, record.offset, record.timestamp)

        end = consumer.end_offsets([partition])[partition]
        _read(consumer, partition, consumer.beginning_offsets([partition])[partition], end, remember)

        def admit(offset: int) -> AdmittedModel | None:
            return _admit(admission, offset, _read_one(consumer, partition, offset))

        now_ms = admission.clock_ms()
        return {data_type: history.newest(admit, now_ms) for data_type, history in histories.items()}


def message_at(bootstrap_servers: str, topic: str, offset: int) -> bytes | None:
    """The message at `offset` of the model log; None if it is there no more.

    Raises:
        BrokerError: the broker or the topic cannot be read.
    """
    with _consumer(bootstrap_servers, topic) as consumer:
        return _read_one(consumer, TopicPartition(topic, 0), offset)


@contextmanager
def _consumer(bootstrap_servers: str, topic: str) -> Iterator[KafkaConsumer]:
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
            yield consumer
        finally:
            consumer.close()
    except KafkaError as error:
        raise BrokerError(f"topic {topic} at {bootstrap_servers} cannot be read: {error}") from error


def _admit(admission: Admission, offset: int, message: bytes | None) -> AdmittedModel | None:
    try:
        return admission.admit(descriptors.parse(message), offset)
    except ModelRejected as fault:
        log.info("cold start passes over the model at offset %d: %.500s", offset, fault)
        return None


def _read_one(consumer: KafkaConsumer, partition: TopicPartition, offset: int) -> bytes | None:
    """The message at `offset`; None if it has been deleted since."""
    found: list[bytes | None] = []
    _read(consumer, partition, offset, offset + 1, lambda record: found.append(record.value))
    return found[0] if found else None


def _read(
    consumer: KafkaConsumer, partition: TopicPartition, start: int, end: int, each: Callable[[Any], None]
) -> None:
    """Call `each` with every record in [start, end)."""
    consumer.seek(partition, start)
    position = start
    idle_ms = 0
    while position < end:
        # A poll waits for records, and the markers that end transactions are none: so it must not wait for long.
        for record in consumer.poll(timeout_ms=POLL_MS, max_records=1).get(partition, []):
            if record.offset < end:
                each(record)
        reached = consumer.position(partition)
        idle_ms = 0 if reached > position else idle_ms + POLL_MS
        if idle_ms >= READ_TIMEOUT_MS:
            raise BrokerError(f"topic {partition.topic} gave nothing for {READ_TIMEOUT_MS} ms at offset {position}")
        position = reached

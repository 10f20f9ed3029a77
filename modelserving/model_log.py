"""The model log read from its beginning: how a worker without state learns which models serve.

A cold start may find a backlog on both topics, and nothing orders a model before the records it is for. So the
first batch of a data type without a model waits until the log was read once to its end.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from modelserving import descriptors
from modelserving.admission import Admission
from modelserving.errors import BrokerError, ModelRejected
from modelserving.wire.state_pb2 import AdmittedModel

log = logging.getLogger(__name__)

READ_TIMEOUT_MS = 30_000
POLL_MS = 100
_shared: dict[tuple[str, str], dict[str, AdmittedModel]] = {}
_shared_lock = threading.Lock()


def newest_models_once(bootstrap_servers: str, topic: str, admission: Admission) -> dict[str, AdmittedModel]:
    """`newest_models`, read once for a worker process and shared by all its functions."""
    with _shared_lock:
        key = (bootstrap_servers, topic)
        if key not in _shared:
            _shared[key] = newest_models(bootstrap_servers, topic, admission)
        return _shared[key]


def newest_models(bootstrap_servers: str, topic: str, admission: Admission) -> dict[str, AdmittedModel]:
    """Data type → the newest model on the log that passes the checks of admission.

    Raises:
        BrokerError: the broker or the topic cannot be read.
    """
    partition = TopicPartition(topic, 0)
    try:
        consumer = KafkaConsumer(
            bootstrap_servers=bootstrap_servers,
            bootstrap_timeout_ms=READ_TIMEOUT_MS,
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        try:
            consumer.assign([partition])
            return _newest(consumer, partition, admission)
        finally:
            consumer.close()
    except KafkaError as error:
        raise BrokerError(f"topic {topic} at {bootstrap_servers} cannot be read: {error}") from error


def _newest(consumer: KafkaConsumer, partition: TopicPartition, admission: Admission) -> dict[str, AdmittedModel]:
    offsets: dict[str, list[int]] = defaultdict(list)
    newest_message: dict[str, bytes] = {}
    end = consumer.end_offsets([partition])[partition]

    def remember(offset: int, message: bytes | None) -> None:
        try:
            data_type = descriptors.parse(message).dataType
        except ModelRejected:
            return
        if admission.data_types.get(data_type) is None:
            return  # any number of names may be on the log
        offsets[data_type].append(offset)
        newest_message[data_type] = message or b""

    _read(consumer, partition, consumer.beginning_offsets([partition])[partition], end, remember)
    models = {}
    for data_type, history in offsets.items():
        message: bytes | None = newest_message[data_type]
        for offset in reversed(history):
            # Only the newest message of each data type is kept: a log may be larger than memory.
            admitted = _admit(admission, offset, message or _read_one(consumer, partition, offset))
            message = None
            if admitted is not None:
                models[data_type] = admitted
                break
    return models


def _admit(admission: Admission, offset: int, message: bytes | None) -> AdmittedModel | None:
    try:
        complete = admission.complete(descriptors.parse(message))
        admission.load(complete).close()
    except ModelRejected as fault:
        log.info("cold start passes over the model at offset %d: %.500s", offset, fault)
        return None
    return AdmittedModel(offset=offset, descriptor=complete)


def _read_one(consumer: KafkaConsumer, partition: TopicPartition, offset: int) -> bytes | None:
    """The message at `offset`; None if it has been deleted since."""
    found: list[bytes | None] = []
    _read(consumer, partition, offset, offset + 1, lambda _, message: found.append(message))
    return found[0] if found else None


def _read(
    consumer: KafkaConsumer,
    partition: TopicPartition,
    start: int,
    end: int,
    each: Callable[[int, bytes | None], None],
) -> None:
    """Call `each` with offset and value of every message in [start, end)."""
    consumer.seek(partition, start)
    position = start
    idle_ms = 0
    while position < end:
        # A poll waits for records, and the markers that end transactions are none: so it must not wait for long.
        for record in consumer.poll(timeout_ms=POLL_MS, max_records=1).get(partition, []):
            if record.offset < end:
                each(record.offset, record.value)
        reached = consumer.position(partition)
        idle_ms = 0 if reached > position else idle_ms + POLL_MS
        if idle_ms >= READ_TIMEOUT_MS:
            raise BrokerError(f"topic {partition.topic} gave nothing for {READ_TIMEOUT_MS} ms at offset {position}")
        position = reached

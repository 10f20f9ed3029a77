"""Sending a message to one of the logs that the jobs follow."""

from __future__ import annotations

from kafka import KafkaProducer

from modelserving import topics as topics_module
from modelserving.topics import MAX_BATCH_BYTES

SEND_LIMIT_S = 60.0


def append(topic: str, key: bytes, value: bytes, bootstrap_servers: str) -> int:
    """Append a message to a topic; its offset there.

    Raises:
        BrokerError: the broker cannot be reached, or refuses it.
    """
    with topics_module.translated_errors(bootstrap_servers):
        producer = KafkaProducer(
            bootstrap_servers=bootstrap_servers,
            bootstrap_timeout_ms=topics_module.CONNECT_LIMIT_MS,
            max_block_ms=topics_module.CONNECT_LIMIT_MS,
            max_request_size=MAX_BATCH_BYTES,
        )
        try:
            offset: int = producer.send(topic, value, key=key).get(timeout=SEND_LIMIT_S).offset
        finally:
            producer.close(timeout=1)
    return offset

"""Writing to the model log."""

from __future__ import annotations

from kafka import KafkaProducer

from modelserving import topics as topics_module
from modelserving.topics import MAX_BATCH_BYTES, Topics
from modelserving.wire.model_pb2 import ModelDescriptor

SEND_LIMIT_S = 60.0


def append(descriptor: ModelDescriptor, bootstrap_servers: str, topics: Topics) -> int:
    """Append a message to the model log, keyed by its data type; its offset there.

    Raises:
        BrokerError: the broker cannot be reached, or refuses it.
    """
    topics_module.check(bootstrap_servers, topics)
    with topics_module.translated_errors(bootstrap_servers):
        producer = KafkaProducer(
            bootstrap_servers=bootstrap_servers,
            bootstrap_timeout_ms=topics_module.CONNECT_LIMIT_MS,
            max_block_ms=topics_module.CONNECT_LIMIT_MS,
            max_request_size=MAX_BATCH_BYTES,
        )
        try:
            key = descriptor.dataType.encode()
            sent = producer.send(topics.models, descriptor.SerializeToString(), key=key)
            offset: int = sent.get(timeout=SEND_LIMIT_S).offset
        finally:
            producer.close(timeout=1)
    return offset

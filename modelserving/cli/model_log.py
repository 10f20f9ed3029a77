"""Writing to the model log."""

from __future__ import annotations

from modelserving import topics as topics_module
from modelserving.cli import sending
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor


def append(descriptor: ModelDescriptor, bootstrap_servers: str, topics: Topics) -> int:
    """Append a message to the model log, keyed by its data type; its offset there.

    Raises:
        BrokerError: the broker cannot be reached, or refuses it.
    """
    topics_module.check(bootstrap_servers, topics)
    key = descriptor.dataType.encode()
    return sending.append(topics.models, key, descriptor.SerializeToString(), bootstrap_servers)

"""The model log read from its beginning: how a worker without state learns which models serve.

A cold start may find a backlog on both topics, and nothing orders a model before the records it is for. So the
first batch of a data type without a model waits until the log was read once to its end.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from modelserving import descriptors
from modelserving.admission import Admission, key_of
from modelserving.errors import ModelRejected
from modelserving.model_history import ModelHistory, NewestModel
from modelserving.single_log import single_log
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.state_pb2 import AdmittedModel

log = logging.getLogger(__name__)

Key = Callable[[ModelDescriptor], str]
"""Of a message: what has a history of its own, and one model that serves."""

_shared: dict[tuple[str, str, Key], dict[str, NewestModel]] = {}
_shared_lock = threading.Lock()


def by_data_type(descriptor: ModelDescriptor) -> str:
    """One model of a data type serves."""
    return descriptor.dataType


def by_name(descriptor: ModelDescriptor) -> str:
    """Each model of a data type serves."""
    return key_of(descriptor.dataType, descriptor.name)


def newest_models_once(
    bootstrap_servers: str, topic: str, admission: Admission, key: Key = by_data_type
) -> dict[str, NewestModel]:
    """`newest_models`, read once for a worker process and shared by all its functions."""
    with _shared_lock:
        asked = (bootstrap_servers, topic, key)
        if asked not in _shared:
            _shared[asked] = newest_models(bootstrap_servers, topic, admission, key)
        return _shared[asked]


def newest_models(
    bootstrap_servers: str, topic: str, admission: Admission, key: Key = by_data_type
) -> dict[str, NewestModel]:
    """By key, the newest model on the log that passes the checks of admission, has not been retired, and is due.

    Raises:
        BrokerError: the broker or the topic cannot be read.
    """
    with single_log(bootstrap_servers, topic) as models:
        histories: dict[str, ModelHistory] = {}

        def remember(record: Any) -> None:
            try:
                descriptor = descriptors.parse(record.value)
            except ModelRejected:
                return
            if admission.data_types.get(descriptor.dataType) is not None:  # any number of names may be on the log
                history = histories.setdefault(key(descriptor), ModelHistory())
                history.add(descriptor, record.offset, record.timestamp)

        models.read_all(remember)

        def admit(offset: int) -> AdmittedModel | None:
            return _admit(admission, offset, models.read_one(offset))

        now_ms = admission.clock_ms()
        return {name: history.newest(admit, now_ms) for name, history in histories.items()}


def message_at(bootstrap_servers: str, topic: str, offset: int) -> bytes | None:
    """The message at `offset` of the model log; None if it is there no more.

    Raises:
        BrokerError: the broker or the topic cannot be read.
    """
    with single_log(bootstrap_servers, topic) as models:
        return models.read_one(offset)


def _admit(admission: Admission, offset: int, message: bytes | None) -> AdmittedModel | None:
    try:
        return admission.admit(descriptors.parse(message), offset)
    except ModelRejected as fault:
        log.info("cold start passes over the model at offset %d: %.500s", offset, fault)
        return None

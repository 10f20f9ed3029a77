"""What benchmarks send while a job runs: wine records at a steady rate, and models."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from confluent_kafka import Producer

from bench.records import wine_messages
from bench.swap_models import Identity, Model
from modelserving.topics import MAX_MESSAGE_BYTES
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType

LOG_LEVEL = 2
"""Of Kafka's clients: that the broker is gone at the end is no news."""

_TICK_S = 0.01
_FLUSH_LIMIT_S = 60.0


class Load:
    """Sends `rate` records/s while the context lasts, in a thread of its own; at its end all are on the log.

    Raises:
        RuntimeError: at the end, if a record could not be delivered.
    """

    def __init__(self, bootstrap_servers: str, topic: str, rate: int) -> None:
        self.sent = 0
        self._topic = topic
        self._rate = rate
        self._messages = wine_messages()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "linger.ms": 5,
                "queue.buffering.max.messages": 1_000_000,
                "log_level": LOG_LEVEL,
            }
        )
        self._faults: list[Any] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        left = self._producer.flush(_FLUSH_LIMIT_S)
        if (left or self._faults) and error is None:
            raise RuntimeError(f"{left} records were not delivered, {len(self._faults)} failed: {self._faults[:1]}")

    def _run(self) -> None:
        start = time.monotonic()
        while not self._stop.wait(_TICK_S):
            for number in range(self.sent, int((time.monotonic() - start) * self._rate)):
                message = self._messages[number % len(self._messages)]
                self._producer.produce(self._topic, message, key=b"%d" % number, on_delivery=self._delivered)
                self.sent += 1
            self._producer.poll(0)

    def _delivered(self, error: Any, _message: Any) -> None:
        if error is not None:
            self._faults.append(error)


@dataclass(frozen=True, slots=True)
class Published:
    """A model on the model log, without its bytes."""

    number: int
    kind: str
    fault: str
    """What is wrong with it; empty for a good one."""
    identity: Identity
    at_ms: int
    """Epoch milliseconds just before it was sent."""
    offset: int


class ModelLog:
    """Publishes models, and remembers them."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self.published: list[Published] = []
        self._topic = topic
        self._producer = Producer(
            {"bootstrap.servers": bootstrap_servers, "message.max.bytes": MAX_MESSAGE_BYTES, "log_level": LOG_LEVEL}
        )

    def publish(self, model: Model) -> None:
        """Send a model, wait until it is on the log, and remember it.

        Raises:
            RuntimeError: it was not delivered.
        """
        now = time.time_ns() // 1_000_000
        offset = self.send(model.descriptor)
        kind = ModelType.Name(model.descriptor.modeltype)
        self.published.append(Published(model.number, kind, model.fault, model.identity, now, offset))

    def send(self, descriptor: ModelDescriptor) -> int:
        """Send a model and wait until it is on the log; its offset there.

        Raises:
            RuntimeError: it was not delivered.
        """
        offsets: list[int] = []

        def delivered(error: Any, message: Any) -> None:
            if error is None:
                offsets.append(message.offset())

        self._producer.produce(self._topic, descriptor.SerializeToString(), on_delivery=delivered)
        self._producer.flush(_FLUSH_LIMIT_S)
        if not offsets:
            raise RuntimeError(f"{descriptor.name} {descriptor.version} could not be published")
        return offsets[0]

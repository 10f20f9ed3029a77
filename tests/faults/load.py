"""Records that flow while faults are injected: a steady rate, from a thread of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from itertools import count, islice
from types import TracebackType
from typing import Any

from confluent_kafka import Producer

from modelserving.demo.traffic import Pacer
from tests.flink.messages import wine_record
from tests.waiting import LIMIT_S, wait_until

Position = tuple[int, int]
"""Partition and offset of a record."""

BAD = b"\xff\xff"
_EVERY_S = 0.01


def is_bad(number: int) -> bool:
    """Whether the record of this number is one that no model can score: one in a hundred."""
    return number % 100 == 50


class Load:
    """Sends wine records, and remembers where each came to lie; a context manager that starts paused.

    A broker that is away delays records and loses none: the producer is idempotent, and tries for ever.
    """

    def __init__(self, bootstrap_servers: str, topic: str, rate: float) -> None:
        """`rate` in records per second."""
        self._topic = topic
        self._rate = rate
        self._numbers = count()
        self._handed_over = 0
        self._errors: list[str] = []
        self._flowing = threading.Event()
        self._ended = threading.Event()
        self._sending = threading.Lock()
        self._thread = threading.Thread(target=self._flow, name="load", daemon=True)
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "message.timeout.ms": 0,  # for ever
                "reconnect.backoff.max.ms": 1000,
                "queue.buffering.max.messages": 1_000_000,
                "linger.ms": 5,
                "log_level": 2,  # that the broker is away is no news here
            }
        )
        self.sent: dict[int, Position] = {}
        """Number of each record (its key says it too), and where it lies."""

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._producer.purge()

    def resume(self) -> None:
        """Let records flow."""
        self._flowing.set()

    def pause(self) -> None:
        """Hold back further records, and wait until those before are on the log."""
        self._flowing.clear()
        with self._sending:
            pass  # what was being handed over is now
        self._wait_until(lambda: len(self.sent) >= self._handed_over)

    def burst(self, size: int) -> list[Position]:
        """Send so many good records at once; where they lie."""
        numbers = list(islice((number for number in self._numbers if not is_bad(number)), size))
        self._send(numbers)
        # Others may flow meanwhile, and be delivered before.
        self._wait_until(lambda: all(number in self.sent for number in numbers))
        return [self.sent[number] for number in numbers]

    def _flow(self) -> None:
        pacer = Pacer(self._rate, time.monotonic())
        while not self._ended.wait(_EVERY_S):
            due = pacer.due(time.monotonic(), 1_000_000)
            if self._flowing.is_set():
                self._send(list(islice(self._numbers, due)))
            self._producer.poll(0)

    def _send(self, numbers: Sequence[int]) -> None:
        with self._sending:
            for number in numbers:
                value = BAD if is_bad(number) else wine_record(number)
                self._producer.produce(self._topic, value, b"%d" % number, on_delivery=self._delivered)
            self._handed_over += len(numbers)

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self._errors.append(str(error))
        else:
            self.sent[int(message.key())] = (message.partition(), message.offset())

    def _wait_until(self, delivered: Callable[[], bool]) -> None:
        wait_until(
            lambda: self._errors or delivered(),
            LIMIT_S,
            lambda: f"{len(self.sent)} of {self._handed_over} records are on the log",
        )
        assert not self._errors, self._errors[0]

"""A view of the topics inside a command: what the query service knows, without the service."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from modelserving import topics as topics_module
from modelserving.errors import BrokerError
from modelserving.query.reader import Reader
from modelserving.query.view import Message, View
from modelserving.topics import Topics

T = TypeVar("T")

READ_LIMIT_S = 60.0
"""Without a word from the broker; reading a long log may take longer."""
_LOOK_EVERY_S = 0.05
_STOP_LIMIT_S = 2.0


class Followed:
    """A view that a reader fills in a thread of its own."""

    def __init__(self, bootstrap_servers: str, topics: Topics) -> None:
        self._view = View(topics)
        self._lock = threading.Lock()
        self._reader = Reader(bootstrap_servers, topics, self._take_in, self._forget)

    def read(self, question: Callable[[View], T]) -> T:
        """The answer to `question`, while nothing changes."""
        with self._lock:
            return question(self._view)

    def start(self) -> None:
        """Begin to read; returns once all is read that was there.

        Raises:
            BrokerError: the broker does not answer.
        """
        begun_s = time.monotonic()
        self._reader.start()
        while not (progress := self._reader.progress).caught_up:
            now_s = time.monotonic()
            if progress.ended or now_s - (progress.heard_s or begun_s) > READ_LIMIT_S:
                raise BrokerError(progress.not_ready(now_s) or "the topics cannot be read")
            time.sleep(_LOOK_EVERY_S)

    @property
    def fault(self) -> str | None:
        """Why what is known may not be what is; None if it is.

        Raises:
            BrokerError: nothing more will be read.
        """
        fault = self._reader.progress.not_ready(time.monotonic())
        if self._reader.progress.ended:
            raise BrokerError(fault or "the topics cannot be read")
        return fault

    def stop(self) -> None:
        """Read no more."""
        self._reader.stop(_STOP_LIMIT_S)

    def _take_in(self, messages: Sequence[Message]) -> None:
        with self._lock:
            self._view.apply(messages)

    def _forget(self) -> None:
        with self._lock:
            self._view.clear()


@contextmanager
def following(bootstrap_servers: str, topics: Topics) -> Iterator[Followed]:
    """The view of the topics of a broker, whole from the beginning on.

    Raises:
        BrokerError: the broker cannot be reached, or a topic is missing.
    """
    # Kafka's client tells of each attempt to connect to a broker that is away.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    topics_module.check(bootstrap_servers, topics, topics.told)
    followed = Followed(bootstrap_servers, topics)
    try:
        followed.start()
        yield followed
    finally:
        followed.stop()

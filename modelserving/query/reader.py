"""The reader: one thread that follows the topics and hands on what it reads.

Statistics and events are read from their beginning, without a gap. Of rejections only a sample is wanted: the reader
starts near the end of their topics, and leaps forward where more arrives than it reads.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from kafka import TopicPartition
from kafka.errors import KafkaError, LogTruncationError, OffsetOutOfRangeError

from modelserving.errors import BrokerError
from modelserving.query.consumer import open_consumer, partitions_of
from modelserving.query.progress import Progress
from modelserving.query.view import Message
from modelserving.topics import Topics, translated_errors

log = logging.getLogger(__name__)

POLL_MS = 1_000
MOST_MESSAGES = 200
"""Handed on at once: whoever takes them does nothing else meanwhile."""
PAUSE_S = 0.1
"""After each batch, unless there is more: what trickles in is taken in sips."""
LOOK_EVERY_S = 10.0
"""How often the broker is asked how far the topics go, if only to hear that it is there."""
LOOK_LIMIT_MS = 5_000
RETRY_AFTER_S = 2.0
FETCH_BYTES = 1024 * 1024
SAMPLED = 25
"""Messages of each partition of a sampled topic that are read at the start, or after a leap."""
MOST_BEHIND = 500
"""Messages of a partition of a sampled topic; what is more is leapt over."""


class Reader:
    """Reads the topics in a thread of its own, from `start` to `stop`.

    Args:
        deliver: takes the messages that were read, in the order of each partition; returns once it has.
        begin_anew: forgets what was delivered; called before everything is read once more.
        clock_s: seconds that only grow.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Topics,
        deliver: Callable[[Sequence[Message]], None],
        begin_anew: Callable[[], None],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.progress = Progress()
        self._bootstrap_servers = bootstrap_servers
        self._whole = (topics.serving_stats, topics.model_events)
        self._sampled = (topics.rejected_records, topics.rejected_models)
        self._deliver = deliver
        self._begin_anew = begin_anew
        self._clock_s = clock_s
        self._positions: dict[TopicPartition, int] = {}
        self._targets: dict[TopicPartition, int] | None = None
        """Where the topics ended at the start."""
        self._stopping = threading.Event()
        # A daemon: a broker that does not answer must not keep the process.
        self._thread = threading.Thread(target=self._run, name="topic-reader", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, limit_s: float) -> None:
        """Read no more; returns when the thread has ended, or after `limit_s`."""
        self._stopping.set()
        self._thread.join(limit_s)

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._try_to_follow()
        except Exception as error:
            log.exception("the reader of the topics has ended")
            self.progress = replace(self.progress, ended=True, fault=f"{type(error).__name__}: {error}")

    def _try_to_follow(self) -> None:
        """Read until something is in the way."""
        try:
            with translated_errors(self._bootstrap_servers), closing(self._open()) as consumer:
                self._follow(consumer)
        except BrokerError as error:
            if isinstance(error.__cause__, OffsetOutOfRangeError | LogTruncationError):
                log.warning("a topic is not what it was, so everything is read anew: %s", error.__cause__)
                self._positions, self._targets = {}, None
                self.progress = Progress()
                self._begin_anew()
            else:
                self.progress = replace(self.progress, fault=str(error))
                log.warning("%s", error)
                self._stopping.wait(RETRY_AFTER_S)

    def _open(self) -> Any:
        # Without a position to fall back to: a log that lost its end, or was made anew, has to be noticed.
        return open_consumer(self._bootstrap_servers, fetch_bytes=FETCH_BYTES, offset_reset="none")

    def _follow(self, consumer: Any) -> None:
        """Read until told to stop, or until a topic has more partitions."""
        partitions = self._partitions(consumer)
        self._take_up(consumer, partitions)
        self._note_positions(consumer, partitions)  # perhaps there is nothing to read
        looked_s = self._clock_s()
        while not self._stopping.is_set():
            polled = consumer.poll(timeout_ms=POLL_MS, max_records=MOST_MESSAGES)
            messages = [message for of_partition in polled.values() for message in of_partition]
            if messages:
                self._deliver(messages)
            self._note_positions(consumer, partitions)
            self._leap(consumer, polled)
            if self._clock_s() - looked_s >= LOOK_EVERY_S:
                looked_s = self._clock_s()
                self._look(consumer, partitions)
                if self._partitions(consumer) != partitions:
                    return
            if 0 < len(messages) < MOST_MESSAGES and self.progress.caught_up:
                self._stopping.wait(PAUSE_S)

    def _partitions(self, consumer: Any) -> list[TopicPartition]:
        return [each for topic in (*self._whole, *self._sampled) for each in partitions_of(consumer, topic)]

    def _take_up(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        """Go on where reading stopped; where it never began, at the beginning, or near the end of a sampled topic."""
        beginnings, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
        consumer.assign(partitions)
        for partition in partitions:
            start = beginnings[partition]
            if partition.topic in self._sampled:
                start = max(start, ends[partition] - SAMPLED)
            consumer.seek(partition, self._positions.setdefault(partition, start))
        if self._targets is None:
            self._targets = ends
        self._hear()

    def _note_positions(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        """A position also moves over what is no message: the marks at the ends of transactions."""
        before = dict(self._positions)
        for partition in partitions:
            position = consumer.position(partition, timeout_ms=POLL_MS)
            if position is not None:
                self._positions[partition] = position
        if self._positions != before:
            self._hear()
        if not self.progress.caught_up:
            targets = self._targets or {}
            left = sum(max(0, end - self._positions[partition]) for partition, end in targets.items())
            self.progress = replace(self.progress, caught_up=left == 0, left=left)

    def _leap(self, consumer: Any, polled: dict[TopicPartition, Any]) -> None:
        for partition in polled:
            end = consumer.highwater(partition)
            if partition.topic in self._sampled and end is not None and end - self._positions[partition] > MOST_BEHIND:
                self._positions[partition] = end - SAMPLED
                consumer.seek(partition, end - SAMPLED)

    def _look(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        try:
            ends = consumer.end_offsets(partitions, timeout_ms=LOOK_LIMIT_MS)
        except KafkaError as error:
            self.progress = replace(self.progress, fault=f"Kafka at {self._bootstrap_servers}: {error}")
            return
        lag = sum(max(0, ends[each] - self._positions[each]) for each in partitions)
        self.progress = replace(self.progress, lag=lag)
        self._hear()

    def _hear(self) -> None:
        """The broker has answered."""
        self.progress = replace(self.progress, heard_s=self._clock_s(), fault="")

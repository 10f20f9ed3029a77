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
        self._waiting: dict[TopicPartition, tuple[int, float]] = {}
        """Partition → an end that the broker told of and that is not reached yet, and when it did."""
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
                self._positions, self._targets, self._waiting = {}, None, {}
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
            self._hand_on(messages)
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
        self._hear(ends)

    def _hand_on(self, messages: Sequence[Message]) -> None:
        """Deliver what was not delivered before: a fault between two polls has the last messages read again."""
        new = []
        for message in messages:
            partition = TopicPartition(message.topic, message.partition)
            if message.offset >= self._positions[partition]:
                self._positions[partition] = message.offset + 1
                new.append(message)
        if new:
            self._deliver(new)

    def _note_positions(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        """A position also moves over what is no message: the marks at the ends of transactions."""
        for partition in partitions:
            position = consumer.position(partition, timeout_ms=POLL_MS)
            if position is not None:
                self._positions[partition] = position
        self._wait_no_more()
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
        """Ask how far each partition goes. One that cannot be asked is not heard through the others."""
        try:
            ends = consumer.end_offsets(partitions, timeout_ms=LOOK_LIMIT_MS)
        except KafkaError as error:
            silent = self._silent(consumer, partitions)
            where = f", {silent.topic}-{silent.partition}" if silent else ""
            self.progress = replace(self.progress, fault=f"Kafka at {self._bootstrap_servers}{where}: {error}")
        else:
            self._hear(ends)

    def _silent(self, consumer: Any, partitions: list[TopicPartition]) -> TopicPartition | None:
        """The first partition that cannot be asked, if it can be found out in time."""
        for partition in partitions:
            try:
                consumer.end_offsets([partition], timeout_ms=LOOK_LIMIT_MS // len(partitions))
            except KafkaError:
                return partition
        return None

    def _hear(self, ends: dict[TopicPartition, int]) -> None:
        """The broker has told where the partitions end."""
        now_s = self._clock_s()
        for partition, end in ends.items():
            if end > self._positions[partition]:
                self._waiting.setdefault(partition, (end, now_s))
        lag = sum(max(0, end - self._positions[partition]) for partition, end in ends.items())
        self.progress = replace(self.progress, lag=lag, heard_s=now_s, fault="")
        self._wait_no_more()

    def _wait_no_more(self) -> None:
        """Forget ends that are reached; tell which one was not reached for longest."""
        for partition, (end, _) in list(self._waiting.items()):
            if self._positions[partition] >= end:
                del self._waiting[partition]
        oldest = min(self._waiting.items(), key=lambda each: each[1][1], default=None)
        behind, since_s = ("", 0.0) if oldest is None else (f"{oldest[0].topic}-{oldest[0].partition}", oldest[1][1])
        if (behind, since_s) != (self.progress.behind, self.progress.behind_since_s):
            self.progress = replace(self.progress, behind=behind, behind_since_s=since_s)

"""The reader where a part of the log is away or slow: it is told which, and nothing is handed on twice."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError

from modelserving import topics as topics_module
from modelserving.local.broker import LocalBroker, free_port
from modelserving.query import reader as reader_module
from modelserving.query.progress import AWAY_S, BEHIND_S, Progress
from modelserving.query.reader import Reader
from modelserving.query.view import Message as TopicMessage
from tests.kafka_client import produce
from tests.query.cases import TOPICS, Message
from tests.waiting import wait_until

EVENTS = TopicPartition(TOPICS.model_events, 1)


class Log:
    """Topics of two partitions, and what is the matter with them."""

    def __init__(self) -> None:
        self.values: dict[TopicPartition, list[bytes]] = defaultdict(list)
        self.silent: set[TopicPartition] = set()
        """Nobody answers for them."""
        self.unreadable: set[TopicPartition] = set()
        """Nothing is read of them."""
        self.breaks = 0
        """So many times more the connection breaks after a poll that had something."""
        self.polls = 0
        self.never = threading.Event()


class LogConsumer:
    """A consumer of `Log`, with the methods that the reader calls."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._positions: dict[TopicPartition, int] = {}
        self._broken = False

    def partitions_for_topic(self, _: str) -> set[int]:
        return {0, 1}

    def beginning_offsets(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)

    def end_offsets(self, partitions: Sequence[TopicPartition], timeout_ms: int = 0) -> dict[TopicPartition, int]:
        if self._log.silent & set(partitions):
            raise KafkaTimeoutError(f"no answer in {timeout_ms} ms")
        return {each: len(self._log.values[each]) for each in partitions}

    def assign(self, _: Sequence[TopicPartition]) -> None:
        pass

    def seek(self, partition: TopicPartition, offset: int) -> None:
        self._positions[partition] = offset

    def position(self, partition: TopicPartition, timeout_ms: int) -> int:
        if self._broken:
            raise KafkaTimeoutError(f"no position in {timeout_ms} ms")
        return self._positions[partition]

    def highwater(self, partition: TopicPartition) -> int:
        return len(self._log.values[partition])

    def poll(self, timeout_ms: int, max_records: int) -> dict[TopicPartition, list[Message]]:  # noqa: ARG002
        found = {}
        for partition, position in self._positions.items():
            values = self._log.values[partition][position:]
            if values and partition not in self._log.unreadable:
                topic, number = partition
                found[partition] = [
                    Message(topic, value, None, number, at) for at, value in enumerate(values, start=position)
                ]
                self._positions[partition] += len(values)
        if found and self._log.breaks:
            self._log.breaks -= 1
            self._broken = True
        if not found:
            self._log.never.wait(0.001)  # as a broker without news has one wait
        self._log.polls += 1
        return found

    def close(self) -> None:
        pass


class Followed:
    """A reader of a log, at a clock that a test moves."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.now_s = 1000.0
        self.values: list[bytes] = []
        self.reader = Reader("none:1", TOPICS, self._deliver, self.values.clear, lambda: self.now_s)

    @property
    def not_ready(self) -> str | None:
        return self.reader.progress.not_ready(self.now_s)

    def let_time_pass(self, seconds: float) -> None:
        """In steps, with several polls in each."""
        for _ in range(int(seconds)):
            self.now_s += 1.0
            polls = self.log.polls
            wait_until(lambda polls=polls: self.log.polls > polls + 1)  # type: ignore[misc]

    def _deliver(self, messages: Sequence[TopicMessage]) -> None:
        self.values += [message.value or b"" for message in messages]


@contextmanager
def following(log: Log, monkeypatch: pytest.MonkeyPatch) -> Iterator[Followed]:
    monkeypatch.setattr(reader_module, "open_consumer", lambda *_, **__: LogConsumer(log))
    monkeypatch.setattr(reader_module, "RETRY_AFTER_S", 0.01)
    monkeypatch.setattr(reader_module, "PAUSE_S", 0.001)
    followed = Followed(log)
    followed.reader.start()
    try:
        yield followed
    finally:
        followed.reader.stop(30)
        assert not followed.reader._thread.is_alive()


def test_messages_that_are_read_again_are_handed_on_once(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    log.values[EVENTS] += [b"1", b"2"]
    log.breaks = 1
    with following(log, monkeypatch) as followed:
        wait_until(lambda: followed.not_ready is None and not log.breaks)
        log.values[EVENTS].append(b"3")
        wait_until(lambda: b"3" in followed.values)
        assert followed.values == [b"1", b"2", b"3"]


def test_a_partition_that_does_not_answer_is_not_heard_through_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    with following(log, monkeypatch) as followed:
        wait_until(lambda: followed.not_ready is None)
        log.silent.add(EVENTS)
        for number in range(int(AWAY_S) + 11):
            log.values[TopicPartition(TOPICS.serving_stats, 0)].append(b"%d" % number)
            followed.let_time_pass(1)
        told = followed.not_ready or ""
        assert "the broker has not answered for" in told
        assert f"{EVENTS.topic}-{EVENTS.partition}" in told
        log.silent.clear()
        followed.let_time_pass(11)
        assert followed.not_ready is None


def test_a_partition_that_is_not_read_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    with following(log, monkeypatch) as followed:
        wait_until(lambda: followed.not_ready is None)
        log.unreadable.add(EVENTS)
        log.values[EVENTS] += [b"1"] * 70
        followed.let_time_pass(11)
        assert followed.not_ready is None, "it may only just have come"
        followed.let_time_pass(BEHIND_S)
        assert "messages of model-events-1 are not read for" in (followed.not_ready or "")
        assert "70 in all" in (followed.not_ready or "")
        log.unreadable.clear()
        followed.let_time_pass(2)
        assert followed.not_ready is None


def test_who_reads_on_is_ready_however_much_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log()
    with following(log, monkeypatch) as followed:
        wait_until(lambda: followed.not_ready is None)
        for _ in range(3 * int(BEHIND_S)):
            log.values[EVENTS] += [b"1"] * 500
            followed.let_time_pass(1)
            assert followed.not_ready is None


def test_how_far_behind_is_told_with_the_fault() -> None:
    progress = Progress(caught_up=True, lag=12, behind="model-events-1", behind_since_s=5.0, heard_s=39.0, fault="torn")
    assert progress.not_ready(34.9) is None
    assert progress.not_ready(40.0) == "messages of model-events-1 are not read for 35 s, 12 in all: torn"


@pytest.mark.usefixtures("kafka_ready")
def test_a_damaged_partition_of_a_real_broker_shows(tmp_path: Path) -> None:
    with LocalBroker(tmp_path, free_port()) as broker:
        topics_module.create(broker.bootstrap_servers, TOPICS, 2)
        produce(broker.bootstrap_servers, TOPICS.model_events, [(None, b"x" * 1000)], 1)
        (segment,) = tmp_path.rglob(f"{TOPICS.model_events}-1/00000000000000000000.log")
        with segment.open("r+b") as file:
            file.seek(-10, 2)
            file.write(b"damaged!")
        reader = Reader(broker.bootstrap_servers, TOPICS, lambda _: None, lambda: None)
        reader.start()
        try:
            wait_until(lambda: "crc" in (reader.progress.not_ready(time.monotonic()) or ""))
            assert "1 messages are still to be read" in (reader.progress.not_ready(time.monotonic()) or "")
        finally:
            reader.stop(30)

"""Running commands against the shared broker, and the demonstrations, which have brokers of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result
from kafka import KafkaConsumer, TopicPartition

from modelserving.cli.main import main
from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics

Run = Callable[..., Result]
ReadTopic = Callable[[str], list[tuple[bytes | None, bytes]]]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def run(broker: LocalBroker, topics: Topics) -> Run:
    """Run `modelserving ARGUMENTS...` with broker and topics from the environment."""
    environment = {
        "MODELSERVING_BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "MODELSERVING_TOPIC_PREFIX": topics.prefix,
    }
    return lambda *arguments: CliRunner().invoke(main, [str(argument) for argument in arguments], env=environment)


@pytest.fixture
def read_topic(broker: LocalBroker) -> ReadTopic:
    """Read (key, value) of all that is on a topic, partition by partition."""

    def read(topic: str) -> list[tuple[bytes | None, bytes]]:
        consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap_servers, isolation_level="read_committed")
        messages: list[tuple[bytes | None, bytes]] = []
        for number in sorted(consumer.partitions_for_topic(topic)):
            partition = TopicPartition(topic, number)
            consumer.assign([partition])
            consumer.seek(partition, 0)
            while consumer.position(partition) < consumer.end_offsets([partition])[partition]:
                batch = consumer.poll(timeout_ms=30_000)
                assert batch, f"nothing of {partition} in 30 s"
                messages += [(record.key, record.value) for records in batch.values() for record in records]
        consumer.close()
        return messages

    return read


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The folder that the demonstration takes for temporary files; all its processes have it in their environment."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def start(kafka_ready: None, flink_ready: None, temporary: Path) -> Start:  # noqa: ARG001
    """Start `modelserving demo ARGUMENTS...` with a pipe for stdout, in a process group of its own."""

    def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "modelserving.cli.main", "demo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "TMPDIR": str(temporary), **environment},
            start_new_session=True,
        )

    return run


def processes_of(folder: Path) -> list[str]:
    """The processes that have the folder in their command or their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if any(str(folder) in word for word in words):
            found.append(str(process))
    return found


def assert_nothing_is_left(folder: Path) -> None:
    assert processes_of(folder) == []
    assert list(folder.iterdir()) == []

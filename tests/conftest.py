"""What tests share: a real Kafka broker, and topics of their own on it."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator

import pytest
from hypothesis import settings

from modelserving import topics as topics_module
from modelserving.errors import ConfigurationError
from modelserving.local.broker import LocalBroker, free_port
from modelserving.local.jars import jars_folder, java
from modelserving.topics import Topics

PARTITIONS = 4

# Jobs of tests are short: of their processor time, the JVM's second compiler took a quarter.
os.environ.setdefault("JAVA_TOOL_OPTIONS", "-XX:TieredStopAtLevel=1")

# Where tests are begun in the background, a shell has it ignored, and what they begin would ignore it, too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says something about the machine, nothing about the code.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def kafka_ready() -> None:
    """Java and the broker's jars are there."""
    _need("kafka")


@pytest.fixture(scope="session")
def flink_ready() -> None:
    """Java and the jars of jobs are there."""
    _need("flink")


def _need(jars: str) -> None:
    """Without Java and these jars a test is skipped, but in CI (environment variable CI) it fails."""
    try:
        java()
        jars_folder(jars)
    except ConfigurationError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def broker(kafka_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:  # noqa: ARG001
    """A running broker, one for all tests; they keep apart by their topics."""
    with LocalBroker(tmp_path_factory.mktemp("kafka"), free_port()) as running:
        yield running


@pytest.fixture
def topics(broker: LocalBroker) -> Topics:
    """Topics that exist and that no other test uses, with `PARTITIONS` partitions each (`models` has one)."""
    created = Topics(f"test-{uuid.uuid4().hex[:12]}-")
    topics_module.create(broker.bootstrap_servers, created, PARTITIONS)
    return created

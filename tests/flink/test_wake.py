"""A lane's threads ask for an element, and get one at once."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelserving.flink.speculative.wake import Wake
from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from tests.flink.jobs import MiniClusterJob
from tests.flink.scripted.script import ENVIRONMENT
from tests.flink.speculation import speculation

WITHOUT_CLOCK = Path(__file__).with_name("without_clock.py")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(10)
        yield bound


def test_a_datagram_to_the_port_that_was_told(listener: socket.socket) -> None:
    wake = Wake()
    wake()  # nobody is known yet
    wake.listens_at(str(listener.getsockname()[1]).encode())
    wake()
    assert listener.recv(1) == b""
    wake.close()
    wake()  # a thread may be late


def test_an_answer_leaves_its_lane_without_the_clock(
    flink_ready: None,  # noqa: ARG001
    broker: LocalBroker,
    topics: Topics,
    tmp_path: Path,
) -> None:
    with speculation(broker, topics, tmp_path) as site:
        site.publish(site.script.model("smart", 1.0), site.script.model("fast", 2.0))
        site.policy("smart", "fast", tmout=5_000)
        with MiniClusterJob(
            tmp_path, broker.bootstrap_servers, topics, None, environment=ENVIRONMENT, script=WITHOUT_CLOCK
        ):
            for decision in site.flow_until_answered_by("smart"):
                assert not decision.at_deadline

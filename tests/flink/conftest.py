"""What the tests of jobs share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelserving.flink.options import JOINS
from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from tests.flink.jobs import MiniClusterJob
from tests.flink.speculation import Speculation, speculation

HERE = Path(__file__).parent
StartJob = Callable[..., MiniClusterJob]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A job takes all of a small machine: beside another it is late, and what a test waits for may not come in time."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("beside") is None:
            item.add_marker(pytest.mark.alone)


@pytest.fixture(params=JOINS)
def join(request: pytest.FixtureRequest) -> str:
    """Both joins."""
    return str(request.param)


@pytest.fixture
def start_job(flink_ready: None, tmp_path: Path, broker: LocalBroker, topics: Topics) -> StartJob:  # noqa: ARG001
    """`start_job(join, *arguments, parallelism=…)` on this test's topics, a context manager."""

    def start(join: str, *arguments: str, parallelism: int = 1) -> MiniClusterJob:
        return MiniClusterJob(tmp_path, broker.bootstrap_servers, topics, join, *arguments, parallelism=parallelism)

    return start


@pytest.fixture
def site(flink_ready: None, broker: LocalBroker, topics: Topics, tmp_path: Path) -> Iterator[Speculation]:  # noqa: ARG001
    """The speculative job's surroundings, on this test's topics."""
    with speculation(broker, topics, tmp_path) as opened:
        yield opened

"""What the tests of jobs share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modelserving.errors import ConfigurationError
from modelserving.flink.options import JOINS
from modelserving.local.broker import LocalBroker
from modelserving.local.jars import jars_folder
from modelserving.topics import Topics
from tests.flink.jobs import MiniClusterJob

StartJob = Callable[..., MiniClusterJob]


@pytest.fixture(params=JOINS)
def join(request: pytest.FixtureRequest) -> str:
    """Both joins."""
    return str(request.param)


@pytest.fixture
def start_job(tmp_path: Path, broker: LocalBroker, topics: Topics) -> StartJob:
    """`start_job(join, *arguments, parallelism=…)` on this test's topics, a context manager."""
    try:
        jars_folder("flink")
    except ConfigurationError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))

    def start(join: str, *arguments: str, parallelism: int = 1) -> MiniClusterJob:
        return MiniClusterJob(tmp_path, broker.bootstrap_servers, topics, join, *arguments, parallelism=parallelism)

    return start

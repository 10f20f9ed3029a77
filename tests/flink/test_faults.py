"""Faults, each injected for real while records flow: nothing is lost or doubled, and the right model serves.

`make chaos` is the long form.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from modelserving.flink.options import JOINS, SPECULATIVE
from tests.faults.injections import FAULTS, SPECULATIVE_FAULTS, Fault, chance, faults_of, kill_task_managers
from tests.faults.rounds import run_round
from tests.faults.site import Site

RATE = 500
# A worker that hangs is missed after a minute.
SOONER = {"execution.checkpointing.timeout": "20 s", "task.cancellation.timeout": "20 s"}
CASES = sorted((JOINS[number % len(JOINS)], name) for number, name in enumerate(FAULTS))
"""Each fault with one of the joins, in turn."""


class Sites:
    """Lends the site of a job, the same one to several tests: it takes long to start."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = 0
        self._site: Site | None = None

    @contextmanager
    def lend(self, join: str) -> Iterator[Site]:
        """The site of that join; one that a test leaves in disorder is lent to no other."""
        if self._site is None or self._site.join != join:
            self.close()
            self._started += 1
            self._site = Site(self._folder / str(self._started), join, RATE, SOONER).__enter__()
        try:
            yield self._site
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Take down the site, if there is one."""
        if self._site is not None:
            self._site.__exit__(None, None, None)
        self._site = None


@pytest.fixture(scope="module")
def sites(kafka_ready: None, flink_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:  # noqa: ARG001
    lender = Sites(tmp_path_factory.mktemp("faults"))
    yield lender
    lender.close()


def shortened(fault: Fault) -> Fault:
    """The same, for a shorter time."""
    return (
        replace(fault, inject=partial(kill_task_managers, span_s=15)) if fault.inject is kill_task_managers else fault
    )


# Most of the time is spent waiting for Flink to find out and to try again.
@pytest.mark.beside
@pytest.mark.parametrize(("join", "name"), CASES, ids=[f"{join} {name}" for join, name in CASES])
def test_fault_loses_and_doubles_nothing(join: str, name: str, sites: Sites) -> None:
    goes_well(join, name, sites)


# Not beside another: what the smart model does not answer by its deadline, the fast one has answered.
@pytest.mark.parametrize("name", SPECULATIVE_FAULTS)
def test_fault_of_the_speculative_job_loses_and_doubles_nothing(name: str, sites: Sites) -> None:
    goes_well(SPECULATIVE, name, sites)


def goes_well(join: str, name: str, sites: Sites) -> None:
    """A round with this fault."""
    with sites.lend(join) as site:
        assert run_round(site, shortened(faults_of(join)[name]), chance(1)).faults == []

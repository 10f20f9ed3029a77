"""The speculative job under faults: whatever is killed or stopped, every record has one decision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from modelserving.local.cluster import LocalCluster
from modelserving.wire.serving_pb2 import EventKind
from tests.faults.processes import supervise, workers
from tests.flink.cluster import local_cluster, stop_with_savepoint, submit
from tests.flink.jobs import SPECULATIVE_JOB, metric, records_by_subtask, running_job
from tests.flink.scripted.script import ENVIRONMENT
from tests.flink.speculation import Speculation
from tests.flink.test_speculative import FAST, SMART, publish_all
from tests.waiting import wait_until

RECORDS = 1_000
HELD_BACK = (
    "--checkpoint-interval=600000",
    "-Dexecution.checkpointing.min-pause=600000",  # the first too
    "-Dpython.fn-execution.bundle.size=100000",
    "-Dpython.fn-execution.bundle.time=600000",
)
"""What comes to a Python function waits until there is a checkpoint or a savepoint."""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCluster]:
    """A cluster whose models are scripted."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    with local_cluster(tmp_path / "cluster") as started:
        yield started


def kill_worker(cluster: LocalCluster, job: str, number: int) -> None:
    """Kill a worker, and wait until the job has restarted."""
    before = metric(cluster.url, job, "numRestarts")
    there = workers(cluster)
    there[number % len(there)].kill()

    def is_back() -> bool:
        supervise(cluster)
        return metric(cluster.url, job, "numRestarts") > before and running_job(cluster.url) == job

    wait_until(is_back, limit_s=300)


def run(
    site: Speculation, cluster: LocalCluster, parallelism: int, savepoint: str | None = None, *arguments: str
) -> str:
    """Submit the job, with two lanes; its id."""
    return submit(
        cluster,
        site.servers,
        site.topics,
        None,
        parallelism,
        savepoint,
        SPECULATIVE_JOB,
        arguments=("--lanes=2", *arguments),
    )


def test_workers_killed_while_requests_are_in_flight(site: Speculation, cluster: LocalCluster) -> None:
    publish_all(site)
    site.policy("smart", "fast", tmout=300)
    job = run(site, cluster, 2)
    site.flow_until_answered_by("smart")
    site.script.tell("smart", wait_ms=5_000)
    for kill in range(2):
        site.send(RECORDS)
        kill_worker(cluster, job, kill)
        site.send(RECORDS)
    decided = site.wait()
    assert len(decided) == len(site.decisions())
    site.flow_until_answered_by("fast")
    site.script.tell("smart", wait_ms=0)
    site.flow_until_answered_by("smart")
    cluster.flink("cancel", job)
    assert site.rejected() == []


def test_savepoint_with_requests_in_flight(site: Speculation, cluster: LocalCluster) -> None:
    """They are decided after the restore, at another parallelism, with another number of lanes, by the votes kept.

    And models are loaded before any record comes.
    """
    publish_all(site)
    site.policy("smart", "fast", tmout=20_000)

    job = run(site, cluster, 1)
    site.flow_until_answered_by("smart")
    site.script.tell("smart", never=True)
    site.script.tell("fast", wait_ms=0)
    waiting = site.send(RECORDS)
    wait_until(lambda: site.script.asked("fast") >= RECORDS)
    savepoint = stop_with_savepoint(cluster, job)
    assert not site.decisions().keys() & set(waiting)
    site.script.tell("smart", wait_ms=0)
    served = len(site.events(EventKind.SERVING))
    job = run(site, cluster, 2, savepoint, "--lanes=3")
    site.wait_for_event(EventKind.SERVING, served + 2)
    more = site.send(RECORDS)
    assert {each.number for each in site.wait(waiting)} == {FAST}
    assert {each.number for each in site.wait(more)} <= {SMART, FAST}
    site.flow_until_answered_by("smart")
    cluster.flink("cancel", job)


def test_what_comes_right_before_a_savepoint_is_not_forgotten(site: Speculation, cluster: LocalCluster) -> None:
    """The timers that it needs are in the savepoint: requests are decided after the restore, and a model is judged."""
    site.policy("fast", tmout=5_000)
    site.publish(site.script.model("fast", FAST))
    job = run(site, cluster, 1, None, *HELD_BACK)
    waiting = site.send(RECORDS)

    def have_come() -> bool:
        read = records_by_subtask(cluster.url, job)
        return any(sum(counts) > 0 for name, counts in read.items() if name.startswith("starter"))

    wait_until(have_come)
    savepoint = stop_with_savepoint(cluster, job)
    assert len(site.wait_for_event(EventKind.RECEIVED)) == 1
    assert site.events(EventKind.ADMITTED) == []
    assert site.decisions() == {}
    job = run(site, cluster, 1, savepoint)
    site.wait(waiting)
    site.wait_for_event(EventKind.ADMITTED)
    cluster.flink("cancel", job)

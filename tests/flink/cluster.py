"""A standalone cluster for tests: free ports, and jobs submitted to it as a user would."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

from modelserving.local.broker import free_port
from modelserving.local.cluster import LocalCluster
from modelserving.topics import Topics
from tests.flink.jobs import JOB, rest, running_job
from tests.waiting import wait_until

_JOB_ID = re.compile(r"JobID ([0-9a-f]{32})")
_SAVEPOINT = re.compile(r"Savepoint completed\. Path: (\S+)")


@contextmanager
def local_cluster(folder: Path) -> Iterator[LocalCluster]:
    """A cluster with one TaskManager of four slots."""
    cluster = LocalCluster(folder, free_port(), {"jobmanager.rpc.port": str(free_port())})
    try:
        cluster.up()
        yield cluster
    finally:
        cluster.down()


def submit(
    cluster: LocalCluster,
    bootstrap_servers: str,
    topics: Topics,
    join: str | None,
    parallelism: int,
    savepoint: str | None = None,
    script: Path = JOB,
    arguments: Sequence[str] = (),
    supervise: Callable[[], None] = lambda: None,
) -> str:
    """`flink run` the job, wait until it runs, and return its id.

    Args:
        join: of the serving job; None: it is another one.
        arguments: for the job.
        supervise: called again and again while the job is waited for.
    """
    restore = ["--fromSavepoint", savepoint] if savepoint else []
    options = [] if join is None else ["--join", join]
    options += ["--bootstrap-servers", bootstrap_servers, "--topic-prefix", topics.prefix]
    options += ["--checkpoint-interval", "500", *arguments]
    done = cluster.flink(
        "run", "--detached", "--parallelism", str(parallelism), *restore, "--python", str(script), *options, check=False
    )
    found = _JOB_ID.search(done.stdout)
    assert found, done.stdout[-2000:] + done.stderr[-2000:]
    job = found.group(1)

    def runs() -> bool:
        supervise()
        return running_job(cluster.url) == job

    wait_until(runs, describe=lambda: f"job {job} does not run")
    return job


def stop_with_savepoint(cluster: LocalCluster, job: str) -> str:
    """`flink stop` the job; the savepoint's path."""
    done = cluster.flink("stop", job)
    found = _SAVEPOINT.search(done.stdout)
    assert found, done.stdout[-2000:]
    return found.group(1)


def take_savepoint(url: str, job: str) -> Path:
    """A savepoint of the running job, through Flink's REST interface: the command line starts too slowly."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/jobs/{job}/savepoints", b"{}", headers)  # noqa: S310 - our own address
    with urllib.request.urlopen(request) as response:  # noqa: S310 - our own address
        trigger = json.load(response)["request-id"]
    address = f"{url}/jobs/{job}/savepoints/{trigger}"
    wait_until(lambda: rest(address)["status"]["id"] == "COMPLETED", describe=lambda: "no savepoint")
    operation = rest(address)["operation"]
    assert "location" in operation, operation
    return Path(urlparse(operation["location"]).path)

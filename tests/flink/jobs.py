"""Running jobs in tests: on the embedded mini cluster, in a process of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from modelserving.local.broker import free_port
from modelserving.topics import Topics
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
JOB = ROOT / "jobs" / "model_serving.py"
SPECULATIVE_JOB = ROOT / "jobs" / "speculative_serving.py"


def rest(url: str) -> Any:
    """The JSON that a Flink REST address answers with."""
    with urllib.request.urlopen(url, timeout=10) as response:  # noqa: S310 - our own address
        return json.load(response)


def running_job(url: str) -> str | None:
    """The id of the job that runs with all its tasks at this Flink, if there is one."""
    try:
        jobs = [job["id"] for job in rest(f"{url}/jobs")["jobs"] if job["status"] == "RUNNING"]
        if not jobs:
            return None
        vertices = rest(f"{url}/jobs/{jobs[0]}")["vertices"]
    except OSError:
        return None
    return jobs[0] if all(vertex["status"] == "RUNNING" for vertex in vertices) else None


def metric(url: str, job: str, name: str) -> float:
    """A metric of the job itself."""
    return float(rest(f"{url}/jobs/{job}/metrics?get={name}")[0]["value"])


class MiniClusterJob:
    """A job on the embedded mini cluster, as a user starts it; a context manager.

    Args:
        join: of the serving job; None: it is the speculative one.
        environment: variables on top of this process's.
        script: the job's, in place of its own.
    """

    def __init__(
        self,
        folder: Path,
        bootstrap_servers: str,
        topics: Topics,
        join: str | None,
        *arguments: str,
        parallelism: int = 1,
        environment: Mapping[str, str] | None = None,
        script: Path | None = None,
    ) -> None:
        port = free_port()
        self.url = f"http://localhost:{port}"
        self._log = folder / f"job-{port}.log"
        job = [str(script or SPECULATIVE_JOB)] if join is None else [str(script or JOB), "--join", join]
        self._environment = os.environ | dict(environment or {})
        self._command = [sys.executable, *job, "--bootstrap-servers", bootstrap_servers]
        self._command += ["--topic-prefix", topics.prefix, "--parallelism", str(parallelism)]
        self._command += ["--checkpoint-interval", "500", "-D", f"rest.bind-port={port}", *arguments]

    def __enter__(self) -> MiniClusterJob:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT, env=self._environment
            )
        try:
            wait_until(self.is_running, 180, lambda: f"the job does not run: {self.log()[-3000:]}")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(60)

    @property
    def job(self) -> str:
        """The job's id; it must be running."""
        job = running_job(self.url)
        assert job is not None, self.log()[-3000:]
        return job

    @property
    def pid(self) -> int:
        """Of the process that was started."""
        return self._process.pid

    def restarts(self) -> int:
        """How often the job was restarted."""
        return int(metric(self.url, self.job, "numRestarts"))

    def log(self) -> str:
        """What the process printed."""
        return self._log.read_text(errors="replace")

    def is_running(self) -> bool:
        """Whether all its tasks run."""
        assert self._process.poll() is None, f"the job ended: {self.log()[-3000:]}"
        return running_job(self.url) is not None


def records_by_subtask(url: str, job: str) -> dict[str, list[int]]:
    """For each vertex of the job, how many records each of its subtasks took in (a source: gave out)."""
    counts = {}
    for vertex in rest(f"{url}/jobs/{job}")["vertices"]:
        subtasks = rest(f"{url}/jobs/{job}/vertices/{vertex['id']}")["subtasks"]
        kind = "write-records" if vertex["name"].startswith("Source:") else "read-records"
        counts[vertex["name"]] = [subtask["metrics"][kind] for subtask in subtasks]
    return counts

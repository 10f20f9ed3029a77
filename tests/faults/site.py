"""What faults are injected into: a broker, a cluster, a job on it, and records that flow through."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest.mock import patch

from modelserving import topics as kafka_topics
from modelserving.flink.options import SPECULATIVE
from modelserving.local.broker import LocalBroker, free_port
from modelserving.local.cluster import LocalCluster
from modelserving.topics import Topics
from tests.faults.answers import AnswerReader
from tests.faults.invariants import Findings
from tests.faults.load import Load, Position
from tests.faults.models import Models, small_examples
from tests.faults.processes import supervise
from tests.faults.speculation import ARGUMENTS, FAST_VERSION, Speculation
from tests.flink.cluster import submit
from tests.flink.jobs import SPECULATIVE_JOB, rest, running_job
from tests.flink.scripted.script import ENVIRONMENT
from tests.waiting import LIMIT_S, wait_until

RUNNING_LIMIT_S = 180.0
"""In which the job must run again after a fault."""
_ANSWER_LIMIT_S = 180.0
_PARALLELISM = 2
_PARTITIONS = 4
_PROBES = 4
_PROBE = 60
_SETTINGS = {
    # REST then tells what is, not what was some seconds ago.
    "web.refresh-interval": "200 ms",
}


class Site:
    """One join's job on its own cluster and broker, all below `folder`; a context manager."""

    def __init__(self, folder: Path, join: str, rate: float, settings: Mapping[str, str] | None = None) -> None:
        """All that a job needs.

        Args:
            folder: of all files.
            join: of the serving job; or `SPECULATIVE`: it is that job.
            rate: of the records, per second.
            settings: of Flink, on top of `flink-conf/`.
        """
        self.join = join
        self.topics = Topics("faults-")
        self.broker = LocalBroker(folder / "kafka", free_port())
        ports = {"jobmanager.rpc.port": str(free_port())}
        self.cluster = LocalCluster(folder / "flink", free_port(), _SETTINGS | ports | dict(settings or {}))
        self.speculation = Speculation(folder / "script")
        small = self.speculation.smart if self._is_speculative else small_examples()
        self.models = Models(self.broker.bootstrap_servers, self.topics, small)
        self.load = Load(self.broker.bootstrap_servers, self.topics.records, rate)
        self.answers = AnswerReader(self.broker.bootstrap_servers, self.topics)
        self.job = ""
        self._stack = ExitStack()

    def __enter__(self) -> Site:
        with ExitStack() as stack:
            if self._is_speculative:
                stack.enter_context(patch.dict(os.environ, ENVIRONMENT))
            stack.enter_context(self.broker)
            kafka_topics.create(self.broker.bootstrap_servers, self.topics, _PARTITIONS)
            stack.callback(self.cluster.down)
            self.cluster.up()
            stack.enter_context(self.answers)
            stack.enter_context(self.load)
            if self._is_speculative:
                self.speculation.begin(self.broker.bootstrap_servers, self.topics)
            self.models.publish_good()
            self.submit()
            self.load.resume()
            self.wait_for_checkpoint()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def submit(self, checkpoint: Path | None = None) -> None:
        """Start the job, anew or from a checkpoint."""
        savepoint = checkpoint.as_uri() if checkpoint else None
        where = self.cluster, self.broker.bootstrap_servers, self.topics
        if self._is_speculative:
            self.job = submit(
                *where, None, _PARALLELISM, savepoint, SPECULATIVE_JOB, ARGUMENTS, supervise=self.supervise
            )
        else:
            self.job = submit(*where, self.join, _PARALLELISM, savepoint, supervise=self.supervise)

    def supervise(self) -> None:
        """As whatever supervises processes would."""
        supervise(self.cluster)

    @property
    def checkpoints(self) -> Path:
        """Where the job's checkpoints are, each in a folder `chk-N`."""
        return self.cluster.folder / "checkpoints" / self.job

    def latest_checkpoint(self) -> Path:
        """The newest that is complete."""
        complete = [file.parent for file in self.checkpoints.glob("chk-*/_metadata")]
        return max(complete, key=lambda folder: int(folder.name.removeprefix("chk-")))

    def checkpoint_counts(self) -> dict[str, int]:
        """Of the job's checkpoints: how many `completed` and `failed`, and how often one was `restored`."""
        counts: dict[str, int] = self._checkpoint_statistics()["counts"]
        return counts

    def wait_for_checkpoint(self) -> None:
        """Until one is complete that was triggered after now."""
        now_ms = time.time() * 1000
        wait_until(lambda: self._latest_trigger_ms() > now_ms, describe=lambda: "no checkpoint is completed")

    def wait_until_running(self, since: float, restored: int, *, restarts: bool) -> float:
        """Until the job runs with all its tasks, and has completed a checkpoint that was triggered after now.

        Args:
            since: what to count from, of the monotonic clock.
            restored: how often the job had been restored before.
            restarts: whether it must have been restored again.

        Returns:
            Seconds until all tasks ran for good; 0 if they never stopped.
        """
        now_ms = time.time() * 1000
        runs_since = time.monotonic()
        while True:
            self.supervise()
            if running_job(self.cluster.url) != self.job:
                runs_since = time.monotonic()
            with suppress(OSError):  # a JobManager that is slow to answer is asked again
                again = self.checkpoint_counts()["restored"] > restored
                if (again or not restarts) and self._latest_trigger_ms() > now_ms:
                    return runs_since - since if again else 0.0
            waited = time.monotonic() - since
            assert runs_since - since < RUNNING_LIMIT_S, f"the job does not run after {waited:.0f} s"
            assert waited < RUNNING_LIMIT_S + LIMIT_S, f"the job completes no checkpoint after {waited:.0f} s"
            time.sleep(0.1)  # between two looks

    def settle(self) -> Findings:
        """Hold the records, wait until all that were sent are answered, and see whether all is as it must be."""
        self.load.pause()
        sent = self.load.sent.values()
        deadline = time.monotonic() + _ANSWER_LIMIT_S
        account = self.answers.account
        while time.monotonic() < deadline and not (
            account.has_answers(sent) and account.has_rejections(self.models.bad)
        ):
            self.answers.read()
        self.wait_for_checkpoint()  # what was still in a transaction, and is too much, shows now
        # Statistics come up to a second after the scores.
        while self.answers.read().statistics_faults() and time.monotonic() < deadline:
            pass
        findings = account.findings(self.load.sent, self.models.bad)
        findings.wrong.extend(account.statistics_faults())
        return findings

    def hold_until_idle(self) -> None:
        """Hold the records, and wait until those before are answered."""
        self.load.pause()
        self._wait_for_answers(self.load.sent.values())

    def hold_up_requests(self) -> None:
        """Have requests of the speculative job in flight from now on, each until its deadline."""
        self.speculation.hold_up()
        wait_until(lambda: self.serving_versions() == {FAST_VERSION}, describe=lambda: "no request is held up")

    def serving_versions(self) -> set[str]:
        """The versions that score a handful of records sent now."""
        probe = self.load.burst(_PROBE)
        wait_until(
            lambda: self.answers.read().has_answers(probe), _ANSWER_LIMIT_S, lambda: "records sent now are not answered"
        )
        return self.answers.account.versions(probe)

    def wait_until_newest_serves(self) -> None:
        """Until the newest good model, and no other, scores; the records may be held.

        Instances swap each at its own time, and batches go to them in turn: so several must agree, one after the other.
        """
        newest = {self.models.newest_good}
        wait_until(
            lambda: all(self.serving_versions() == newest for _ in range(_PROBES)),
            describe=lambda: f"{newest} does not serve",
        )

    @property
    def _is_speculative(self) -> bool:
        return self.join == SPECULATIVE

    def _wait_for_answers(self, positions: Collection[Position]) -> None:
        wait_until(
            lambda: self.answers.read().has_answers(positions),
            _ANSWER_LIMIT_S,
            lambda: f"of {len(positions)} records some have no answer",
        )

    def _latest_trigger_ms(self) -> float:
        latest = self._checkpoint_statistics()["latest"]["completed"]
        return latest["trigger_timestamp"] if latest else 0.0

    def _checkpoint_statistics(self) -> Any:
        return rest(f"{self.cluster.url}/jobs/{self.job}/checkpoints")

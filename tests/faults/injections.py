"""The faults, one function for each. A function returns when the fault is over and its operator has answered.

Each takes the site and a source of chance, and returns when (monotonic clock) the last blow fell.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random

from psutil import Process

from modelserving.flink.options import SPECULATIVE
from tests.faults.processes import busy_one, job_manager, kill_daemon, model_processes, task_managers, workers
from tests.faults.site import Site
from tests.waiting import wait_until

_BURST = 1500


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that can be injected."""

    inject: Callable[[Site, Random], float]
    restarts: bool | None = True
    """Whether the job must restart for it; None: it may."""
    in_flight: bool = False
    """Whether requests of the speculative job are to be in flight when it falls."""


def chance(seed: int) -> Random:
    """Chances that are the same for the same seed."""
    return Random(seed)  # noqa: S311 - to be repeated, not to be secret


def kill_idle_worker(site: Site, random: Random) -> float:
    """A Python worker is killed while no record is under way; records come again once it is dead."""
    site.hold_until_idle()
    victim = random.choice(workers(site.cluster))
    victim.kill()
    now = time.monotonic()
    site.load.resume()
    return now


def kill_scoring_worker(site: Site, random: Random) -> float:  # noqa: ARG001
    """A Python worker is killed in the middle of a score.

    A model is published that takes milliseconds for each record, and a burst is sent when nothing else is under way.
    To take the burst in costs a worker little, to score it seconds: the one that computes for long is scoring.
    """
    site.models.publish_heavy()
    site.hold_until_idle()
    site.wait_until_newest_serves()
    candidates = workers(site.cluster)
    site.load.burst(_BURST)
    busy_one(candidates).kill()
    now = time.monotonic()
    site.models.publish_good()
    site.load.resume()
    return now


def kill_loading_worker(site: Site, random: Random) -> float:  # noqa: ARG001
    """A Python worker is killed in the middle of the load of a model.

    A model is published that takes seconds to load when nothing else is under way: the worker that computes, loads.
    Records flow again before it dies.
    """
    site.hold_until_idle()
    candidates = workers(site.cluster)
    site.models.publish_heavy()
    victim = busy_one(candidates)
    site.load.resume()
    victim.kill()
    now = time.monotonic()
    site.models.publish_good()
    return now


def kill_worker(site: Site, random: Random) -> float:
    """A Python worker is killed while records flow."""
    random.choice(workers(site.cluster)).kill()
    return time.monotonic()


def kill_scoring_model(site: Site, random: Random) -> float:  # noqa: ARG001
    """The process of a model of the speculative job is killed in the middle of a score."""
    site.wait_until_newest_serves()
    site.speculation.keep_busy()
    busy_one(model_processes(site.cluster)).kill()
    now = time.monotonic()
    site.speculation.let_go()
    return now


def kill_loading_model(site: Site, random: Random) -> float:  # noqa: ARG001
    """The process of a model of the speculative job is killed as soon as it is there, and so before it is loaded."""
    site.wait_until_newest_serves()
    before = model_processes(site.cluster)
    site.models.publish_good()
    started: list[Process] = []

    def has_started() -> bool:
        started.extend(process for process in model_processes(site.cluster) if process not in before)
        return bool(started)

    wait_until(has_started, describe=lambda: "no model is loaded")
    started[0].kill()
    return time.monotonic()


def kill_task_manager(site: Site, random: Random) -> float:  # noqa: ARG001
    """The TaskManager is killed; its supervisor starts another one."""
    for task_manager in task_managers(site.cluster):
        kill_daemon(site.cluster, task_manager)
    return time.monotonic()


def kill_task_managers(site: Site, random: Random, span_s: float = 60.0) -> float:
    """For a minute, every few seconds, the TaskManager is killed, and another one started."""
    deadline = time.monotonic() + span_s
    while True:
        now = kill_task_manager(site, random)
        if now > deadline:
            return now
        site.supervise()
        time.sleep(random.uniform(3, 8))  # the fault itself


def kill_job_manager(site: Site, random: Random) -> float:  # noqa: ARG001
    """The JobManager is killed; another one is started, and the job on it from the last checkpoint.

    No TaskManager is started beside the one that is there: it must find the new JobManager, for it has the only slots.
    """
    kill_daemon(site.cluster, job_manager(site.cluster))
    now = time.monotonic()
    checkpoint = site.latest_checkpoint()
    site.cluster.start_job_manager()
    site.cluster.wait_for(task_managers=0)
    site.submit(checkpoint)
    return now


def kill_broker(site: Site, random: Random) -> float:
    """The broker is killed, and started again some seconds later."""
    site.broker.kill()
    now = time.monotonic()
    time.sleep(random.uniform(1, 10))  # the fault itself
    site.broker.start()
    return now


def fail_checkpoints(site: Site, random: Random) -> float:
    """Checkpoints fail: where their folders would be made, files lie."""
    failed = site.checkpoint_counts()["failed"] + random.randint(1, 4)
    newest = int(site.latest_checkpoint().name.removeprefix("chk-"))
    planted = [site.checkpoints / f"chk-{number}" for number in range(newest + 1, newest + 100)]
    for path in planted:
        with suppress(FileExistsError, IsADirectoryError):
            path.touch(exist_ok=False)
    wait_until(lambda: site.checkpoint_counts()["failed"] >= failed, describe=lambda: "no checkpoint failed")
    now = time.monotonic()
    for path in planted:
        if path.is_file():
            path.unlink()
    return now


def stop_worker(site: Site, random: Random) -> float:
    """A Python worker is stopped (SIGSTOP), and never goes on."""
    random.choice(workers(site.cluster)).send_signal(signal.SIGSTOP)
    return time.monotonic()


FAULTS: Mapping[str, Fault] = {
    "worker killed, idle": Fault(kill_idle_worker),
    "worker killed in a score": Fault(kill_scoring_worker),
    "worker killed in a load": Fault(kill_loading_worker),
    "worker stopped": Fault(stop_worker),
    "TaskManager killed": Fault(kill_task_manager),
    "TaskManager killed every few seconds": Fault(kill_task_managers),
    "JobManager killed": Fault(kill_job_manager),
    "broker killed": Fault(kill_broker, restarts=None),
    "checkpoints fail": Fault(fail_checkpoints, restarts=None),
}
"""Of the serving job."""

_AS_BEFORE = (
    "worker stopped",
    "TaskManager killed every few seconds",  # and so the first time too
    "JobManager killed",
    "broker killed",
    "checkpoints fail",
)

SPECULATIVE_FAULTS: Mapping[str, Fault] = {
    "worker killed, idle": FAULTS["worker killed, idle"],
    "worker killed": Fault(kill_worker, in_flight=True),
    "model's process killed in a score": Fault(kill_scoring_model, restarts=False),
    "model's process killed in a load": Fault(kill_loading_model, restarts=False),
    **{name: replace(FAULTS[name], in_flight=True) for name in _AS_BEFORE},
}
"""Of the speculative job. Its models are scored with, and loaded, in processes of their own, not in workers."""


def faults_of(join: str) -> Mapping[str, Fault]:
    """Those of a join's job, or of the speculative one."""
    return SPECULATIVE_FAULTS if join == SPECULATIVE else FAULTS

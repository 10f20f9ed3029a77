"""The processes of a local cluster: which they are, and what they are busy with."""

from __future__ import annotations

import time
from collections.abc import Sequence

import psutil

from modelserving.local.cluster import LocalCluster
from tests.waiting import wait_until

_WORKER = "pyflink.fn_execution.beam.beam_boot"
_MODEL = "modelserving.speculative.model_process"
_ENDED = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
ORPHAN_LIMIT_S = 30.0
BUSY_CPU_S = 0.3
BUSY_WINDOW_S = 1.0


def task_managers(cluster: LocalCluster) -> list[psutil.Process]:
    """The TaskManagers that run."""
    return _daemons(cluster, "taskexecutor")


def supervise(cluster: LocalCluster) -> None:
    """Start a TaskManager if there is none, as whatever supervises processes would.

    When a worker is killed, the operators that share it may trip over each other as they let it go, in Beam's
    `DefaultJobBundleFactory`; and the TaskManager ends itself.
    """
    if not task_managers(cluster):
        cluster.add_task_managers(1)


def job_manager(cluster: LocalCluster) -> psutil.Process:
    """The JobManager, which must run."""
    (found,) = _daemons(cluster, "standalonesession")
    return found


def below_task_managers(cluster: LocalCluster) -> list[psutil.Process]:
    """All that the TaskManagers have started, workers and what those have started too."""
    found = []
    for task_manager in task_managers(cluster):
        try:
            found += task_manager.children(recursive=True)
        except psutil.NoSuchProcess:
            continue
    return found


def workers(cluster: LocalCluster) -> list[psutil.Process]:
    """The Python workers, without the processes that they start."""
    return workers_among(below_task_managers(cluster))


def workers_among(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that are Python workers, without the processes that they start."""
    candidates = {process.pid: process for process in processes if _runs(process, _WORKER)}
    return [process for process in candidates.values() if _parent(process) not in candidates]


def model_processes(cluster: LocalCluster) -> list[psutil.Process]:
    """The processes of models of the speculative job."""
    return [process for process in below_task_managers(cluster) if _runs(process, _MODEL)]


def kill_daemon(cluster: LocalCluster, process: psutil.Process) -> None:
    """Kill (SIGKILL) a JobManager or TaskManager; Flink's scripts forget it, as its number may become another's."""
    process.kill()
    process.wait()
    for file in (cluster.folder / "pid").glob("*.pid"):
        file.write_text("".join(line for line in file.read_text().splitlines(True) if int(line) != process.pid))


def alive(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended."""
    return [process for process in processes if _status(process) not in _ENDED]


def left_behind(cluster: LocalCluster, started: Sequence[psutil.Process]) -> list[str]:
    """Which of the processes that TaskManagers had `started` live on without one; they are given time to end."""
    deadline = time.monotonic() + ORPHAN_LIMIT_S
    while True:
        owned = below_task_managers(cluster)
        left = alive([process for process in started if process not in owned])
        if not left or time.monotonic() > deadline:
            return [f"process {process.pid} was left behind: {_command(process)}" for process in left]
        time.sleep(0.2)  # between two looks


def busy_one(processes: Sequence[psutil.Process]) -> psutil.Process:
    """Wait until one of the processes computes: `BUSY_CPU_S` of processor time within `BUSY_WINDOW_S`."""
    since = time.monotonic()
    before = [_cpu_s(process) for process in processes]
    found: list[psutil.Process] = []

    def busy() -> bool:
        nonlocal since, before
        now = [_cpu_s(process) for process in processes]
        found.extend(
            process for process, old, new in zip(processes, before, now, strict=True) if new - old > BUSY_CPU_S
        )
        if time.monotonic() - since > BUSY_WINDOW_S:
            since, before = time.monotonic(), now
        return bool(found)

    wait_until(busy, describe=lambda: "none of them computes")
    return found[0]


def _daemons(cluster: LocalCluster, kind: str) -> list[psutil.Process]:
    pids = [
        int(line) for file in (cluster.folder / "pid").glob(f"flink-*-{kind}.pid") for line in file.read_text().split()
    ]
    return alive([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)])


def _runs(process: psutil.Process, module: str) -> bool:
    try:
        return module in process.cmdline()
    except psutil.NoSuchProcess:
        return False


def _command(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:200]
    except psutil.NoSuchProcess:
        return "ended meanwhile"


def _parent(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return None


def _status(process: psutil.Process) -> str:
    try:
        return process.status() if process.is_running() else psutil.STATUS_DEAD
    except psutil.NoSuchProcess:
        return psutil.STATUS_DEAD


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)

"""The processes of a job under measurement, and what memory each of them takes at most."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psutil

JVM = "JVM"
ROLES = {
    "beam_boot": "Python worker",
    "modelserving.sandbox_process": "admission's sandbox",
    "modelserving.loading_process": "loading process",
    "model_serving.py": "job's script",
    "-m bench.": "job's script",
}
"""Part of a Python process's command line → what it is."""


def job_processes(leader: int) -> Iterator[tuple[str, psutil.Process]]:
    """The Java and Python processes of a job, from its first one, each with what it is."""
    first = psutil.Process(leader)
    for process in [first, *first.children(recursive=True)]:
        try:
            name, command = process.name(), " ".join(process.cmdline())
        except psutil.NoSuchProcess:
            continue
        if name == "java":
            yield JVM, process
        elif name.startswith("python"):
            yield next((role for part, role in ROLES.items() if part in command), "another Python process"), process


def numbered(role: str, taken: dict[str, float]) -> str:
    """A name for one more process of a role."""
    return next(name for name in (f"{role} {number}" for number in count(1)) if name not in taken)


class PeakMemory:
    """The most main memory that each process of a job has held, also of those that are gone; looked at now and then."""

    def __init__(self, leader: int) -> None:
        self._leader = leader
        self._peaks: dict[int, tuple[str, float]] = {}

    def look(self) -> None:
        """Take note of the processes that there are now, and of the kernel's account of each."""
        for role, process in job_processes(self._leader):
            peak = _peak_mib(process.pid)
            if peak is not None:
                # A process that was only just started may not yet be what it becomes.
                self._peaks[process.pid] = role, peak

    def mib(self) -> dict[str, float]:
        """MiB by process."""
        found: dict[str, float] = {}
        for role, peak in self._peaks.values():
            found[numbered(role, found)] = round(peak, 1)
        return found


def _peak_mib(pid: int) -> float | None:
    """What the kernel has seen at most; None for a process that has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return None
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(peak[1]) / 1024 if peak else None

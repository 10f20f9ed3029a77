"""What the kernel is asked about processes (Linux)."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

NICENESS = 10
"""Of the kernel's scale up to 19: a tenth of the share of a process that scores, where both want the same core."""


def die_with_parent() -> None:
    """Have the kernel end this process when the thread that started it ends, be it with its whole process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_with(parent: int) -> None:
    """Have this process end when `parent`, which started it, ends; at once (`SystemExit`) if it has ended already."""
    die_with_parent()
    if os.getppid() != parent:  # it ended before the kernel was told
        sys.exit()


def die_with_parent_and_grandparent() -> None:
    """Have this process end, by force, when its parent ends or the one that started its parent (Linux)."""
    if sys.platform == "linux":
        parent = os.getppid()
        stat = Path(f"/proc/{parent}/stat").read_text(encoding="ascii", errors="replace")
        grandparent = int(stat.rpartition(")")[2].split()[1])
        pidfds = [os.pidfd_open(pid) for pid in (parent, grandparent)]
        threading.Thread(target=_die_after, args=(pidfds,), name="watch-of-parents", daemon=True).start()


def _die_after(pidfds: list[int]) -> None:
    """Wait until one of the processes ends, then end this one."""
    die_with_parent()  # works for a stopped process too, but only as long as this thread lives
    ended = select.poll()
    for pidfd in pidfds:
        ended.register(pidfd, select.POLLIN)
    ended.poll()
    os.kill(os.getpid(), signal.SIGKILL)


def be_dispensable() -> None:
    """Have this process, and threads that it has yet to start, let those that score go first (Linux).

    It gets the processor time that is left over, is the first to end where the machine's memory is short, and leaves no
    core. For processes as a whole: a thread that stands back, and shares Python's lock with one that scores, is pushed
    aside with the lock in its hand.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, 0, max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    with suppress(OSError):  # where the kernel's settings can only be read
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def resident_bytes(pid: int) -> int:
    """Main memory that a process takes, shared pages included; 0 if it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except (OSError, IndexError):
        return 0


def running_s(pid: int) -> float:
    """A clock, in seconds, that stands still while the main thread of a process waits for a processor.

    On a busy machine it tells how long the process itself takes: work and sleep count, standing in line does not.
    """
    try:
        waited_ns = int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError):  # a kernel without these figures
        waited_ns = 0
    return time.monotonic() - waited_ns / 1e9

"""Waits for what a job does, and notices when it does nothing any more."""

from __future__ import annotations

import time
from collections.abc import Callable

import click

from bench.jobs import Job
from bench.processes import PeakMemory

STALL_LIMIT_S = 300.0
"""How long a job may write nothing before it is given up; also before its first result."""
_LOOK_EVERY_S = 0.1
_LOOK_AT_MEMORY_EVERY_S = 1.0


class Watch:
    """Looks at a running job again and again: that it runs, how many results it has written, what memory it takes."""

    def __init__(self, job: Job, written: Callable[[], int]) -> None:
        self.memory = PeakMemory(job.pid)
        self._job = job
        self._written = written
        self._count = 0
        self._progress = time.monotonic()
        self._next_look_at_memory = 0.0

    def for_seconds(self, seconds: float) -> None:
        """Let time pass."""
        end = time.monotonic() + seconds
        self.until(lambda _, now: now >= end)

    def until(self, reached: Callable[[int, float], bool]) -> tuple[int, float]:
        """The first count of results, and the time of it, of the monotonic clock, for which `reached` holds.

        Raises:
            click.ClickException: the job has ended, or writes nothing any more.
        """
        while True:
            self._job.check()
            count = self._written()
            now = time.monotonic()
            if reached(count, now):
                return count, now
            if count > self._count:
                self._count, self._progress = count, now
            elif now > self._progress + STALL_LIMIT_S:
                raise click.ClickException(f"{count} results, and not one more in {STALL_LIMIT_S:.0f} s")
            if now > self._next_look_at_memory:
                self._next_look_at_memory = now + _LOOK_AT_MEMORY_EVERY_S
                self.memory.look()
            time.sleep(_LOOK_EVERY_S)

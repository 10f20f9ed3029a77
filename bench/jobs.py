"""A job under measurement, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType

import click

from modelserving import children

ROOT = Path(__file__).resolve().parents[1]
STOP_LIMIT_S = 60.0
"""For a job to end once it is told to; then it is killed."""
_SHOWN = 5000


class Job:
    """A running job; as a context manager it is ended at the end, and its log is shown if anything failed meanwhile."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._command = list(command)
        self._environment = os.environ | dict(environment or {})

    def __enter__(self) -> Job:
        self._log = TemporaryFile("w+")
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            self._command, cwd=ROOT, env=self._environment, stdout=self._log, stderr=subprocess.STDOUT
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        children.stop(self._process, STOP_LIMIT_S)
        if isinstance(error, Exception):
            click.echo(self._tail(), err=True)
        self._log.close()

    @property
    def pid(self) -> int:
        """Of its first process."""
        return self._process.pid

    def check(self) -> None:
        """Make sure that it runs.

        Raises:
            click.ClickException: it has ended.
        """
        code = self._process.poll()
        if code is not None:
            raise click.ClickException(f"the job ended with exit code {code}")

    def _tail(self) -> str:
        self._log.seek(0)
        return self._log.read()[-_SHOWN:]

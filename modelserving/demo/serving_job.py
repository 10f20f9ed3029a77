"""A job in a process of its own, on the embedded mini cluster, with all that it writes in one folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from modelserving.errors import ConfigurationError, ModelServingError

STOP_LIMIT_S = 20.0
LOG_LINES_SHOWN = 15

_JOBS = Path(__file__).resolve().parents[2] / "jobs"
_POLL_S = 0.05


def script(name: str) -> Path:
    """A job's file.

    Raises:
        ConfigurationError: it is not there.
    """
    path = _JOBS / name
    if not path.is_file():
        raise ConfigurationError(f"{path} is missing: run the demonstration from a whole checkout of the project")
    return path


class ServingJob:
    """The job while the context lasts; at its end every process of it is gone.

    It leads a session of its own, so that Ctrl-C does not reach it, and by which its JVM and workers are found.
    """

    def __init__(self, folder: Path, bootstrap_servers: str, job: Path, arguments: Sequence[str]) -> None:
        self._folder = folder
        self._output = folder / "output.log"
        self._command = [sys.executable, str(job), *arguments, "--bootstrap-servers", bootstrap_servers]
        # The prefix is given since the environment may name one.
        self._command += ["--topic-prefix", "", "--checkpoint-interval", "1000"]

    def __enter__(self) -> ServingJob:
        self._folder.mkdir()
        # Another Flink that the environment points to is not the one in this Python.
        others = {name: value for name, value in os.environ.items() if not name.startswith(("FLINK_", "PYFLINK_"))}
        own = {
            "TMPDIR": str(self._folder),
            "FLINK_LOG_DIR": str(self._folder),
            "JVM_ARGS": f"{os.environ.get('JVM_ARGS', '')} -Djava.io.tmpdir={self._folder}",
        }
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folder,
                env=others | own,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ask the job to end; whatever of it is left after `STOP_LIMIT_S` is killed."""
        self._process.terminate()
        deadline = time.monotonic() + STOP_LIMIT_S
        while self._process.poll() is None or _session(self._process.pid):
            if time.monotonic() > deadline:
                for pid in _session(self._process.pid):
                    _kill(pid)
            time.sleep(_POLL_S)

    def check(self) -> None:
        """Make sure that the job runs.

        Raises:
            ModelServingError: it has ended; the message holds the end of its log.
        """
        status = self._process.poll()
        if status is not None:
            raise ModelServingError(f"the job ended by itself (exit code {status})\n{self.end_of_log()}")

    def end_of_log(self) -> str:
        """The last lines of what the job and its JVM wrote."""
        logs = [self._output, *sorted(self._folder.glob("flink-*.log"))]
        return "\n".join(f"{path.name} ends:\n{last_lines(path)}" for path in logs)


def last_lines(path: Path) -> str:
    """The last `LOG_LINES_SHOWN` lines of a log; empty if there is none."""
    if not path.is_file():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])


def _session(leader: int) -> list[int]:
    """The processes of a session that have not ended (Linux)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # pid (name) state ppid pgrp session …, where the name may hold anything
            state, _, _, session = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
        except OSError:
            continue  # ended meanwhile
        if int(session) == leader and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)

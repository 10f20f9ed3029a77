"""The query service in a process of its own, so that what the demonstration does can be watched in a browser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType

from modelserving import children
from modelserving.demo.serving_job import last_lines
from modelserving.errors import ModelServingError

STOP_LIMIT_S = 10.0


class QueryService:
    """The service while the context lasts, on a free port; started once its broker has the topics."""

    def __init__(self, folder: Path, bootstrap_servers: str, prefix: str = "") -> None:
        self._output = folder / "query-service.log"
        self._command = [sys.executable, "-m", "modelserving.cli.main", "query", "--port", "0"]
        # The prefix is given since the environment may name one.
        self._command += ["--bootstrap-servers", bootstrap_servers, "--topic-prefix", prefix]
        self.url = ""

    def __enter__(self) -> QueryService:
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                # Ctrl-C is for whoever started this.
                start_new_session=True,
            )
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        said = self._process.stdout.readline()
        if not said:
            self._process.wait()
            raise ModelServingError(f"the query service did not start\n{last_lines(self._output)}")
        self.url = said.split()[-1]
        return self

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def check(self) -> None:
        """Make sure that it runs.

        Raises:
            ModelServingError: it has ended; the message holds the end of its log.
        """
        if self._process.poll() is not None:
            raise ModelServingError(f"the query service ended by itself\n{last_lines(self._output)}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        children.stop(self._process, STOP_LIMIT_S)
        assert self._process.stdout is not None  # noqa: S101 - a pipe
        self._process.stdout.close()

"""A model in a process of its own: for one that holds Python's lock, or may never return.

The process is started by the lane's thread, and ends with it. One that died, or was ended, is started again.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import IO

import cloudpickle
import pyarrow as pa

from modelserving import children
from modelserving.arrow import from_ipc, to_ipc
from modelserving.errors import ModelServingError
from modelserving.processes import end_with
from modelserving.servable import Servable
from modelserving.speculative.answering import Score, answer
from modelserving.speculative.lane_models import score_of
from modelserving.speculative.votes import ModelVotes

RETRY_AFTER_S = 5.0
"""A process that died is started again after so long, not sooner: a start takes much longer than an answer."""

_ENDED = (*children.ENDED, ValueError)
"""ValueError: the pipes were closed here, by another thread."""


class InProcess:
    """A model that answers in a process of its own.

    Args:
        make: makes, in that process, the servable or the function that scores a batch. It is sent there by cloudpickle.
        start_s: a process that takes longer to make its model is ended.
        clock_s: seconds that only grow.
    """

    def __init__(
        self,
        make: Callable[[], Servable | Score],
        *,
        start_s: float = 120.0,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._first = pickle.dumps((sys.path, cloudpickle.dumps(make)))
        self._start_s = start_s
        self._clock_s = clock_s
        self._guard = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        self._retry_s = -float("inf")

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        with self._guard:
            return None if self._process is None else self._process.pid

    def prepare(self) -> None:
        """Start the process, and have it make its model.

        Raises:
            ModelServingError: it cannot.
        """
        self._running()

    def answer(self, batch: pa.RecordBatch, within_s: float) -> list[ModelVotes]:
        """The votes on a batch.

        Raises:
            ModelServingError: the process has ended.
        """
        process = self._running()
        try:
            found: list[ModelVotes] = children.ask(process, pickle.dumps((to_ipc(batch), within_s)))
        except _ENDED as error:
            raise self._ended(process) from error
        return found

    def interrupt(self, final: bool) -> None:
        """End the process; from any thread."""
        with self._guard:
            self._closed = self._closed or final
            if self._process is not None:
                _kill(self._process)

    def close(self) -> None:
        """End the process."""
        self.interrupt(final=True)
        self._drop()

    def _running(self) -> subprocess.Popen[bytes]:
        """The process, with its model made."""
        with self._guard:
            process = self._process
            if process is None:
                wait_s = self._retry_s - self._clock_s()
                if self._closed or wait_s > 0:
                    then = "is closed" if self._closed else f"ended; another one is started in {wait_s:.1f} s"
                    raise ModelServingError(f"the model's process {then}")
                started = self._process = children.start(__name__, session=True)
        if process is not None:
            return process
        limit = threading.Timer(self._start_s, self.interrupt, [False])
        limit.daemon = True
        limit.start()
        try:
            fault: str | None = children.ask(started, self._first)
        except _ENDED as error:
            raise self._ended(started) from error
        finally:
            limit.cancel()
        if fault is not None:
            self._ended(started)
            raise ModelServingError(fault)
        return started

    def _ended(self, process: subprocess.Popen[bytes]) -> ModelServingError:
        """Take leave of a process that has ended, or is of no use."""
        self._drop()
        self._retry_s = self._clock_s() + RETRY_AFTER_S
        code = process.wait()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return ModelServingError(f"the model's process ended ({how})")

    def _drop(self) -> None:
        with self._guard:
            process, self._process = self._process, None
            if process is None:
                return
            _kill(process)
            process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(*_ENDED):
                children.pipe(pipe).close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    if process.returncode is None:  # and so its id is still its own
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def main() -> None:
    """Answer what is asked on standard input, for the process given, until it closes its end."""
    end_with(int(sys.argv[1]))
    requests, answers = children.asked()
    path, make = pickle.load(requests)  # noqa: S301 - it comes from the process that started this
    sys.path[:] = path
    try:
        model = cloudpickle.loads(make)()
    except Exception as error:  # noqa: BLE001 - it is told
        _tell(answers, f"the model cannot be made: {type(error).__name__}: {error}")
        return
    _tell(answers, None)
    score = score_of(model)
    while requests.peek(1):
        encoded, within_s = pickle.load(requests)  # noqa: S301 - it comes from the process that started this
        _tell(answers, answer(score, from_ipc(encoded), partial(_is_past, time.monotonic() + within_s)))


def _is_past(end_s: float) -> bool:
    return time.monotonic() > end_s


def _tell(answers: IO[bytes], what: object) -> None:
    answers.write(pickle.dumps(what))
    answers.flush()


if __name__ == "__main__":
    main()

"""Python processes that this one starts, asks and ends: pickles go over their pipes."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from typing import IO, Any

ENDED = (OSError, EOFError, pickle.UnpicklingError)
"""What `ask` raises where the process is gone."""


def start(module: str, *, session: bool = False) -> subprocess.Popen[bytes]:
    """Start a module, which is told the id of this process, and asked over pipes.

    Args:
        session: whether it leads a session of its own, so that all that it starts can be ended with it.
    """
    command = [sys.executable, "-P", "-m", module, str(os.getpid())]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=session)


def ask(process: subprocess.Popen[bytes], request: bytes) -> Any:
    """What the process answers to a pickled request.

    Raises:
        One of `ENDED`.
    """
    requests, answers = pipe(process.stdin), pipe(process.stdout)
    requests.write(request)
    requests.flush()
    return pickle.load(answers)  # noqa: S301 - it comes from a process started here


def pipe(stream: IO[bytes] | None) -> IO[bytes]:
    """A pipe of a process that was started with pipes."""
    if stream is None:
        raise TypeError("a process without pipes")
    return stream


def asked() -> tuple[Any, IO[bytes]]:
    """In such a process: where requests come from, a buffered reader, and where answers go.

    What the process prints otherwise goes where errors go, and it has nothing to read.
    """
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    return requests, answers


def stop(process: subprocess.Popen[Any], limit_s: float) -> None:
    """Ask a process to end; one that has not ended in time is killed."""
    process.terminate()
    try:
        process.wait(limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

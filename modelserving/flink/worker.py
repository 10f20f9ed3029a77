"""The Python worker process that the functions run in."""

from __future__ import annotations

import ctypes
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel end this worker when the script that started it ends (Linux).

    Flink ends that script, not the worker below it; a worker that then waits for a native library or a dead
    connection would stay behind, with all its models. Does nothing where functions run in the client's process.
    """
    if Path(sys.argv[0]).name == "beam_boot.py" and sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

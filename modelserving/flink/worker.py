"""The Python worker process that the functions run in."""

from __future__ import annotations

import ctypes
import gc
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def prepare() -> None:
    """Set up the worker process that a function opens in; does nothing where it runs in the client's process."""
    if Path(sys.argv[0]).name == "beam_boot.py":
        # A batch makes thousands of short-lived lists, none of them in a cycle; a collection for every 700 of them,
        # now and then over all of TensorFlow's modules, took a quarter of the time.
        gc.set_threshold(200_000, 20, 100)
        _die_with_parent()


def _die_with_parent() -> None:
    """Have the kernel end this worker when the script that started it ends (Linux).

    Flink ends that script, not the worker below it; a worker that then waits for a native library or a dead
    connection would stay behind, with all its models.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

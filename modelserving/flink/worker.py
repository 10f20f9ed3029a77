"""The Python worker process that the functions run in."""

from __future__ import annotations

import gc
import sys
import threading
from pathlib import Path
from typing import Any

from modelserving.processes import die_with_parent_and_grandparent

_prepared = threading.Lock()


def prepare() -> None:
    """Set up the worker process, once; does nothing where functions run in the client's process."""
    if _is_worker() and _prepared.acquire(blocking=False):
        # A batch makes thousands of short-lived lists, none of them in a cycle; a collection for every 700 of them,
        # now and then over all of TensorFlow's modules, took a quarter of the time. The tree of a large document that
        # is loaded beside is no garbage either.
        gc.set_threshold(1_000_000, 20, 100)
        # Flink ends the script that started this worker, not the worker; one that then waits for a native library or
        # a dead connection would stay behind, with all its models.
        die_with_parent_and_grandparent()
        _without_state_sampler()


def share_lock_soon() -> None:
    """For a worker whose threads load models: have them give Python's lock away soon.

    They would keep it for 5 ms each time that a batch wants it back, and a batch gives it away dozens of times. Where
    many threads have little to do each it only costs: each that waits for the lock wakes up as often.
    """
    if _is_worker():
        sys.setswitchinterval(0.0001)


def _is_worker() -> bool:
    return Path(sys.argv[0]).name == "beam_boot.py"


def _without_state_sampler() -> None:
    """Have Beam run bundles without its state sampler: a thread that it starts for each bundle, and then waits for.

    It takes 2 ms or more of each, for figures that Flink does not ask for. A batch is a bundle, so each paid it.
    """
    from apache_beam.runners.worker import statesampler  # noqa: PLC0415 - only there in a worker

    sampler: Any = statesampler.StateSampler
    stop_sampling = sampler.stop

    def start(self: Any) -> None:
        self.tracked_thread = threading.current_thread()
        statesampler.set_current_tracker(self)
        self.started = self.unsampled = True

    def stop(self: Any) -> None:
        if getattr(self, "unsampled", False):
            statesampler.set_current_tracker(None)
            self.finished = True
        else:  # the bundle that was under way when this was set up
            stop_sampling(self)

    sampler.start, sampler.stop = start, stop

"""A thread that works when nothing else does."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

NICENESS = 10
"""Of the kernel's scale up to 19: a tenth of the share of a thread that scores, where both want the same core."""


class LowPriorityThread:
    """Runs functions, one after the other, in a thread of its own that all others go before (Linux).

    A thread that has stepped back cannot come forward again, and the threads that it starts stay behind with it. So it
    is started once, from a thread that has not, and whatever starts threads that are needed later belongs elsewhere.
    """

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        # A daemon: a function that never ends must not keep the process.
        threading.Thread(target=self._work, name="low-priority", daemon=True).start()

    def run(self, function: Callable[[], T]) -> T:
        """The result of `function`, or what it raises."""
        done: Future[T] = Future()
        self._tasks.put((function, done))
        return done.result()

    def _work(self) -> None:
        step_back(threading.get_native_id())
        while True:
            function, done = self._tasks.get()
            try:
                done.set_result(function())
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                done.set_exception(error)
            del function, done


def step_back(thread: int) -> None:
    """Let all others go before the thread with this number of the kernel's; 0 is the calling one."""
    if sys.platform == "linux":  # elsewhere it would be the whole process
        os.setpriority(os.PRIO_PROCESS, thread, NICENESS)

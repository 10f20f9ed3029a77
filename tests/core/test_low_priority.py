"""The thread that works when nothing else does."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from modelserving.low_priority import NICENESS, LowPriorityThread

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux only")


def priority() -> tuple[int, int]:
    """The calling thread, and how far it stands back."""
    return threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_only_its_own_thread_steps_back() -> None:
    mine, before = priority()
    thread = LowPriorityThread()
    first, second = thread.run(priority), thread.run(priority)
    assert first == second
    assert first[0] != mine
    assert first[1] == NICENESS > before
    assert priority() == (mine, before)


def test_what_a_function_raises_is_raised_and_the_next_one_runs() -> None:
    thread = LowPriorityThread()
    with pytest.raises(ZeroDivisionError):
        thread.run(lambda: 1 // 0)
    assert thread.run(lambda: "next") == "next"

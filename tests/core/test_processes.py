"""What the kernel is told about processes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from modelserving.processes import NICENESS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux is told")

PROGRAM = """
import os, threading
from modelserving.processes import be_dispensable
be_dispensable()
thread = threading.Thread(target=lambda: print(os.getpriority(os.PRIO_PROCESS, threading.get_native_id())))
thread.start()
thread.join()
print(os.getpriority(os.PRIO_PROCESS, 0))
"""


def test_a_process_stands_back_with_the_threads_that_it_starts() -> None:
    shown = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout
    assert shown.split() == [str(max(NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))] * 2

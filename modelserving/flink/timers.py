"""Timers that Python functions register, in checkpoints."""

from __future__ import annotations

from typing import Any

from pyflink.java_gateway import get_gateway


def keep_timers(transformations: Any) -> None:
    """Have the timers of all Python functions that lead to `transformations` (a Java list) be in each checkpoint.

    PyFlink alone leaves those out that have been registered right before it, while the state is in (`KeptTimers.java`):
    after a restore what waits for them would wait for ever.
    """
    get_gateway().jvm.modelserving.functions.KeptTimers.keep(transformations)

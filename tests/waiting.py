"""Waiting for a condition, with a limit."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT_S = 120.0


def wait_until(
    condition: Callable[[], object],
    limit_s: float = LIMIT_S,
    describe: Callable[[], str] = lambda: "condition not met",
) -> None:
    """Return as soon as `condition()` is true; fail the test after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {limit_s:.0f} s: {describe()}")
        time.sleep(0.05)  # between two looks, not in place of one

"""Models under a test's control."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from modelserving.servable import Domain, Scores
from tests.waiting import LIMIT_S


def batch(rows: int = 1, first: float = 0.0) -> pa.RecordBatch:
    """Records with x = first, first + 1, …"""
    return pa.RecordBatch.from_pydict({"x": first + np.arange(float(rows)), "y": np.zeros(rows)})


class Model:
    """Answers x + `plus`, and remembers; a held one does not return before it is released."""

    inputs = ("x",)
    domain: Mapping[str, Domain] = {}
    engine = "test"
    engine_reason = ""

    def __init__(self, plus: float = 0.0, held: bool = False) -> None:
        self.plus = plus
        self.asked: list[int] = []
        self.closed = 0
        self.released = threading.Event()
        if not held:
            self.released.set()

    def score(self, asked: pa.RecordBatch) -> Scores:
        self.asked.append(asked.num_rows)
        if not self.released.wait(LIMIT_S):
            raise AssertionError("it was never released")
        assert not self.closed
        return Scores(asked.num_rows, numbers=asked.column("x").to_numpy() + self.plus)

    def close(self) -> None:
        self.closed += 1


def failing(_: pa.RecordBatch) -> Scores:
    """Raises."""
    raise ValueError("no")

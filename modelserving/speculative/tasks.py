"""What a lane is asked, what it answers, what it may take, and what it counts."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.speculative.votes import ModelVotes


def epoch_us() -> int:
    """Now, epoch microseconds."""
    return time.time_ns() // 1000


_BEGAN_US = (time.time_ns() - time.monotonic_ns()) // 1000


def steady_us() -> int:
    """Now, epoch microseconds, as far as this process knew them when it began: whoever sets the clock, these go on."""
    return _BEGAN_US + time.monotonic_ns() // 1000


@dataclass(frozen=True, slots=True)
class Task:
    """Records that a model is asked about."""

    request: str
    """Comes back with the answer."""
    rows: NDArray[np.int32]
    """(r,) which rows of the request's batch they are."""
    batch: pa.RecordBatch
    """The r records."""
    deadline_us: int
    """From then on the model is not asked any more, epoch microseconds."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Votes on the records of a task, or on some of them."""

    request: str
    votes: ModelVotes


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """What a lane may take."""

    queue: int = 8
    """Tasks that may wait; another one is shed."""
    answer_s: float = 60.0
    """An answer that takes longer is given up. A process is then ended, and another one takes its place. A thread
    cannot be ended: its lane answers nothing until the model returns."""


@dataclass(slots=True)
class LaneCounts:
    """What became of the tasks of a lane."""

    offered: int = 0
    answered: int = 0
    shed: int = 0
    """The queue was full."""
    expired: int = 0
    """No time was left to ask the model."""
    given_up: int = 0
    """The model did not return."""

    def __add__(self, other: LaneCounts) -> LaneCounts:
        return LaneCounts(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __sub__(self, other: LaneCounts) -> LaneCounts:
        return LaneCounts(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(self)))

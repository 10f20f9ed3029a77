"""What a lane asks: a model in the lane's own thread, or (`model_process.py`) in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from modelserving.servable import Servable
from modelserving.speculative.answering import Score, answer
from modelserving.speculative.votes import ModelVotes


@runtime_checkable
class LaneModel(Protocol):
    """What a lane asks: `InThread` or `model_process.InProcess`. Used from the lane's thread, but for `interrupt`."""

    def prepare(self) -> None:
        """Get ready to answer, if it is not; may raise if it cannot. Called before each answer, and may take long."""
        ...

    def answer(self, batch: pa.RecordBatch, within_s: float) -> list[ModelVotes]:
        """The votes on a batch, by `answering.answer`; it is late after so many seconds. May raise."""
        ...

    def interrupt(self, final: bool) -> None:
        """Have a call that is under way return, if that can be done; `final`: and each that may follow."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


class InThread:
    """A model that answers in the thread of its lane: cheap, for one that lets go of Python's lock and returns.

    Args:
        model: a servable, which the lane closes, or a function that scores a batch.
    """

    def __init__(self, model: Servable | Score) -> None:
        self._model = model
        self._score = score_of(model)

    def prepare(self) -> None:
        """It is ready."""

    def answer(self, batch: pa.RecordBatch, within_s: float) -> list[ModelVotes]:
        """The votes on a batch."""
        end = time.monotonic() + within_s
        return answer(self._score, batch, lambda: time.monotonic() > end)

    def interrupt(self, final: bool) -> None:
        """A thread cannot be ended."""

    def close(self) -> None:
        """Close the servable."""
        close = getattr(self._model, "close", None)
        if close is not None:
            close()


class MadeInThread:
    """A model that is made, and then answers, in the thread of its lane.

    Args:
        make: makes the servable or the function that scores a batch.
    """

    def __init__(self, make: Callable[[], Servable | Score]) -> None:
        self._make = make
        self._model: InThread | None = None

    def prepare(self) -> None:
        """Make it."""
        self._made()

    def answer(self, batch: pa.RecordBatch, within_s: float) -> list[ModelVotes]:
        """The votes on a batch; a model that could not be made is tried again."""
        return self._made().answer(batch, within_s)

    def interrupt(self, final: bool) -> None:
        """A thread cannot be ended."""

    def close(self) -> None:
        """Close the servable."""
        if self._model is not None:
            self._model.close()

    def _made(self) -> InThread:
        if self._model is None:
            self._model = InThread(self._make())
        return self._model


def score_of(model: Any) -> Score:
    """What scores a batch: of a servable its `score`, else the function itself."""
    score: Score = getattr(model, "score", model)
    return score

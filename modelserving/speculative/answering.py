"""Answering: a batch and a model to votes; whatever the model does, each record gets its vote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.servable import RecordFailure, Scores
from modelserving.speculative.votes import ModelVotes
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.speculative_pb2 import VoteState

Score = Callable[[pa.RecordBatch], Scores]

T = TypeVar("T", bound=np.generic)

_LONGEST_DETAIL = 500


def answer(score: Score, batch: pa.RecordBatch, is_late: Callable[[], bool] = lambda: False) -> list[ModelVotes]:
    """The votes of a model on n records, numbered from 0, in one or more parts; of a model without name or version.

    Where the model raises on a batch, the batch is halved until the records that it raises on stand alone, or until it
    is late. An answer that is not finite is none.

    Args:
        is_late: whether the answer is of no use any more.
    """
    found: list[ModelVotes] = []
    _answer(score, batch, 0, is_late, found)
    return found


def _answer(
    score: Score, batch: pa.RecordBatch, start: int, is_late: Callable[[], bool], found: list[ModelVotes]
) -> None:
    rows = np.arange(start, start + batch.num_rows, dtype=np.int32)
    try:
        scores = score(batch)
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        if batch.num_rows <= 1 or is_late():
            found.append(failed_votes(rows, f"the model raised {type(error).__name__}: {error}"))
            return
        half = batch.num_rows // 2
        _answer(score, batch.slice(0, half), start, is_late, found)
        _answer(score, batch.slice(half), start + half, is_late, found)
        return
    try:
        found.append(_votes(scores, rows))
    except Exception as error:  # noqa: BLE001 - it may have answered with anything
        found.append(failed_votes(rows, f"the model's answer is none: {type(error).__name__}: {error}"))


def failed_votes(rows: NDArray[np.int32], detail: str) -> ModelVotes:
    """The votes of a model that fails on all of them for one reason."""
    failures = tuple(RecordFailure(row, Reason.MODEL_FAILED, detail[:_LONGEST_DETAIL]) for row in range(len(rows)))
    return ModelVotes("", rows, np.full(len(rows), VoteState.FAILED, np.int8), failures=failures)


def _votes(scores: Scores, rows: NDArray[np.int32]) -> ModelVotes:
    """Scores as votes; a label goes before a number, and a number before a vector.

    Raises:
        Exception: the scores are not what a servable promises.
    """
    if scores.rows != len(rows):
        raise ValueError(f"{scores.rows} answers to {len(rows)} records")
    failures = tuple(scores.unanswered())
    states = np.full(len(rows), VoteState.ANSWERED, np.int8)
    states[[failure.row for failure in failures]] = VoteState.FAILED
    answered = states == VoteState.ANSWERED
    if scores.label_index is not None:
        index = _shaped(scores.label_index, (len(rows),), np.int32)
        known = (index >= 0) & (index < len(scores.classes))
        if not known[answered].all():
            raise ValueError("a label that it has no name for")
        index = np.where(known, index, 0).astype(np.int32)
        confidence = _confidence(scores, index)
        return ModelVotes("", rows, states, None, None, scores.classes, index, confidence=confidence, failures=failures)
    if scores.numbers is not None:
        numbers = _shaped(scores.numbers, (len(rows),), np.float64)
        return ModelVotes("", rows, states, numbers=numbers, failures=failures)
    if scores.outputs is not None:
        outputs = _shaped(scores.outputs, (len(rows), scores.outputs.shape[1]), np.float64)
        return ModelVotes("", rows, states, outputs=outputs, failures=failures)
    if answered.any():
        raise ValueError("neither a number nor a label nor outputs")
    return ModelVotes("", rows, states, failures=failures)


def _confidence(scores: Scores, index: NDArray[np.int32]) -> NDArray[np.float64] | None:
    """The probability of each label; of a model that gives outputs alone, the output of its label if it can be one."""
    shape = (scores.rows, len(scores.classes))
    told = scores.probabilities if scores.probabilities is not None else scores.outputs
    if told is None or not scores.classes or told.shape != shape:
        return None
    values: NDArray[np.float64] = np.take_along_axis(told, index[:, None], axis=1)[:, 0].astype(np.float64)
    if scores.probabilities is None:
        within = ((told >= 0) & (told <= 1)).all(axis=1)
        return np.where(within, values, np.nan)
    return np.clip(values, 0.0, 1.0)


def _shaped(array: NDArray[Any], shape: tuple[int, ...], dtype: type[T]) -> NDArray[T]:
    if array.shape != shape or 0 in shape[1:]:
        raise ValueError(f"an array of shape {array.shape}, not {shape}")
    return array.astype(dtype, copy=False)

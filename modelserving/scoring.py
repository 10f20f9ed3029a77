"""Scoring: a decoded batch and a model to messages for Kafka; every record becomes a result or a rejection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.decoding import TypedBatch
from modelserving.outgoing import Outgoing
from modelserving.rejections import reject, rejected_records
from modelserving.results import encode_results
from modelserving.servable import ModelVersion, RecordFailure, Scores, Servable
from modelserving.statistics.deltas import BatchTally
from modelserving.wire.serving_pb2 import Reason

T = TypeVar("T", bound=np.generic)

Clock = Callable[[], int]
"""Epoch microseconds."""

_LONGEST_DETAIL = 500


def score(
    typed: TypedBatch, topic: str, servable: Servable, model: ModelVersion, clock_us: Clock, *, tally: BatchTally
) -> list[Outgoing]:
    """Score a batch of records of `topic`: results, and rejected records if there are any.

    Where the model raises on a batch, the batch is halved until the records that it raises on stand alone; they are
    rejected as MODEL_FAILED, as are those whose answer is not finite. `tally` counts what becomes of each.
    """
    outgoing: list[Outgoing] = []
    failures: list[RecordFailure] = []
    records = typed.records
    begun_us = clock_us()
    for start, scores in _attempts(servable, typed.batch, 0, failures):
        scored_us = clock_us()
        tally.computed(scored_us - begun_us)
        part, features = records.slice(start, scores.rows), typed.batch.slice(start, scores.rows)
        failed = scores.unanswered()
        if failed:
            failures.extend(RecordFailure(start + f.row, f.reason, f.detail) for f in failed)
            keep = np.setdiff1d(np.arange(scores.rows), [failure.row for failure in failed])
            part, features = part.take(pa.array(keep)), features.take(pa.array(keep))
            scores = _take(scores, keep)  # noqa: PLW2901
        if scores.rows:
            results = encode_results(
                part,
                scores,
                topic=topic,
                data_type=typed.data_type,
                model=model,
                received_us=typed.received_us,
                now_us=scored_us,
            )
            outgoing.append(results)
            tally.served(part, features, scores, scored_us)
        begun_us = clock_us()
    if failures:
        failures.sort(key=lambda failure: failure.row)
        tally.rejected(failures)
        outgoing.append(reject(rejected_records(records, failures, topic, typed.data_type, model), clock_us))
    return outgoing


def reject_all(
    typed: TypedBatch, topic: str, reason: Reason, detail: str, clock_us: Clock, *, tally: BatchTally
) -> Outgoing:
    """Reject every record of a batch for the same reason."""
    failures = [RecordFailure(row, reason, detail) for row in range(typed.batch.num_rows)]
    tally.rejected(failures)
    return reject(rejected_records(typed.records, failures, topic, typed.data_type), clock_us)


def _attempts(
    servable: Servable, batch: pa.RecordBatch, start: int, failures: list[RecordFailure]
) -> Iterator[tuple[int, Scores]]:
    """Scores of parts of `batch`, in order, each with the row at which it starts; `failures` gets the other rows."""
    try:
        scores = servable.score(batch)
    except Exception as error:  # noqa: BLE001 - a model may raise anything
        if batch.num_rows == 1:
            detail = f"the model raised {type(error).__name__}: {error}"[:_LONGEST_DETAIL]
            failures.append(RecordFailure(start, Reason.MODEL_FAILED, detail))
            return
        half = batch.num_rows // 2
        yield from _attempts(servable, batch.slice(0, half), start, failures)
        yield from _attempts(servable, batch.slice(half), start + half, failures)
    else:
        if scores.rows != batch.num_rows:
            raise RuntimeError(f"{servable!r} gave {scores.rows} answers to {batch.num_rows} records")
        yield start, scores


def _take(scores: Scores, rows: NDArray[np.int64]) -> Scores:
    """The answers of these rows."""

    def part(answers: NDArray[T] | None) -> NDArray[T] | None:
        return None if answers is None else answers[rows]

    return Scores(
        rows=len(rows),
        numbers=part(scores.numbers),
        classes=scores.classes,
        label_index=part(scores.label_index),
        probabilities=part(scores.probabilities),
        label_alone=part(scores.label_alone),
        outputs=part(scores.outputs),
    )

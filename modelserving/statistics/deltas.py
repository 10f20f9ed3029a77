"""Deltas: what one batch adds to the statistics.

A delta leaves the join together with the scores that it is about, so one checkpoint holds both or neither: totals are
exact after any crash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import nan
from zlib import crc32

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.outgoing import Outgoing
from modelserving.rejections import RejectedRecord
from modelserving.servable import RecordFailure, Scores
from modelserving.statistics.keys import policy_key, version_key
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.state_pb2 import StatsDelta

SCHEMA = 1
SAMPLE = 32
"""Records drawn of each batch for the distributions: what they cost does not grow with the load."""
BUCKETS = (b"0", b"4", b"5", b"g")
"""Deltas are gathered by bucket, not by data type and model, so that thousands of models are a few crossings a second.
Of these names Flink's two hashes, of SQL's GROUP BY and of a stream's key, send each to another of up to four subtasks.
Never to change: checkpointed totals are kept by bucket."""
_COMPARED = (pa.float64(), pa.string())
"""What features must be to be drawn."""


class BatchTally:
    """Counts what becomes of one batch.

    Args:
        model: what names the model that was asked; None if there was none.
    """

    def __init__(self, data_type: str, model: ModelDescriptor | None) -> None:
        self._delta = StatsDelta(schema=SCHEMA, data_type=data_type, model=model)
        self._samples: list[NDArray[np.float32]] = []
        self._latencies: Counter[int] = Counter()

    def served(self, records: pa.RecordBatch, features: pa.RecordBatch, scores: Scores, now_us: int) -> None:
        """Count n records that have an answer.

        Args:
            records: columns of `decoding.RAW_SCHEMA`.
            features: the same records, decoded; columns that are neither numbers nor texts are passed over.
            now_us: the time of scoring, epoch microseconds.
        """
        delta, now_ms = self._delta, now_us // 1000
        delta.served += scores.rows
        delta.first_ms = min(delta.first_ms or now_ms, now_ms)
        delta.last_ms = max(delta.last_ms, now_ms)
        timestamps = records.column("timestamp_ms").to_numpy()
        timestamps = timestamps[timestamps >= 0]  # -1: the log has none
        latencies, counts = np.unique(np.maximum(now_ms - timestamps, 0), return_counts=True)
        self._latencies.update(dict(zip(latencies.tolist(), counts.tolist(), strict=True)))
        if scores.label_index is not None:
            for index, count in zip(*np.unique(scores.label_index, return_counts=True), strict=True):
                delta.labels[scores.classes[index]] += int(count)
        self._draw(features, scores)

    def computed(self, microseconds: int) -> None:
        """Add the time that the model took for records which got an answer."""
        self._delta.score_us += max(microseconds, 0)

    def rejected(self, failures: Iterable[RecordFailure]) -> None:
        """Count records that have none."""
        for reason, count in Counter(failure.reason for failure in failures).items():
            self._delta.rejected[reason] += count

    def outgoing(self) -> Outgoing:
        """The delta, for the aggregator."""
        latencies = sorted(self._latencies.items())
        self._delta.latencies_ms.extend(value for value, _ in latencies)
        self._delta.latency_counts.extend(count for _, count in latencies)
        if self._samples:
            self._delta.sample = np.concatenate(self._samples).tobytes()
        return outgoing([self._delta])

    def _draw(self, features: pa.RecordBatch, scores: Scores) -> None:
        """Draw records at even distances: the score of each (NaN if it is no number), then its features."""
        names = [field.name for field in features.schema if field.type in _COMPARED and field.name[0] != "@"]
        if not self._delta.features:
            self._delta.features.extend(names)
        rows = drawn(scores.rows)
        sample = np.full((len(rows), 1 + len(names)), np.nan, "<f4")
        with np.errstate(over="ignore"):  # what no float32 can hold is infinite here, and in no bin
            if scores.numbers is not None and scores.label_index is None:
                sample[:, 0] = scores.numbers[rows]
            for column, name in enumerate(names, start=1):
                values = features.column(name)
                is_text = values.type == pa.string()
                sample[:, column] = (
                    _places(values.take(pa.array(rows))) if is_text else values.to_numpy(zero_copy_only=False)[rows]
                )
        self._samples.append(sample)


def rejected_deltas(rejected: Sequence[RejectedRecord]) -> Outgoing:
    """The deltas of records that were turned away before any model was asked."""
    deltas: dict[str, StatsDelta] = {}
    for record in rejected:
        delta = deltas.setdefault(record.data_type, StatsDelta(schema=SCHEMA, data_type=record.data_type))
        delta.rejected[record.reason] += 1
    return outgoing(deltas.values())


def drawn(rows: int) -> NDArray[np.int64]:
    """Which of so many rows are drawn for the distributions."""
    return np.linspace(0, rows - 1, min(rows, SAMPLE)).astype(np.int64)


def _places(texts: pa.Array) -> list[float]:
    """Where a hash puts each text between 0 and 1, the same in every process; NaN for none.

    So categories have a distribution, as numbers do: frequent ones fill a bin, rare ones share some.
    """
    # No more bits than a float32 keeps: no two places become one, nor do they leave the interval.
    return [nan if text is None else (crc32(text.encode()) >> 8) / (1 << 24) for text in texts.to_pylist()]


def key_of(delta: StatsDelta) -> bytes:
    """What totals are kept by, and the key of their messages: data type, and the model's name, version and sha256.

    Those of a policy have its data type alone, marked so that `keys.is_of_policy` knows them.
    """
    if delta.HasField("policy"):
        return policy_key(delta.data_type)
    model = delta.model
    return version_key(delta.data_type, model.name, model.version, model.sha256)


def parse(values: Iterable[bytes]) -> Iterator[StatsDelta]:
    """Deltas that were encoded for the aggregator.

    Raises:
        ValueError: one is of a later release.
    """
    for value in values:
        delta = StatsDelta.FromString(value)
        if delta.schema > SCHEMA:
            raise ValueError(f"a delta of schema {delta.schema} was written by a later release than this")
        yield delta


def outgoing(deltas: Iterable[StatsDelta]) -> Outgoing:
    """Deltas, for the aggregator."""
    deltas = list(deltas)
    keys = [BUCKETS[crc32(key_of(delta)) % len(BUCKETS)] for delta in deltas]
    return Outgoing.of("stats-deltas", keys, [delta.SerializeToString() for delta in deltas])

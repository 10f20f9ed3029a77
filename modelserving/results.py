"""Results: the scores of a batch as encoded `ServingResult` messages."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from ptars import HandlerPool

from modelserving.outgoing import Outgoing
from modelserving.servable import ModelVersion, Scores
from modelserving.wire.serving_pb2 import ServingResult

_HANDLER = HandlerPool([ServingResult.DESCRIPTOR.file]).get_for_message(ServingResult.DESCRIPTOR)


def encode_results(
    records: pa.RecordBatch,
    scores: Scores,
    *,
    topic: str,
    data_type: str,
    model: ModelVersion,
    received_us: int,
    now_us: int,
) -> Outgoing:
    """One encoded `ServingResult` for each row, under the key of its record.

    Args:
        records: the n records (columns of `decoding.RAW_SCHEMA`), all of which have an answer.
        scores: their n answers; a label goes before a number.
        topic: the records' topic.
        data_type: the records' data type.
        model: what scored them.
        received_us: when their batch was received, epoch microseconds.
        now_us: the time of scoring, epoch microseconds.
    """
    # Protobuf messages that are joined are one message: what is the same for all rows is encoded once.
    constant = ServingResult(
        data_type=data_type,
        model_name=model.name,
        model_version=model.version,
        model_sha256=model.sha256,
        scored_at_ms=now_us // 1000,
        latency_us=max(0, now_us - received_us),
    ).SerializeToString()
    # The position stays whole in each row: not every protobuf library merges a submessage that comes in two parts.
    position = [pa.repeat(topic, records.num_rows), *(records.column(name) for name in _POSITION)]
    columns = _answers(scores) | {"record": pa.StructArray.from_arrays(position, ["topic", *_POSITION])}
    rows = _HANDLER.record_batch_to_array(pa.RecordBatch.from_pydict(columns))
    return Outgoing("results", records.column("key"), rows, constant)


_POSITION = ("partition", "offset", "timestamp_ms")


def _answers(scores: Scores) -> dict[str, pa.Array]:
    """The columns of the answers, named by their fields."""
    columns: dict[str, pa.Array] = {}
    classes = pa.array(scores.classes, pa.string())
    if scores.label_index is not None:
        columns["label"] = classes.take(pa.array(scores.label_index))
    elif scores.numbers is not None:
        columns["number"] = pa.array(scores.numbers)
    if scores.probabilities is not None:
        given = np.ones(scores.rows, dtype=bool) if scores.label_alone is None else ~scores.label_alone
        keys = classes.take(pa.array(np.tile(np.arange(len(classes), dtype=np.int32), int(given.sum()))))
        offsets, values = _flat(scores.probabilities, given)
        columns["probabilities"] = pa.MapArray.from_arrays(offsets, keys, values)
    if scores.outputs is not None:
        columns["outputs"] = pa.ListArray.from_arrays(*_flat(scores.outputs, np.ones(scores.rows, dtype=bool)))
    return columns


def _flat(matrix: NDArray[Any], given: NDArray[np.bool_]) -> tuple[pa.Array, pa.Array]:
    """The offsets and values of a list array whose lists are the rows of `matrix` that are `given`, and empty ones."""
    offsets = np.zeros(len(matrix) + 1, dtype=np.int32)
    np.cumsum(given * matrix.shape[1], out=offsets[1:])
    whole = matrix if given.all() else matrix[given]
    return pa.array(offsets), pa.array(np.ascontiguousarray(whole).reshape(-1))

"""What the serving core costs without Flink and Kafka: µs per wine record to decode, to encode, and to reject.

python bench/core_costs.py [ROWS]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.configuration import load_data_types
from modelserving.decoding import RAW_SCHEMA, Decoder, TypedBatch
from modelserving.packing import pack_messages
from modelserving.results import encode_results
from modelserving.scoring import reject_all
from modelserving.servable import ModelVersion, Scores
from modelserving.statistics.deltas import BatchTally
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.wine_pb2 import WineRecord

REPEATS = 50
WIDTH = 9


def now_us() -> int:
    """Epoch microseconds."""
    return time.time_ns() // 1000


def raw_batch(values: list[bytes]) -> pa.RecordBatch:
    """A raw batch with keys and positions."""
    numbers = range(len(values))
    columns = [[b"%d" % n for n in numbers], values, [0] * len(values), numbers, [now_us() // 1000] * len(values)]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, RAW_SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=RAW_SCHEMA)


def best(rows: int, step: Callable[[], object]) -> float:
    """The shortest of several runs, µs per record."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return min(times) / rows * 1e6


def counted(typed: TypedBatch, outputs: NDArray[np.float64]) -> None:
    """Count a batch for the statistics."""
    tally = BatchTally("wine", None)
    scores = Scores(typed.batch.num_rows, numbers=outputs[:, 0])
    tally.served(typed.records, typed.batch, scores, now_us())
    pack_messages(tally.outgoing())


def main(rows: int) -> None:
    """Measure and print."""
    random = np.random.default_rng(0)
    features = load_data_types()["wine"].feature_names
    values = []
    for row in random.random((rows, len(features))):
        record = WineRecord(dataType="wine", ts=now_us())
        for name, value in zip(features, row.tolist(), strict=True):
            setattr(record, name, value)
        values.append(record.SerializeToString())
    good, one_bad = raw_batch(values), raw_batch([b"\xff", *values[1:]])
    decoder = Decoder(load_data_types(), "records")
    typed = decoder.decode(good, now_us()).batches[0]
    outputs = random.random((rows, WIDTH))
    labels = np.argmax(outputs, axis=1).astype(np.int32)
    names = tuple(str(label) for label in range(WIDTH))
    model = ModelVersion("winequality", "0123456789ab", "0" * 64)

    def encode(scores: Scores) -> bytes:
        return pack_messages(
            encode_results(
                typed.records, scores, topic="records", data_type="wine", model=model, received_us=0, now_us=now_us()
            )
        )

    steps: dict[str, Callable[[], object]] = {
        "decode": lambda: decoder.decode(good, 0),
        "decode, one record in the batch malformed": lambda: decoder.decode(one_bad, 0),
        "cross between operators": lambda: TypedBatch.from_ipc(typed.to_ipc()),
        "encode a number": lambda: encode(Scores(rows, numbers=outputs[:, 0])),
        "encode a label and 9 outputs": lambda: encode(
            Scores(rows, classes=names, label_index=labels, outputs=outputs)
        ),
        "encode a label and 9 probabilities": lambda: encode(
            Scores(rows, classes=names, label_index=labels, probabilities=outputs)
        ),
        "reject": lambda: reject_all(
            typed, "records", Reason.NO_MODEL, "no model yet", now_us, tally=BatchTally("wine", None)
        ),
        "count": lambda: counted(typed, outputs),
    }
    for name, step in steps.items():
        print(f"{name:45} {best(rows, step):7.3f} µs/record")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2048)

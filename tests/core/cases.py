"""Records, data types and servables that the core's tests share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from modelserving.configuration import load_data_types
from modelserving.data_types import DataTypes
from modelserving.decoding import RAW_SCHEMA, Decoder
from modelserving.outgoing import Outgoing
from modelserving.rejections import reject
from modelserving.scoring import score
from modelserving.servable import Domain, ModelVersion, RecordFailure, Scores, Servable
from modelserving.statistics.deltas import BatchTally
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import Reason, Rejected, ServingResult
from modelserving.wire.wine_pb2 import WineRecord

TOPIC = "records"
MODEL = ModelVersion("linear", "1", "ab" * 32)
RECEIVED_US = 1_700_000_000_000_000
FIRST_OFFSET = 1_000
PROJECT = Path(__file__).parents[2]

TICKETS = """
[data_types.ticket]
codec = "json"
route = { by = "key" }
features = [
  { name = "amount" },
  { name = "product", kind = "string" },
  { name = "age", optional = true },
]
"""
"""A data type quite unlike wine: JSON, a categorical feature, an optional one, found by key."""


def clock_us() -> int:
    """Five milliseconds after the batch was received."""
    return RECEIVED_US + 5_000


def wine(data_type: str = "wine", **features: float) -> bytes:
    """An encoded wine record."""
    record = WineRecord(dataType=data_type)
    for name, value in features.items():
        setattr(record, name, value)
    return record.SerializeToString()


def raw(values: Sequence[bytes | None], keys: Sequence[bytes | None] | None = None) -> pa.RecordBatch:
    """A raw batch with these values, in partition 3 from `FIRST_OFFSET` on."""
    rows = len(values)
    columns = [
        pa.array([None] * rows if keys is None else keys, pa.binary()),
        pa.array(values, pa.binary()),
        pa.array([3] * rows, pa.int32()),
        pa.array(range(FIRST_OFFSET, FIRST_OFFSET + rows), pa.int64()),
        pa.array([1_650_000_000_000] * rows, pa.int64()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=RAW_SCHEMA)


def load_text(text: str, folder: Path) -> DataTypes:
    """The data types of a TOML text, as a file in `folder`."""
    path = folder / "types.toml"
    path.write_text(text, encoding="utf-8")
    return load_data_types(path)


@dataclass
class FakeServable:
    """Answers each row with the sum of its numbers, after `before` has seen the batch."""

    inputs: tuple[str, ...]
    before: Callable[[pa.RecordBatch], Sequence[RecordFailure]] = lambda _: ()
    calls: int = 0
    domain: Mapping[str, Domain] = field(default_factory=dict)
    engine: str = "fake"
    engine_reason: str = ""

    def score(self, batch: pa.RecordBatch) -> Scores:
        self.calls += 1
        failures = tuple(self.before(batch))
        columns = [batch.column(name) for name in self.inputs]
        numbers = [c.fill_null(0).to_numpy() for c in columns if pa.types.is_floating(c.type)]
        with np.errstate(over="ignore", invalid="ignore"):
            return Scores(batch.num_rows, numbers=np.sum(numbers, axis=0), failures=failures)

    def close(self) -> None:
        """Nothing to free."""


def tally() -> BatchTally:
    """Of a batch of wine records, scored by `MODEL`."""
    names = ModelDescriptor(name=MODEL.name, version=MODEL.version, sha256=MODEL.sha256, dataType="wine")
    return BatchTally("wine", names)


def serve(
    data_types: DataTypes, batch: pa.RecordBatch, servable: Servable | None = None
) -> tuple[list[ServingResult], list[Rejected]]:
    """Decode and score a raw batch, with a `FakeServable` for each data type unless one is given."""
    decoded = Decoder(data_types, TOPIC).decode(batch, RECEIVED_US)
    outgoing = [reject(decoded.rejected, clock_us)]
    for typed in decoded.batches:
        chosen = servable or FakeServable(data_types[typed.data_type].feature_names)
        outgoing += score(typed, TOPIC, chosen, MODEL, clock_us, tally=tally())
    return results_of(outgoing), rejected_of(outgoing)


def results_of(outgoing: Sequence[Outgoing]) -> list[ServingResult]:
    """The results in `outgoing`, decoded."""
    return [ServingResult.FromString(value) for value in _values(outgoing, "results")]


def rejected_of(outgoing: Sequence[Outgoing]) -> list[Rejected]:
    """The rejected records in `outgoing`, decoded."""
    return [Rejected.FromString(value) for value in _values(outgoing, "rejected-records")]


def _values(outgoing: Sequence[Outgoing], role: str) -> list[bytes]:
    return [value for one in outgoing if one.role == role for _, value in one.messages]


def reasons(rejected: Sequence[Rejected]) -> list[str]:
    """The names of their reasons."""
    return [Reason.Name(one.reason) for one in rejected]

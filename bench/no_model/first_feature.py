"""A runtime that evaluates nothing."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from modelserving.data_types import DataType
from modelserving.servable import Domain, Scores
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.state_pb2 import Engine


class FirstFeature:
    """Answers each record with its first feature."""

    engine = "none"
    engine_reason = ""

    def __init__(self, feature: str) -> None:
        self.inputs: tuple[str, ...] = (feature,)
        self.domain: Mapping[str, Domain] = {}

    def score(self, batch: pa.RecordBatch) -> Scores:
        """See `Servable.score`."""
        return Scores(batch.num_rows, numbers=batch.column(self.inputs[0]).to_numpy())

    def close(self) -> None:
        """Nothing to free."""


def load(
    descriptor: ModelDescriptor,  # noqa: ARG001 - whatever it says
    data_type: DataType,
    engine: Engine | None = None,  # noqa: ARG001 - there is one
) -> FirstFeature:
    """A servable for the data type."""
    return FirstFeature(data_type.feature_names[0])


def prepare(memory_bytes: int) -> None:
    """Nothing to import."""

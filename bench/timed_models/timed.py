"""A runtime whose models take a given time for a batch: they sleep, or hold a core.

A model's document is JSON: `answer`, the number that it answers with; `wait_ms` and `burn_ms`.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from modelserving.data_types import DataType
from modelserving.servable import Domain, Scores
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.state_pb2 import Engine


class Timed:
    """Answers each record with the same number, once its time is over."""

    engine = "none"
    engine_reason = ""

    def __init__(self, document: Mapping[str, float], feature: str) -> None:
        self.inputs: tuple[str, ...] = (feature,)
        self.domain: Mapping[str, Domain] = {}
        self._answer = document["answer"]
        self._wait_s = document.get("wait_ms", 0) / 1000
        self._burn_s = document.get("burn_ms", 0) / 1000

    def score(self, batch: pa.RecordBatch) -> Scores:
        """See `Servable.score`."""
        end = time.perf_counter() + self._burn_s
        time.sleep(self._wait_s)
        while time.perf_counter() < end:
            pass
        return Scores(batch.num_rows, numbers=np.full(batch.num_rows, self._answer))

    def close(self) -> None:
        """Nothing to free."""


def load(
    descriptor: ModelDescriptor,
    data_type: DataType,
    engine: Engine | None = None,  # noqa: ARG001 - there is one
) -> Timed:
    """A servable for the data type."""
    return Timed(json.loads(descriptor.data), data_type.feature_names[0])


def prepare(memory_bytes: int) -> None:
    """Nothing to import."""

"""A runtime whose models answer each record with a number of their own, in the way that a file says at that moment.

A model's document is JSON: `answer`, the number; `script`, the path of the file, which is JSON as well, or is not
there: `wait_ms` it sleeps so long; `never` it does not return; `hold` it does not return, and keeps Python's lock;
`burn_ms` it computes so long; `fail` it raises; `label` it answers with that, and `confidence` as its probability, in
place of the number. It notes how many records it was asked about in a file beside the script.
"""

from __future__ import annotations

import ctypes
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from modelserving.data_types import DataType
from modelserving.servable import Domain, Scores
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.state_pb2 import Engine

_FOREVER_S = 3600


class Scripted:
    """A model that does as its script says."""

    engine = "scripted"
    engine_reason = ""

    def __init__(self, document: Mapping[str, Any], feature: str) -> None:
        self.inputs: tuple[str, ...] = (feature,)
        self.domain: Mapping[str, Domain] = {}
        self._answer = float(document["answer"])
        self._script = Path(document["script"])

    def score(self, batch: pa.RecordBatch) -> Scores:
        """See `Servable.score`."""
        script: dict[str, Any] = {}
        if self._script.exists():
            with self._script.with_suffix(".asked").open("a") as note:
                note.write(f"{batch.num_rows}\n")
            script = json.loads(self._script.read_text())
        if script.get("fail"):
            raise ValueError("as the script says")
        if script.get("hold"):
            ctypes.PyDLL(None).sleep(_FOREVER_S)  # unlike CDLL, it keeps the lock
        if script.get("never"):
            time.sleep(_FOREVER_S)
        time.sleep(script.get("wait_ms", 0) / 1000)
        end = time.monotonic() + script.get("burn_ms", 0) / 1000
        while time.monotonic() < end:
            pass
        if "label" in script:
            return _labelled(batch.num_rows, script["label"], script["confidence"])
        return Scores(batch.num_rows, numbers=np.full(batch.num_rows, self._answer))

    def close(self) -> None:
        """Nothing to free."""


def _labelled(rows: int, label: str, confidence: float) -> Scores:
    return Scores(
        rows,
        classes=(label,),
        label_index=np.zeros(rows, np.int32),
        probabilities=np.full((rows, 1), confidence),
    )


def load(
    descriptor: ModelDescriptor,
    data_type: DataType,
    engine: Engine | None = None,  # noqa: ARG001 - there is one
) -> Scripted:
    """A servable for the data type."""
    return Scripted(json.loads(descriptor.data), data_type.feature_names[0])


def prepare(memory_bytes: int) -> None:
    """Nothing to import."""

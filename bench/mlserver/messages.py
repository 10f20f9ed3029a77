"""What is said to the client, and by it in the V2 inference protocol, as far as that needs no library."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PLAIN = "forest"
"""The forest of 100 trees with MLServer's defaults."""
ADAPTIVE = "forest-adaptive"
"""The same model, with MLServer's adaptive batching."""
TREE = "tree"
"""The example's tree, which takes next to no time: what is left is the server's."""
ANSWERS = "answers.json"
"""In the models' folder: name of a model → its answer for each row of the table."""
INPUT = "records"


@dataclass(frozen=True, slots=True)
class Load:
    """What the client is to do."""

    protocol: str
    """`rest` or `grpc`."""
    port: int
    """Of that protocol, on the loopback interface."""
    model: str
    answers: str
    """The path of `ANSWERS`."""
    records: int
    """In a request."""
    concurrency: int
    """Callers."""
    warm_up_s: float
    """Before what is measured."""
    seconds: float
    """Measured."""


class AnswerError(Exception):
    """An answer that is not one score for each record."""


def rest_request(records: NDArray[np.float64]) -> bytes:
    """The body of a request for the scores of `records`, (records, features)."""
    tensor = {"name": INPUT, "shape": list(records.shape), "datatype": "FP64", "data": records.ravel().tolist()}
    return json.dumps({"inputs": [tensor]}, separators=(",", ":")).encode()


def rest_scores(status: int, body: bytes) -> list[int]:
    """The scores in the body of an answer, one for each record."""
    if status != 200:
        raise AnswerError(f"status {status}: {body[:300].decode(errors='replace')}")
    scores: list[int] = json.loads(body)["outputs"][0]["data"]
    return scores


def raw_tensor(records: NDArray[np.float64]) -> bytes:
    """`records` as the gRPC protocol has raw tensors: row by row, lowest byte first."""
    return records.astype("<f8").tobytes()


def raw_scores(datatype: str, raw: bytes) -> list[int]:
    """The scores in a raw tensor of an answer."""
    if datatype != "INT64":
        raise AnswerError(f"scores of type {datatype}")
    scores: list[int] = np.frombuffer(raw, "<i8").tolist()
    return scores

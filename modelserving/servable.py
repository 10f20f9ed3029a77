"""A servable: a loaded model that scores an Arrow batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.wire.serving_pb2 import Reason


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """Which model a score is of."""

    name: str
    version: str
    sha256: str
    """Of the model's bytes, lower-case hex."""


@dataclass(frozen=True, slots=True)
class RecordFailure:
    """Why one record of a batch has no score: an expected fault, as a value."""

    row: int
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Scores:
    """The answers to a batch of n rows; what a model does not give is None. Rows in `failures` hold no answer."""

    rows: int
    numbers: NDArray[np.float64] | None = None
    """(n,) a regression's value."""
    classes: tuple[str, ...] = ()
    """Names of the k classes that `label_index` and `probabilities` speak of."""
    label_index: NDArray[np.int32] | None = None
    """(n,) index into `classes` of the predicted label."""
    probabilities: NDArray[np.float64] | None = None
    """(n, k) probability of each class."""
    label_alone: NDArray[np.bool_] | None = None
    """(n,) which rows have a label without probabilities, NaN there, beside rows that have them; None: no row."""
    outputs: NDArray[np.float64] | None = None
    """(n, w) the output vector of a TensorFlow model."""
    failures: tuple[RecordFailure, ...] = field(default=())
    """The rows that the model could not answer, each once."""

    def unanswered(self) -> list[RecordFailure]:
        """The rows without an answer, each once: those in `failures`, and those whose answer is not finite."""
        unanswered = list(self.failures)
        named = {failure.row for failure in unanswered}
        for name, answers in (
            ("number", self.numbers),
            ("probability", self.probabilities),
            ("output", self.outputs),
        ):
            if answers is None or np.isfinite(answers).all():
                continue
            finite = np.isfinite(answers.reshape(self.rows, -1)).all(axis=1)
            if answers is self.probabilities and self.label_alone is not None:
                finite |= self.label_alone
            for row in np.flatnonzero(~finite).tolist():
                if row not in named:
                    named.add(row)
                    detail = f"the model answered with a {name} that is not finite"
                    unanswered.append(RecordFailure(row, Reason.MODEL_FAILED, detail))
        return unanswered


@dataclass(frozen=True, slots=True)
class Domain:
    """What a model itself says of the valid values of one input; empty where it says nothing."""

    numbers: tuple[float, ...] = ()
    """Telling numbers, ascending: ends of intervals, thresholds, and values between and beside them."""
    categories: tuple[str, ...] = ()
    """Categories that the model knows."""


class Servable(Protocol):
    """A loaded model."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The feature names that `score` reads from a batch."""
        ...

    @property
    def domain(self) -> Mapping[str, Domain]:
        """What the model says of the values of its inputs, by feature name; an input may be absent."""
        ...

    @property
    def engine(self) -> str:
        """What evaluates the model."""
        ...

    @property
    def engine_reason(self) -> str:
        """Why this one does, where there is a choice; else empty."""
        ...

    def score(self, batch: pa.RecordBatch) -> Scores:
        """Score a batch that holds at least the columns `inputs`: float64, or string for categorical features.

        A null is a missing value. No row's fault may raise: it is a `RecordFailure` of that row.
        """
        ...

    def close(self) -> None:
        """Free what the model holds; the servable is not used after it."""
        ...


def feature_matrix(batch: pa.RecordBatch, inputs: tuple[str, ...], dtype: Any) -> NDArray[Any]:
    """The columns `inputs` of `batch` as one (rows, len(inputs)) matrix; nulls become NaN."""
    matrix = np.empty((batch.num_rows, len(inputs)), dtype=dtype)
    for position, name in enumerate(inputs):
        matrix[:, position] = batch.column(name).to_numpy(zero_copy_only=False)
    return matrix

"""What both TensorFlow runtimes share: a batch becomes the model's input matrix, its output matrix becomes scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.data_types import DataType, FeatureKind
from modelserving.errors import ModelRejected
from modelserving.runtimes.isolation import isolate
from modelserving.servable import RecordFailure, Scores, feature_matrix
from modelserving.wire.model_pb2 import Answer, ModelDescriptor
from modelserving.wire.serving_pb2 import Reason


def input_features(descriptor: ModelDescriptor, data_type: DataType) -> tuple[str, ...]:
    """The features of the input matrix, in order: the descriptor's inputs, else all of the data type's features.

    Raises:
        ModelRejected: UNLOADABLE: an input that the data type lacks, or whose values are strings.
    """
    names = tuple(descriptor.inputs) or data_type.feature_names
    kinds = {feature.name: feature.kind for feature in data_type.features}
    for name in names:
        if name not in kinds:
            raise ModelRejected(
                Reason.UNLOADABLE, f"input {name!r} is no feature of data type {data_type.name!r}; correct the inputs"
            )
        if kinds[name] is not FeatureKind.NUMBER:
            raise ModelRejected(
                Reason.UNLOADABLE, f"feature {name!r} is a string; list numeric features in the descriptor's inputs"
            )
    return names


def check_input(what: str, dtype: Any, shape: Any, features: tuple[str, ...]) -> None:
    """Check that a TensorFlow input (its DType and TensorShape) takes any number of rows of `features`.

    Raises:
        ModelRejected: UNLOADABLE.
    """
    if dtype.name not in ("float32", "float64"):
        raise ModelRejected(Reason.UNLOADABLE, f"{what} takes {dtype.name}, not float32 or float64 numbers")
    if shape.rank is None:
        return
    if shape.rank != 2 or shape[0] is not None:
        raise ModelRejected(Reason.UNLOADABLE, f"{what} has shape {shape}, not (any number of rows, features)")
    if shape[1] not in (None, len(features)):
        raise ModelRejected(
            Reason.UNLOADABLE,
            f"{what} is {shape[1]} wide, but there are {len(features)} features ({', '.join(features)}); "
            "name the model's features in the descriptor's inputs",
        )


@dataclass(frozen=True, slots=True)
class MatrixModel:
    """A function from an (n, k) matrix to an (n, w) matrix of the same rows, with the meaning of both."""

    call: Callable[[NDArray[Any]], NDArray[Any]]
    dtype: type[np.float32] | type[np.float64]
    inputs: tuple[str, ...]
    width: int
    answer: Answer
    classes: tuple[str, ...]
    errors: tuple[type[BaseException], ...]
    """What `call` raises when it fails on a row."""

    def score(self, batch: pa.RecordBatch) -> Scores:
        """Score as `Servable.score` says: a null is MISSING_FEATURE, a value beyond `dtype` is INVALID_VALUE."""
        with np.errstate(over="ignore"):
            matrix = feature_matrix(batch, self.inputs, self.dtype)
        failures = self._input_failures(batch, matrix)
        bad = np.zeros(batch.num_rows, dtype=bool)
        bad[[failure.row for failure in failures]] = True
        outputs = np.zeros((batch.num_rows, self.width))

        def call(rows: NDArray[np.intp]) -> NDArray[np.float64]:
            # as a rule all rows are good, and none need be copied
            return self._outputs(matrix if len(rows) == len(matrix) else matrix[rows])

        for rows, result in isolate(np.flatnonzero(~bad), call, self.errors):
            if isinstance(result, BaseException):
                failures.append(RecordFailure(int(rows[0]), Reason.MODEL_FAILED, f"the model failed: {result}"))
                continue
            outputs[rows] = result
            for row in rows[~np.isfinite(result).all(axis=1)]:
                failures.append(RecordFailure(int(row), Reason.MODEL_FAILED, "the model's output is not finite"))
                outputs[row] = 0.0
        return self._scores(outputs, failures)

    def _input_failures(self, batch: pa.RecordBatch, matrix: NDArray[Any]) -> list[RecordFailure]:
        failures = []
        for row in np.flatnonzero(~np.isfinite(matrix).all(axis=1)):
            column = int(np.flatnonzero(~np.isfinite(matrix[row]))[0])
            name = self.inputs[column]
            value = batch.column(name)[int(row)].as_py()
            if value is None:
                failures.append(RecordFailure(int(row), Reason.MISSING_FEATURE, f"feature {name!r} is missing"))
            else:
                detail = f"feature {name!r} is {value!r}, which {np.dtype(self.dtype).name} cannot hold as a number"
                failures.append(RecordFailure(int(row), Reason.INVALID_VALUE, detail))
        return failures

    def _outputs(self, matrix: NDArray[Any]) -> NDArray[np.float64]:
        outputs = np.asarray(self.call(matrix), dtype=np.float64)
        if outputs.size != len(matrix) * self.width:
            raise ValueError(f"an output of shape {outputs.shape} for {len(matrix)} rows of width {self.width}")
        return outputs.reshape(len(matrix), self.width)

    def _scores(self, outputs: NDArray[np.float64], failures: list[RecordFailure]) -> Scores:
        answer = self.answer
        if answer == Answer.AUTOMATIC:
            answer = Answer.LABEL if self.width > 1 else Answer.NUMBER
        failed = tuple(sorted(failures, key=lambda failure: failure.row))
        if answer == Answer.NUMBER:
            return Scores(len(outputs), numbers=outputs[:, 0], failures=failed)
        if answer == Answer.VECTOR:
            return Scores(len(outputs), outputs=outputs, failures=failed)
        labels = outputs.argmax(axis=1).astype(np.int32)
        return Scores(len(outputs), classes=self.classes, label_index=labels, outputs=outputs, failures=failed)


def matrix_model(
    descriptor: ModelDescriptor,
    inputs: tuple[str, ...],
    dtype: type[np.float32] | type[np.float64],
    call: Callable[[NDArray[Any]], NDArray[Any]],
    errors: tuple[type[Exception], ...],
) -> MatrixModel:
    """Make a `MatrixModel`, after calls with rows of zeros, which show that the model runs and how wide it is.

    Raises:
        ModelRejected: UNLOADABLE: a call fails; FAILED_GATE: the output is no vector for each row, or not as wide as
            there are labels.
    """
    if descriptor.answer not in Answer.values():
        raise ModelRejected(Reason.UNLOADABLE, f"unknown answer {descriptor.answer}; use one of {Answer.keys()}")
    errors = (*errors, ValueError, TypeError)
    width, width_of_three = (_width(call, np.zeros((rows, len(inputs)), dtype), errors) for rows in (1, 3))
    if width_of_three != width:
        raise ModelRejected(
            Reason.FAILED_GATE,
            f"the output is {width} wide for one row, {width_of_three} for three; name one that is a vector a row",
        )
    if descriptor.labels and len(descriptor.labels) != width:
        raise ModelRejected(
            Reason.FAILED_GATE, f"{len(descriptor.labels)} labels for an output of width {width}; give one for each"
        )
    classes = tuple(descriptor.labels) or tuple(str(index) for index in range(width))
    return MatrixModel(call, dtype, inputs, width, descriptor.answer, classes, errors)


def _width(
    call: Callable[[NDArray[Any]], NDArray[Any]], zeros: NDArray[Any], errors: tuple[type[Exception], ...]
) -> int:
    rows = len(zeros)
    try:
        outputs = np.asarray(call(zeros), dtype=np.float64)
    except errors as error:
        raise ModelRejected(Reason.UNLOADABLE, f"the model fails on rows of zeros ({rows}): {error}") from error
    if not 1 <= outputs.ndim <= 2 or outputs.shape[0] != rows or outputs.size == 0:
        raise ModelRejected(
            Reason.FAILED_GATE,
            f"the output for {rows} input rows has shape {outputs.shape}, not ({rows}, width); name another output",
        )
    return outputs.size // rows

"""The gate: what a model must show before it serves.

It loads, it answers a probe batch in time, one finite answer a row, and it holds up under batches of other sizes. A
model that may hang, eat memory or end its process goes through the gate in a process of its own (`sandbox.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pyarrow as pa

from modelserving import loader
from modelserving.data_types import DataType
from modelserving.errors import ModelRejected
from modelserving.events import LONGEST_DETAIL
from modelserving.probe import probe_batch
from modelserving.servable import RecordFailure, Scores, Servable
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import AdmittedModel, Engine

LARGE_BATCH_ROWS = 1024

_SHOWN_VALUES = 8


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What a model may take on its way to serve."""

    load_s: float = 60.0
    """Seconds to fetch it, as many to load it, and as many to warm it."""
    probe_s: float = 5.0
    """Seconds to answer the probe batch, once it has answered it a first time."""
    memory_bytes: int = 4 * 1024**3
    """What it may add to the main memory that its process takes."""


class Phase(Enum):
    """What is being done with a model, and what a model that takes too long is told."""

    FETCH = "to be fetched"
    LOAD = "to load and answer a first time"
    PROBE = "to answer the probe"
    WARM = "to answer batches of other sizes"

    def limit_s(self, limits: GateLimits) -> float:
        """Seconds that it may take."""
        return limits.probe_s if self is Phase.PROBE else limits.load_s


def load_warm(descriptor: ModelDescriptor, data_type: DataType, engine: Engine) -> Servable:
    """Load a complete descriptor for its data type, and score with it so that nothing is left to trace or compile.

    Args:
        descriptor: with its bytes.
        data_type: what it is for.
        engine: what `check` found.

    Raises:
        ModelRejected: it cannot be loaded.
    """
    servable = _load(descriptor, data_type, engine)
    try:
        probe = probe_batch(data_type, servable)
        for batch in (probe, *_other_sizes(probe)):
            servable.score(batch)
    except Exception as error:  # a model may raise anything
        servable.close()
        raise ModelRejected(Reason.UNLOADABLE, f"scoring a probe raised {type(error).__name__}: {error}") from error
    return servable


def load_admitted(encoded: bytes, data_type: DataType) -> Servable:
    """`load_warm` of an encoded `AdmittedModel` with its bytes: what another process can be asked for.

    Raises:
        ModelRejected: it cannot be loaded.
    """
    admitted = AdmittedModel.FromString(encoded)
    return load_warm(admitted.descriptor, data_type, admitted.engine)


def check(
    descriptor: ModelDescriptor,
    data_type: DataType,
    limits: GateLimits,
    announce: Callable[[Phase], None] = lambda _: None,
    clock_s: Callable[[], float] = time.monotonic,
) -> Engine:
    """Take a complete descriptor through the gate.

    Of samples that the data type names, each must be answered. Of generated rows some may be turned away as the
    record's fault, since no domain says all: but not all of them, and none may make the model itself fail.

    Args:
        descriptor: with its bytes.
        data_type: what it is for.
        limits: what it may take; memory and the time to load are watched by the sandbox.
        announce: told of each phase as it begins.
        clock_s: seconds that only grow.

    Returns:
        What evaluates it.

    Raises:
        ModelRejected: what loading raises, or FAILED_GATE.
    """
    announce(Phase.LOAD)
    servable = _load(descriptor, data_type)
    try:
        foreign = sorted(set(servable.inputs) - set(data_type.feature_names))
        if foreign:
            raise failed(f"it reads {', '.join(foreign)}, which data type {data_type.name!r} lacks")
        probe = probe_batch(data_type, servable)
        _score(servable, probe)  # the first time may trace and compile
        announce(Phase.PROBE)
        started = clock_s()
        scores = _score(servable, probe)
        if clock_s() - started > limits.probe_s:
            raise too_long(Phase.PROBE, limits)
        _check_answers(scores, probe, data_type, servable)
        announce(Phase.WARM)
        for batch in _other_sizes(probe):
            _score(servable, batch)
        # It travels and is kept with the model, and may quote what the document says.
        return Engine(name=servable.engine, reason=servable.engine_reason[:LONGEST_DETAIL])
    finally:
        servable.close()


def failed(what: str) -> ModelRejected:
    """The fault of a model that does not pass."""
    return ModelRejected(Reason.FAILED_GATE, f"the model failed the gate: {what}")


def too_long(phase: Phase, limits: GateLimits) -> ModelRejected:
    """The fault of a model that exceeds the time limit of `phase`."""
    return failed(f"it took longer than {phase.limit_s(limits):g} s {phase.value}")


def _load(descriptor: ModelDescriptor, data_type: DataType, engine: Engine | None = None) -> Servable:
    try:
        return loader.load(descriptor, data_type, engine)
    except ModelRejected:
        raise
    except Exception as error:  # a model's bytes may make a library raise anything
        raise ModelRejected(Reason.UNLOADABLE, f"its loader raised {type(error).__name__}: {error}") from error


def _score(servable: Servable, batch: pa.RecordBatch) -> Scores:
    try:
        return servable.score(batch)
    except Exception as error:  # a model may raise anything
        raise failed(f"{batch.num_rows} rows made it raise {type(error).__name__}: {error}") from error


def _other_sizes(probe: pa.RecordBatch) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """One row, and a large batch, of the rows of the probe."""
    return probe.slice(0, 1), probe.take(pa.array(np.arange(LARGE_BATCH_ROWS) % probe.num_rows))


def _check_answers(scores: Scores, probe: pa.RecordBatch, data_type: DataType, servable: Servable) -> None:
    _check_shapes(scores, probe.num_rows)
    unanswered = scores.unanswered()
    for failure in unanswered:
        if data_type.samples or failure.reason == Reason.MODEL_FAILED:
            raise failed(_describe(failure, probe, data_type, servable))
    if len(unanswered) == probe.num_rows:
        raise failed(f"it answers no row of the probe; {_describe(unanswered[0], probe, data_type, servable)}")


def _check_shapes(scores: Scores, rows: int) -> None:
    for name, answers, shape in (
        ("rows", np.empty(scores.rows), (rows,)),
        ("numbers", scores.numbers, (rows,)),
        ("labels", scores.label_index, (rows,)),
        ("probabilities", scores.probabilities, (rows, len(scores.classes))),
        ("outputs", scores.outputs, (rows, None)),
    ):
        if answers is None:
            continue
        fits = len(answers.shape) == len(shape) and all(
            wanted in (None, got) for got, wanted in zip(answers.shape, shape, strict=True)
        )
        if not fits:
            raise failed(f"its {name} for {rows} rows have shape {answers.shape}, not {shape}")
    if scores.numbers is None and scores.label_index is None and scores.outputs is None:
        raise failed("it gives neither a number nor a label nor outputs")


def _describe(failure: RecordFailure, probe: pa.RecordBatch, data_type: DataType, servable: Servable) -> str:
    """The row that a model could not answer, with the values of its first inputs, and why."""
    what = "sample" if data_type.samples else "probe row"
    shown = ", ".join(f"{name}={probe.column(name)[failure.row].as_py()!r}" for name in servable.inputs[:_SHOWN_VALUES])
    more = ", …" if len(servable.inputs) > _SHOWN_VALUES else ""
    return f"{what} {failure.row + 1} ({shown}{more}): {Reason.Name(failure.reason)}: {failure.detail}"

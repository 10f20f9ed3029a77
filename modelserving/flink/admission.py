"""Admission as a Flink operator, keyed by data type: each descriptor is judged once, for all instances of the join."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, OutputTag, RuntimeContext

from modelserving.admission import data_type_of
from modelserving.flink import assembly, rows
from modelserving.flink.options import JobOptions
from modelserving.flink.state import admission_descriptor
from modelserving.outgoing import Outgoing
from modelserving.wire.serving_pb2 import LogPosition
from modelserving.wire.state_pb2 import AdmissionState


def rejected_models_tag() -> OutputTag:
    """The side output of rejected models."""
    return OutputTag("rejected-models", rows.outgoing_type())


def key_of(row: Row) -> str:
    """The data type of a row of the model log."""
    return data_type_of(row[0] and bytes(row[0]))


class AdmissionFunction(KeyedProcessFunction):
    """Takes rows of the model log (value, offset, timestamp), emits decisions."""

    def __init__(self, options: JobOptions) -> None:
        self._options = options

    def open(self, runtime_context: RuntimeContext) -> None:
        self._judge = assembly.admission(self._options)
        self._state = runtime_context.get_map_state(admission_descriptor())
        group = runtime_context.get_metrics_group()
        self._admitted = group.counter("models_admitted")
        self._rejected = group.counter("models_rejected")
        self._repeated = group.counter("models_repeated")

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        message = None if value[0] is None else bytes(value[0])
        data_type = ctx.get_current_key()
        stored = self._state.get(data_type)
        state = AdmissionState.FromString(bytes(stored)) if stored is not None else AdmissionState()
        repeated_before = state.repeated
        position = LogPosition(topic=self._options.topics.models, offset=value[1], timestamp_ms=value[2])
        verdict = self._judge.judge(message, position, state)
        self._repeated.inc(state.repeated - repeated_before)
        if self._options.data_types.get(data_type) is not None:
            # Names that are not configured leave no state behind: anybody could send any number of them.
            self._state.put(data_type, state.SerializeToString())
        if verdict.decision is not None:
            self._admitted.inc()
            yield Row(data_type, verdict.decision.SerializeToString())
        if verdict.rejected is not None:
            self._rejected.inc()
            outgoing = Outgoing("rejected-models", [data_type.encode() or None], [verdict.rejected])
            yield rejected_models_tag(), rows.outgoing_row(outgoing, self._options.topics)

"""The keyed join: one parallel instance owns a data type and its model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedCoProcessFunction, OutputTag, ProcessFunction, RuntimeContext

from modelserving.decoding import Decoder, TypedBatch
from modelserving.flink import assembly, rows
from modelserving.flink.metrics import Metrics
from modelserving.flink.options import JobOptions
from modelserving.flink.state import MapModelStore, models_descriptor
from modelserving.flink.worker import prepare
from modelserving.outgoing import Outgoing
from modelserving.packing import unpack_records
from modelserving.rejections import reject
from modelserving.statistics.deltas import rejected_deltas


def undecodable_records_tag() -> OutputTag:
    """The side output of records that could not be decoded."""
    return OutputTag("undecodable-records", rows.outgoing_type())


class DecodeFunction(ProcessFunction):
    """Decodes raw batches once and splits them by data type, ahead of the key-by."""

    def __init__(self, options: JobOptions) -> None:
        self._options = options

    def open(self, runtime_context: RuntimeContext) -> None:
        prepare()
        self._decoder = Decoder(self._options.data_types, self._options.topics.records)
        self._metrics = Metrics(runtime_context.get_metrics_group())

    def process_element(self, value: bytes, ctx: ProcessFunction.Context) -> Iterator[Any]:
        decoded = self._decoder.decode(unpack_records(bytes(value)), assembly.clock_us())
        for batch in decoded.batches:
            yield Row(batch.data_type, batch.to_ipc())
        if decoded.rejected:
            for outgoing in (reject(decoded.rejected, assembly.clock_us), rejected_deltas(decoded.rejected)):
                self._metrics.count(outgoing)
                yield undecodable_records_tag(), rows.outgoing_row(outgoing, self._options.topics)


class KeyedJoin(KeyedCoProcessFunction):
    """Input 1: decoded batches; input 2: decisions; both keyed by data type."""

    def __init__(self, options: JobOptions) -> None:
        self._options = options

    def open(self, runtime_context: RuntimeContext) -> None:
        self._join = assembly.join(self._options, runtime_context)
        self._store = MapModelStore(runtime_context.get_map_state(models_descriptor()))
        self._metrics = Metrics(runtime_context.get_metrics_group())

    def process_element1(self, value: bytes, ctx: KeyedCoProcessFunction.Context) -> Iterator[Row]:
        for outgoing in self._join.on_batch(TypedBatch.from_ipc(bytes(value)), self._store):
            yield self._row(outgoing)

    def process_element2(self, value: bytes, ctx: KeyedCoProcessFunction.Context) -> Iterator[Row]:
        for outgoing in self._join.on_decision(bytes(value), self._store):
            yield self._row(outgoing)

    def close(self) -> None:
        self._join.close()

    def _row(self, outgoing: Outgoing) -> Row:
        self._metrics.count(outgoing)
        return rows.outgoing_row(outgoing, self._options.topics)

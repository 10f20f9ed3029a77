"""The partitioned join: every parallel instance has every model, records are spread evenly."""

from __future__ import annotations

from collections.abc import Iterator

from pyflink.common import Row
from pyflink.datastream import CoFlatMapFunction, RuntimeContext

from modelserving.decoding import Decoder
from modelserving.flink import assembly, rows
from modelserving.flink.metrics import Metrics
from modelserving.flink.options import JobOptions
from modelserving.join import ModelStore
from modelserving.outgoing import Outgoing
from modelserving.packing import unpack_records
from modelserving.rejections import reject
from modelserving.statistics.deltas import rejected_deltas


class PartitionedJoin(CoFlatMapFunction):
    """Input 1: raw batches; input 2: decisions, broadcast. `BroadcastHost` runs it."""

    store: ModelStore

    def __init__(self, options: JobOptions) -> None:
        self._options = options

    def open(self, runtime_context: RuntimeContext) -> None:
        self._decoder = Decoder(self._options.data_types, self._options.topics.records)
        self._join = assembly.join(self._options, runtime_context)
        self._metrics = Metrics(runtime_context.get_metrics_group())

    def flat_map1(self, value: bytes) -> Iterator[Row]:
        decoded = self._decoder.decode(unpack_records(bytes(value)), assembly.clock_us())
        for batch in decoded.batches:
            for outgoing in self._join.on_batch(batch, self.store):
                yield self._row(outgoing)
        if decoded.rejected:
            yield self._row(reject(decoded.rejected, assembly.clock_us))
            yield self._row(rejected_deltas(decoded.rejected))

    def flat_map2(self, value: Row) -> Iterator[Row]:
        for outgoing in self._join.on_decision(bytes(value[1]), self.store):
            yield self._row(outgoing)

    def close(self) -> None:
        self._join.close()

    def _row(self, outgoing: Outgoing) -> Row:
        self._metrics.count(outgoing)
        return rows.outgoing_row(outgoing, self._options.topics)

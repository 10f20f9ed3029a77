"""The partitioned join: every parallel instance has every model, records are spread evenly."""

from __future__ import annotations

from collections.abc import Iterator

from pyflink.common import Row
from pyflink.datastream import CoFlatMapFunction, RuntimeContext

from modelserving.decoding import Decoder
from modelserving.flink import assembly, rows
from modelserving.flink.options import JobOptions
from modelserving.join import ModelStore
from modelserving.packing import unpack_records
from modelserving.rejections import reject


class PartitionedJoin(CoFlatMapFunction):
    """Input 1: raw batches; input 2: decisions, broadcast. `BroadcastHost` runs it."""

    store: ModelStore

    def __init__(self, options: JobOptions) -> None:
        self._options = options

    def open(self, runtime_context: RuntimeContext) -> None:
        self._decoder = Decoder(self._options.data_types, self._options.topics.records)
        self._join = assembly.join(self._options, runtime_context)

    def flat_map1(self, value: Row) -> Iterator[Row]:
        topics = self._options.topics
        decoded = self._decoder.decode(unpack_records(bytes(value[0])), assembly.clock_us())
        for batch in decoded.batches:
            for outgoing in self._join.on_batch(batch, self.store):
                yield rows.outgoing_row(outgoing, topics)
        if decoded.rejected:
            yield rows.outgoing_row(reject(decoded.rejected, assembly.clock_us), topics)

    def flat_map2(self, value: Row) -> Iterator[Row]:
        for outgoing in self._join.on_decision(bytes(value[1]), self.store):
            yield rows.outgoing_row(outgoing, self._options.topics)

    def close(self) -> None:
        self._join.close()

"""The starter: raw batches become requests, each with its records, and a task for each model that is asked."""

from __future__ import annotations

from collections.abc import Iterator

from pyflink.common import Row
from pyflink.datastream import BroadcastProcessFunction, RuntimeContext

from modelserving.data_types import RouteBy
from modelserving.decoding import Decoder, TypedBatch
from modelserving.errors import ConfigurationError
from modelserving.events import outgoing_events
from modelserving.flink import assembly, rows
from modelserving.flink.metrics import Metrics
from modelserving.flink.options import SpeculativeOptions
from modelserving.flink.speculative.assembly import newest_policies, policies
from modelserving.flink.state import MapModelStore, policies_descriptor
from modelserving.flink.worker import prepare
from modelserving.outgoing import Outgoing
from modelserving.packing import unpack_records
from modelserving.rejections import RejectedRecord, reject, rejected_records
from modelserving.servable import RecordFailure
from modelserving.speculative.policies import Holding, decode, unusable
from modelserving.speculative.starting import start
from modelserving.statistics.deltas import rejected_deltas
from modelserving.wire.serving_pb2 import ModelEvent, Reason
from modelserving.wire.speculative_pb2 import HeldPolicy


class StartFunction(BroadcastProcessFunction):
    """Input 1: raw batches; input 2: policies, broadcast."""

    def __init__(self, options: SpeculativeOptions) -> None:
        self._options = options

    def open(self, runtime_context: RuntimeContext) -> None:
        prepare()
        self._decoder = Decoder(self._options.data_types, self._options.topics.records)
        self._policies = policies(self._options)
        self._descriptor = policies_descriptor()
        self._metrics = Metrics(runtime_context.get_metrics_group())
        self._holding: dict[str, Holding | None] = {}
        self._unusable: dict[str, str] = {}  # why the policy of a data type is of no use
        self._events: list[ModelEvent] = []

    def process_element(self, value: bytes, ctx: BroadcastProcessFunction.ReadOnlyContext) -> Iterator[Row]:
        decoded = self._decoder.decode(unpack_records(bytes(value)), assembly.clock_us())
        rejected = list(decoded.rejected)
        for batch in decoded.batches:
            holding = self._policy(batch.data_type, ctx)
            if holding is None:
                rejected += self._without_policy(batch)
                continue
            route = self._options.data_types[batch.data_type].route
            started = start(batch, holding, same_key=route.by is RouteBy.KEY)
            yield Row("opening", started.request, started.opening)
            for lane, task in started.tasks:
                yield Row(f"lane-{lane + 1}", started.request, task)
        if self._events:
            yield self._row(outgoing_events(self._events))
            self._events = []
        if rejected:
            yield self._row(reject(rejected, assembly.clock_us))
            yield self._row(rejected_deltas(rejected))

    def process_broadcast_element(self, value: Row, ctx: BroadcastProcessFunction.Context) -> Iterator[Row]:
        data_type, encoded = value[0], bytes(value[1])
        MapModelStore(ctx.get_broadcast_state(self._descriptor)).put(data_type, encoded)
        holding = self._holding.get(data_type)
        state = decode(encoded)
        if holding is None or state.offset > holding.offset:
            self._holding[data_type] = self._policies.holding(state)
            self._unusable.pop(data_type, None)
        yield from ()

    def _policy(self, data_type: str, ctx: BroadcastProcessFunction.ReadOnlyContext) -> Holding | None:
        """What holds for a data type; where the state does not say, by the control stream itself."""
        if data_type not in self._holding:
            kept = MapModelStore(ctx.get_broadcast_state(self._descriptor)).get(data_type)
            newest: HeldPolicy | None = None
            if kept is None:
                newest = newest_policies(self._options, self._policies).get(data_type)
            state = newest if kept is None else decode(kept)
            self._holding[data_type] = None if state is None else self._use(data_type, state)
        return self._holding[data_type]

    def _use(self, data_type: str, state: HeldPolicy) -> Holding | None:
        """The policy of a state that was restored, perhaps by a job that was started with fewer deciders."""
        try:
            return self._policies.holding(state)
        except ConfigurationError as error:
            self._unusable[data_type] = f"{error}"
            topic = self._options.topics.speculative_control
            event = unusable(data_type, error).event(topic, state.offset, 0, assembly.clock_ms())
            self._events += [] if event is None else [event]
            return None

    def _without_policy(self, batch: TypedBatch) -> list[RejectedRecord]:
        topics = self._options.topics
        why = self._unusable.get(batch.data_type)
        lacks = "has no policy" if why is None else f"has a policy that is of no use ({why})"
        detail = f"data type {batch.data_type!r} {lacks}; send one to {topics.speculative_control}"
        failures = [RecordFailure(row, Reason.NO_POLICY, detail) for row in range(batch.batch.num_rows)]
        return rejected_records(batch.records, failures, topics.records, batch.data_type)

    def _row(self, outgoing: Outgoing) -> Row:
        self._metrics.count(outgoing)
        return rows.addressed_outgoing(outgoing, self._options.topics)

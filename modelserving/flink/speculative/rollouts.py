"""The watch over rollouts as a Flink operator, keyed by data type."""

from __future__ import annotations

from collections.abc import Iterator

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from modelserving.events import outgoing_events
from modelserving.flink import assembly, rows
from modelserving.flink.options import SpeculativeOptions
from modelserving.flink.state import MapModelStore, rollouts_descriptor
from modelserving.flink.worker import prepare
from modelserving.speculative.rollout_watch import watch


class RolloutFunction(KeyedProcessFunction):
    """Takes what requests tell of a challenger; emits control messages and events."""

    def __init__(self, options: SpeculativeOptions) -> None:
        self._options = options

    def open(self, runtime_context: RuntimeContext) -> None:
        prepare()
        self._store = MapModelStore(runtime_context.get_map_state(rollouts_descriptor()))

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        data_type = ctx.get_current_key()
        watched = watch(bytes(value), self._store.get(data_type), assembly.clock_ms())
        if watched.state is not None:
            self._store.put(data_type, watched.state)
        topics = self._options.topics
        if watched.control is not None:
            yield rows.outgoing_row(watched.control, topics)
        if watched.event is not None:
            yield rows.outgoing_row(outgoing_events([watched.event]), topics)

"""Policies as a Flink operator, keyed by data type: each control message is judged once, for all instances."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from modelserving.events import outgoing_events
from modelserving.flink import assembly, rows
from modelserving.flink.options import SpeculativeOptions
from modelserving.flink.speculative.assembly import policies
from modelserving.flink.state import MapModelStore, policies_descriptor
from modelserving.flink.worker import prepare
from modelserving.speculative.policies import data_type_of, decode


def control_key(row: Row) -> str:
    """The data type of a row of the control stream."""
    return data_type_of(row[0] and bytes(row[0]))


class PolicyFunction(KeyedProcessFunction):
    """Takes rows of the control stream (value, offset, timestamp), emits the policies that hold, and events."""

    def __init__(self, options: SpeculativeOptions) -> None:
        self._options = options

    def open(self, runtime_context: RuntimeContext) -> None:
        prepare()
        self._policies = policies(self._options)
        self._store = MapModelStore(runtime_context.get_map_state(policies_descriptor()))

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        message = None if value[0] is None else bytes(value[0])
        data_type = ctx.get_current_key()
        # Of anything else nothing is kept: anybody could send any number of names.
        kept = self._store.get(data_type) if data_type in self._options.data_types.names else None
        taken = self._policies.take_in(None if kept is None else decode(kept), message, value[1])
        if taken.state is not None:
            encoded = taken.state.SerializeToString()
            self._store.put(data_type, encoded)
            yield Row("policy", data_type, encoded)
        topics = self._options.topics
        event = taken.event(topics.speculative_control, value[1], value[2], assembly.clock_ms())
        if event is not None:
            yield rows.addressed_outgoing(outgoing_events([event]), topics)

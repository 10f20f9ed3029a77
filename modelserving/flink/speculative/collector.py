"""The collector as a Flink operator, keyed by request: it takes in votes, and decides by the deadline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedCoProcessFunction, RuntimeContext

from modelserving.flink import rows
from modelserving.flink.counters import Counters
from modelserving.flink.options import SpeculativeOptions
from modelserving.flink.speculative.assembly import collector
from modelserving.flink.state import MapModelStore, requests_descriptor
from modelserving.flink.worker import prepare
from modelserving.speculative.collecting import Collected

_COUNTED = {"decisions": "records_decided", "late-answers": "late_answers"}
"""Flink's metrics, by what is counted."""


class CollectFunction(KeyedCoProcessFunction):
    """Input 1: openings of requests; input 2: votes."""

    def __init__(self, options: SpeculativeOptions) -> None:
        self._options = options

    def open(self, runtime_context: RuntimeContext) -> None:
        prepare()
        self._collector = collector(self._options)
        self._store = MapModelStore(runtime_context.get_map_state(requests_descriptor()))
        self._counters = Counters(runtime_context.get_metrics_group())
        self._timers: dict[str, tuple[int, ...]] = {}

    def process_element1(self, value: bytes, ctx: KeyedCoProcessFunction.Context) -> Iterator[Row]:
        yield from self._took(self._collector.open(ctx.get_current_key(), bytes(value), self._store), ctx)

    def process_element2(self, value: bytes, ctx: KeyedCoProcessFunction.Context) -> Iterator[Row]:
        yield from self._took(self._collector.vote(ctx.get_current_key(), bytes(value), self._store), ctx)

    def on_timer(self, timestamp: int, ctx: KeyedCoProcessFunction.OnTimerContext) -> Iterator[Row]:
        request = ctx.get_current_key()
        left = tuple(each for each in self._timers.pop(request, ()) if each != timestamp)
        if left:
            self._timers[request] = left
        yield from self._emit(self._collector.look(request, timestamp * 1000, self._store))

    def _took(self, collected: Collected, ctx: Any) -> Iterator[Row]:
        """What came of an element."""
        self._counters.in_element()
        yield from self._emit(collected)
        self._set_timers(collected.looks_ms, ctx)

    def _emit(self, collected: Collected) -> Iterator[Row]:
        for outgoing in collected.outgoing:
            if outgoing.role in _COUNTED:
                self._counters.inc(_COUNTED[outgoing.role], len(outgoing.keys))
            yield rows.addressed_outgoing(outgoing, self._options.topics)
        if collected.sample is not None:
            yield Row("rollout", *collected.sample)

    def _set_timers(self, looks_ms: tuple[int, ...], ctx: Any) -> None:
        """Have these timers for the request, and no others."""
        request, service = ctx.get_current_key(), ctx.timer_service()
        before = self._timers.pop(request, ())
        for obsolete in set(before).difference(looks_ms):
            service.delete_processing_time_timer(obsolete)
        for new in set(looks_ms).difference(before):
            service.register_processing_time_timer(new)
        if looks_ms:
            self._timers[request] = looks_ms

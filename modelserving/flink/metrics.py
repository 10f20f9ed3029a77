"""Flink's own metrics of the operators that score or reject records: what a TaskManager's reporter exports.

Names are fixed: PyFlink never unregisters a metric, so figures of single models come from the query service.
"""

from __future__ import annotations

from typing import Any

from modelserving.outgoing import Outgoing
from modelserving.statistics.deltas import parse
from modelserving.wire.serving_pb2 import EventKind, ModelEvent, Reason


class Metrics:
    """Counts what one instance of an operator emits.

    Args:
        group: the instance's metric group.
    """

    def __init__(self, group: Any) -> None:
        self._group = group
        self._served = group.counter("records_served")
        self._served_per_s = group.meter("records_served_per_second")
        self._errors = group.counter("model_errors")
        # Flink's REST interface shows distributions; Prometheus gets none of them, so what they are made of is counted.
        self._batch_size = group.distribution("batch_size")
        self._batches = group.counter("batches")
        self._score_us = group.counter("score_us")
        self._load_ms = group.distribution("model_load_ms")
        self._loads = group.counter("model_loads")
        self._loads_ms = group.counter("model_loads_ms")
        self._rejected: dict[int, Any] = {}
        self._loading: dict[tuple[str, int], int] = {}

    def count(self, outgoing: Outgoing) -> None:
        """Count it, if it is something that is counted."""
        if outgoing.role == "stats-deltas":
            for delta in parse(value for _, value in outgoing.messages):
                self._served.inc(delta.served)
                self._served_per_s.mark_event(delta.served)
                self._batch_size.update(delta.served + sum(delta.rejected.values()))
                self._batches.inc()
                self._score_us.inc(delta.score_us)
                for reason, count in delta.rejected.items():
                    self._of_reason(reason).inc(count)
                    if reason == Reason.MODEL_FAILED:
                        self._errors.inc(count)
        elif outgoing.role == "model-events":
            for _, value in outgoing.messages:
                self._time(ModelEvent.FromString(value))

    def _of_reason(self, reason: int) -> Any:
        if reason not in self._rejected:
            self._rejected[reason] = self._group.add_group("reason", Reason.Name(reason)).counter("records_rejected")
        return self._rejected[reason]

    def _time(self, event: ModelEvent) -> None:
        """Measure from the begin of a load to its swap."""
        model = (event.data_type, event.position.offset)
        if event.kind == EventKind.LOADING:
            self._loading[model] = event.at_ms
        elif event.kind in (EventKind.SERVING, EventKind.LOAD_FAILED):
            begun_ms = self._loading.pop(model, None)
            if begun_ms is not None:
                self._load_ms.update(event.at_ms - begun_ms)
                self._loads.inc()
                self._loads_ms.inc(event.at_ms - begun_ms)
            # Those that were overtaken while they were loaded have no other end.
            overtaken = [key for key in self._loading if key[0] == event.data_type and key < model]
            for key in overtaken:
                del self._loading[key]

"""Counters that timers may raise too.

Beam runs timers outside of any step, and drops what they count. So the step's own container of metrics is kept when an
element passes, and counted into.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any


class Counters:
    """The counters of one function instance, by name and reason."""

    def __init__(self, group: Any) -> None:
        self._group = group
        self._names: dict[tuple[str, str], Any] = {}
        self._container: Any = None
        self._waiting: dict[tuple[str, str], int] = defaultdict(int)

    def in_element(self) -> None:
        """To be called at the begin of each element."""
        from apache_beam.metrics.execution import MetricsEnvironment  # noqa: PLC0415 - only workers need it

        self._container = MetricsEnvironment.current_container()
        self._count()

    def inc(self, name: str, by: int = 1, reason: str = "") -> None:
        """Raise a counter; of a timer that fires before the first element, once that passes."""
        self._waiting[name, reason] += by
        self._count()

    def _count(self) -> None:
        if self._container is not None:
            for key, by in self._waiting.items():
                self._container.get_counter(self._name(*key)).inc(by)
            self._waiting.clear()

    def _name(self, name: str, reason: str) -> Any:
        if (name, reason) not in self._names:
            group = self._group.add_group("reason", reason) if reason else self._group
            self._names[name, reason] = group.counter(name)._inner_counter.metric_name
        return self._names[name, reason]

"""What the parts of the benchmark have in common: each is a list of cases, measured one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.rates import Span
from bench.site import Site

Key = tuple[str, ...]
"""Names a case within its part; the first is the round."""

Figures = Mapping[str, Any]
"""What was measured in a case: numbers by name, perhaps nested."""

Tree = dict[str, Any]
"""Numbers by name, nested as in `docs/benchmarks.json`."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is measured, and how long."""

    rounds: int
    warm_up_s: float
    seconds: float
    most_records: int
    """Measured, whichever comes first."""
    backlog: int
    """Records on the log that a pipeline works off."""
    parallelism: int
    pipelines: tuple[str, ...]
    models: tuple[str, ...]

    @property
    def span(self) -> Span:
        """What is measured of a job that works off a log."""
        return Span(self.warm_up_s, self.seconds, self.most_records, self.backlog)


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement."""

    key: Key
    measure: Callable[[], Figures]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the benchmark."""

    cases: Callable[[Site, Choice], Iterator[Case]]
    """In the order in which they are measured; rounds alternate between what is compared."""
    summarise: Callable[[Sequence[tuple[Key, Figures]]], Mapping[str, Tree]]
    """Sections of `docs/benchmarks.json` by name, of all that was measured."""

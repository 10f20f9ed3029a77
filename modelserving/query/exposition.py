"""Prometheus' text format, in pieces: the lines of each model version are made once for each of its messages.

Of thousands of versions few change between two scrapes, and all of them together take too long at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from modelserving.wire.stats_pb2 import Quantiles, ServingStats

Samples = Iterable[tuple[tuple[str, ...], float]]
"""Values of a family's further labels, and the sample's value."""

_QUANTILES = (("0.5", "p50"), ("0.9", "p90"), ("0.99", "p99"), ("0.999", "p999"))
_VERSION = ("data_type", "model", "version")
_ESCAPED = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


@dataclass(frozen=True, slots=True)
class Family:
    """Series that each model version has.

    Attributes:
        name: of the samples.
        stale_ms: nothing is told of a version of which the job has told nothing for so long; None: it holds for ever.
    """

    name: str
    text: str
    samples: Callable[[ServingStats], Samples]
    kind: str = "gauge"
    further: tuple[str, ...] = ()
    stale_ms: int | None = None

    def head(self) -> bytes:
        """What stands before its lines."""
        return f"# HELP {self.name} {self.text}\n# TYPE {self.name} {self.kind}\n".encode()


def lines(stats: ServingStats, families: Iterable[Family]) -> list[bytes]:
    """The lines of a version, an element for each family."""
    version = labels(_VERSION, (stats.data_type, stats.name, stats.model_version))
    return ["".join(_lines(family, version, stats)).encode() for family in families]


def labels(names: Iterable[str], values: Iterable[str]) -> str:
    """Labels as they stand between braces."""
    return ",".join(f'{name}="{value.translate(_ESCAPED)}"' for name, value in zip(names, values, strict=True))


def value(of: Callable[[ServingStats], float]) -> Callable[[ServingStats], Samples]:
    """The one sample of a version."""
    return lambda stats: [((), of(stats))]


def quantiles(of: Callable[[ServingStats], Quantiles], unit: float) -> Callable[[ServingStats], Samples]:
    """A sample for each quantile, if there are any; `unit` is what they are multiplied with."""

    def samples(stats: ServingStats) -> Iterator[tuple[tuple[str, ...], float]]:
        found = of(stats)
        if found.count:
            for quantile, field in _QUANTILES:
                yield (quantile,), getattr(found, field) * unit

    return samples


def _lines(family: Family, version: str, stats: ServingStats) -> Iterator[str]:
    for values, number in family.samples(stats):
        more = f",{labels(family.further, values)}" if values else ""
        yield f"{family.name}{{{version}{more}}} {float(number)!r}\n"

"""The same figures for Prometheus, in its text format."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelserving.query.exposition import Family, labels, lines, quantiles, value
from modelserving.query.policy_metrics import policy_families
from modelserving.query.service import Service
from modelserving.query.staleness import DRIFT_STALE_MS, STALE_MS
from modelserving.statistics.earlier import is_earlier
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.stats_pb2 import ServingStats

T = TypeVar("T")

_REASONS_OF_MODELS = [
    Reason.Name(number)
    for number in (Reason.MALFORMED, Reason.UNKNOWN_DATA_TYPE, *filter(lambda number: number >= 20, Reason.values()))
]
"""Each has its series from the beginning: the increase of one that begins at 1 is not seen."""
FRESH_S = 1.0
"""However many ask: the text is not made again sooner."""
_AT_A_TIME = 50
"""Versions, before others are answered: a few milliseconds."""
_SERVING = ("data_type", "model", "version", "sha256", "instance")

_FAMILIES = (
    Family("modelserving_served_total", "Records scored.", value(lambda s: s.served), "counter"),
    Family("modelserving_errors_total", "Records that the model failed on.", value(lambda s: s.errors), "counter"),
    Family(
        "modelserving_served_per_second",
        "Records scored, in the last second or so.",
        value(lambda s: s.recent.served_per_s),
        stale_ms=STALE_MS,
    ),
    Family(
        "modelserving_rejected_per_second",
        "Records turned away, in the last second or so.",
        value(lambda s: s.recent.rejected_per_s),
        stale_ms=STALE_MS,
    ),
    Family(
        "modelserving_since_timestamp_seconds", "When the first record was scored.", value(lambda s: s.since / 1000)
    ),
    Family(
        "modelserving_last_served_timestamp_seconds", "When the last one was.", value(lambda s: s.last_served_ms / 1000)
    ),
    Family(
        "modelserving_stats_updated_timestamp_seconds",
        "When the job told its totals.",
        value(lambda s: s.updated_ms / 1000),
    ),
    Family(
        "modelserving_drift_score_psi",
        "Population stability index of the scores, against when the version began.",
        value(lambda s: s.drift.score_psi),
    ),
    Family(
        "modelserving_drifted",
        "1 if scores or a feature are not what they were.",
        value(lambda s: float(s.drift.drifted)),
        stale_ms=DRIFT_STALE_MS,
    ),
    Family(
        "modelserving_drift_changed_timestamp_seconds",
        "When the mean of the scores last changed; 0: never.",
        value(lambda s: s.drift.changed_ms / 1000),
    ),
    Family(
        "modelserving_latency_seconds",
        "From a record's timestamp to its score.",
        quantiles(lambda s: s.latency_ms, 1e-3),
        further=("quantile",),
    ),
    Family(
        "modelserving_recent_latency_seconds",
        "The same, in the last second or so.",
        quantiles(lambda s: s.recent.latency_ms, 1e-3),
        further=("quantile",),
        stale_ms=STALE_MS,
    ),
    Family(
        "modelserving_score_time_seconds",
        "A record's share of its batch.",
        quantiles(lambda s: s.score_time_us, 1e-6),
        further=("quantile",),
    ),
    Family(
        "modelserving_recent_score_time_seconds",
        "The same, in the last second or so.",
        quantiles(lambda s: s.recent.score_time_us, 1e-6),
        further=("quantile",),
        stale_ms=STALE_MS,
    ),
    Family(
        "modelserving_drift_feature_psi",
        "The same of a feature.",
        lambda s: [((name,), index) for name, index in sorted(s.drift.feature_psi.items())],
        further=("feature",),
    ),
)
_REJECTED = Family(
    "modelserving_rejected_total",
    "Records turned away.",
    lambda s: [((reason,), count) for reason, count in sorted(s.rejected.items())],
    "counter",
    ("reason",),
)
"""The only one that records have which no model was asked about."""


class Metrics:
    """All metrics, as text.

    Args:
        clock_ms: epoch milliseconds.
    """

    def __init__(self, service: Service, clock_ms: Callable[[], int]) -> None:
        self._service = service
        self._clock_ms = clock_ms
        self._lock = asyncio.Lock()
        self._made: tuple[float, bool, bytes] | None = None
        self._lines: dict[tuple[str, ...], tuple[list[ServingStats], list[bytes]]] = {}
        """By labels: of what messages, and their lines, those of `_REJECTED` last."""

    async def text(self) -> bytes:
        """Not older than `FRESH_S`. Others are answered meanwhile."""
        async with self._lock:
            now_s, whole = asyncio.get_running_loop().time(), self._service.progress.caught_up
            if self._made is None or now_s - self._made[0] >= FRESH_S or self._made[1] != whole:
                # Older totals would look as if counters began anew.
                body = [piece async for piece in self._of_the_view()] if whole else []
                self._made = (now_s, whole, b"".join([_of_the_reader(self._service, self._clock_ms()), *body]))
            return self._made[2]

    async def _of_the_view(self) -> AsyncIterator[bytes]:
        view = self._service.view
        # What was forgotten is left out: its counters would grow by what was served long ago.
        versions = _by_labels(each for each in view.stats if not is_earlier(each))
        self._lines = {each: made for each, made in self._lines.items() if each in versions}
        for some in _some(list(versions.items())):
            for each, told in some:
                known = self._lines.get(each)
                if known is None or [*map(id, known[0])] != [*map(id, told)]:
                    self._lines[each] = (told, _lines_of(told))
            await asyncio.sleep(0)
        now_ms = self._clock_ms()
        ages_ms = {each: now_ms - told[-1].updated_ms for each, told in versions.items()}
        for at, family in enumerate((*_FAMILIES, _REJECTED)):
            yield family.head()
            stale_ms = family.stale_ms
            yield b"".join(
                made[at] for each, (_, made) in self._lines.items() if stale_ms is None or ages_ms[each] < stale_ms
            )
            await asyncio.sleep(0)
        info, since = [], []
        for instances in _some(list(view.models.serving())):
            for data_type, instance, served in instances:
                named = labels(_SERVING, (data_type, *served.key, instance))
                info.append(f"modelserving_serving_info{{{named}}} 1.0\n")
                since.append(f"modelserving_serving_since_timestamp_seconds{{{named}}} {served.since_ms / 1000!r}\n")
            await asyncio.sleep(0)
        for name, text, found in (
            ("modelserving_serving_info", "What an instance scores with.", info),
            ("modelserving_serving_since_timestamp_seconds", "Since when.", since),
        ):
            yield f"# HELP {name} {text}\n# TYPE {name} gauge\n{''.join(found)}".encode()


def _some(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[at : at + _AT_A_TIME] for at in range(0, len(items), _AT_A_TIME))


def _by_labels(stats: Iterable[ServingStats]) -> dict[tuple[str, ...], list[ServingStats]]:
    """The messages of each series, the one that was told last at the end: the same version with other bytes is the
    same series."""
    found: dict[tuple[str, ...], list[ServingStats]] = {}
    for each in stats:
        found.setdefault((each.data_type, each.name, each.model_version), []).append(each)
    for told in found.values():
        told.sort(key=lambda each: each.updated_ms)
    return found


def _lines_of(told: list[ServingStats]) -> list[bytes]:
    stats = told[-1]
    if len(told) > 1:
        stats = ServingStats()
        stats.CopyFrom(told[-1])
        for other in told[:-1]:
            stats.served += other.served
            stats.errors += other.errors
            for reason, count in other.rejected.items():
                stats.rejected[reason] += count
    families = lines(stats, _FAMILIES) if stats.name else [b""] * len(_FAMILIES)
    return [*families, *lines(stats, [_REJECTED])]


def _of_the_reader(service: Service, now_ms: int) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Service(service, now_ms))
    return bytes(generate_latest(registry))


class _Service(Collector):
    """What the service tells of itself, and of what was turned away: a few series."""

    def __init__(self, service: Service, now_ms: int) -> None:
        self._service = service
        self._now_ms = now_ms

    def collect(self) -> Iterator[Metric]:
        service = self._service
        ready = float(service.not_ready() is None)
        yield GaugeMetricFamily("modelserving_query_ready", "1 if this service has read all there is.", value=ready)
        yield GaugeMetricFamily("modelserving_query_lag_messages", "Not read yet.", value=service.progress.lag)
        ago_s = service.heard_ago_s()
        heard_s = 0.0 if ago_s is None else self._now_ms / 1000 - ago_s
        yield GaugeMetricFamily(
            "modelserving_query_last_heard_timestamp_seconds", "When the broker answered last; 0: never.", value=heard_s
        )
        yield GaugeMetricFamily("modelserving_query_listeners", "Streams that are open.", value=len(service.hub))
        undecodable = CounterMetricFamily(
            "modelserving_query_undecodable", "Messages passed over since this service started.", labels=("topic",)
        )
        for topic, count in sorted(service.view.undecodable.items()):
            undecodable.add_metric((topic,), count)
        yield undecodable
        if service.progress.caught_up:
            rejected = CounterMetricFamily("modelserving_rejected_models", "Models turned away.", labels=("reason",))
            counts = dict.fromkeys(_REASONS_OF_MODELS, 0) | service.view.rejected_models
            for reason, count in sorted(counts.items()):
                rejected.add_metric((reason,), count)
            yield rejected
            yield from policy_families(service.view.policies, lambda told: self._now_ms - told.updated_ms < STALE_MS)

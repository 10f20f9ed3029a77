"""The same figures for Prometheus, in its text format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelserving.query.service import Service
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.stats_pb2 import Quantiles, ServingStats

_REASONS_OF_MODELS = [
    Reason.Name(number)
    for number in (Reason.MALFORMED, Reason.UNKNOWN_DATA_TYPE, *filter(lambda number: number >= 20, Reason.values()))
]
"""Each has its series from the beginning: the increase of one that begins at 1 is not seen."""
STALE_MS = 10_000
"""A job that has told nothing for so long has no present rates."""
_VERSION = ("data_type", "model", "version")
_QUANTILES = (("0.5", "p50"), ("0.9", "p90"), ("0.99", "p99"), ("0.999", "p999"))
_GAUGES: tuple[tuple[str, str, Callable[[ServingStats], float]], ...] = (
    ("modelserving_served_per_second", "Records scored, in the last second or so.", lambda s: s.recent.served_per_s),
    (
        "modelserving_rejected_per_second",
        "Records turned away, in the last second or so.",
        lambda s: s.recent.rejected_per_s,
    ),
    ("modelserving_since_timestamp_seconds", "When the first record was scored.", lambda s: s.since / 1000),
    ("modelserving_last_served_timestamp_seconds", "When the last one was.", lambda s: s.last_served_ms / 1000),
    ("modelserving_stats_updated_timestamp_seconds", "When the job told its totals.", lambda s: s.updated_ms / 1000),
    (
        "modelserving_drift_score_psi",
        "Population stability index of the scores, against when the version began.",
        lambda s: s.drift.score_psi,
    ),
    ("modelserving_drifted", "1 if scores or a feature are not what they were.", lambda s: float(s.drift.drifted)),
)
_TIMES: tuple[tuple[str, str, float, Callable[[ServingStats], Quantiles]], ...] = (
    ("modelserving_latency_seconds", "From a record's timestamp to its score.", 1e-3, lambda s: s.latency_ms),
    (
        "modelserving_recent_latency_seconds",
        "The same, in the last second or so.",
        1e-3,
        lambda s: s.recent.latency_ms,
    ),
    ("modelserving_score_time_seconds", "A record's share of its batch.", 1e-6, lambda s: s.score_time_us),
    (
        "modelserving_recent_score_time_seconds",
        "The same, in the last second or so.",
        1e-6,
        lambda s: s.recent.score_time_us,
    ),
)
_OF_LATE = (
    "modelserving_served_per_second",
    "modelserving_rejected_per_second",
    "modelserving_recent_latency_seconds",
    "modelserving_recent_score_time_seconds",
)


def exposition(service: Service, now_ms: int) -> bytes:
    """All metrics, as text.

    Args:
        now_ms: epoch milliseconds.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(service, now_ms))
    return bytes(generate_latest(registry))


class _Families(Collector):
    def __init__(self, service: Service, now_ms: int) -> None:
        self._service = service
        self._now_ms = now_ms

    def collect(self) -> Iterator[Metric]:
        yield from self._reader()
        if not self._service.progress.caught_up:
            # Older totals would look as if counters began anew.
            return
        stats = sorted(self._service.view.stats, key=lambda each: each.updated_ms)
        yield from _totals(stats)
        # The same version with other bytes would be the same series: the one that was told last counts.
        latest = {_labels(each): each for each in stats if each.name}
        lately = {labels: each for labels, each in latest.items() if self._now_ms - each.updated_ms < STALE_MS}
        for name, text, value in _GAUGES:
            gauge = GaugeMetricFamily(name, text, labels=_VERSION)
            for labels, each in (lately if name in _OF_LATE else latest).items():
                gauge.add_metric(labels, value(each))
            yield gauge
        for name, text, unit, quantiles in _TIMES:
            gauge = GaugeMetricFamily(name, text, labels=(*_VERSION, "quantile"))
            for labels, each in (lately if name in _OF_LATE else latest).items():
                _add_quantiles(gauge, labels, quantiles(each), unit)
            yield gauge
        feature_psi = GaugeMetricFamily(
            "modelserving_drift_feature_psi", "The same of a feature.", labels=(*_VERSION, "feature")
        )
        for labels, each in latest.items():
            for feature, index in sorted(each.drift.feature_psi.items()):
                feature_psi.add_metric((*labels, feature), index)
        yield feature_psi
        yield from self._models()

    def _models(self) -> Iterator[Metric]:
        names = (*_VERSION, "sha256", "instance")
        info = GaugeMetricFamily("modelserving_serving_info", "What an instance scores with.", labels=names)
        since = GaugeMetricFamily("modelserving_serving_since_timestamp_seconds", "Since when.", labels=names)
        for data_type, instance, served in self._service.view.models.serving():
            labels = (data_type, *served.key, instance)
            info.add_metric(labels, 1)
            since.add_metric(labels, served.since_ms / 1000)
        yield info
        yield since
        rejected = CounterMetricFamily("modelserving_rejected_models", "Models turned away.", labels=("reason",))
        counts = dict.fromkeys(_REASONS_OF_MODELS, 0) | self._service.view.rejected_models
        for reason, count in sorted(counts.items()):
            rejected.add_metric((reason,), count)
        yield rejected

    def _reader(self) -> Iterator[Metric]:
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


def _totals(stats: Iterable[ServingStats]) -> Iterator[Metric]:
    served: Counter[tuple[str, ...]] = Counter()
    errors: Counter[tuple[str, ...]] = Counter()
    rejected: Counter[tuple[str, ...]] = Counter()
    for each in stats:
        labels = _labels(each)
        if each.name:
            served[labels] += each.served
            errors[labels] += each.errors
        for reason, count in each.rejected.items():
            rejected[(*labels, reason)] += count
    for name, text, names, counts in (
        ("modelserving_served", "Records scored.", _VERSION, served),
        ("modelserving_errors", "Records that the model failed on.", _VERSION, errors),
        ("modelserving_rejected", "Records turned away.", (*_VERSION, "reason"), rejected),
    ):
        family = CounterMetricFamily(name, text, labels=names)
        for series, count in sorted(counts.items()):
            family.add_metric(series, count)
        yield family


def _labels(stats: ServingStats) -> tuple[str, str, str]:
    return stats.data_type, stats.name, stats.model_version


def _add_quantiles(gauge: GaugeMetricFamily, labels: tuple[str, ...], quantiles: Quantiles, unit: float) -> None:
    if quantiles.count:
        for quantile, field in _QUANTILES:
            gauge.add_metric((*labels, quantile), getattr(quantiles, field) * unit)

"""The figures of policies for Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from modelserving.wire.speculative_pb2 import Why
from modelserving.wire.stats_pb2 import PolicyModel, PolicyStats, Quantiles

_QUANTILES = (("0.5", "p50"), ("0.9", "p90"), ("0.99", "p99"), ("0.999", "p999"))
_REASONS = [name for name in Why.keys() if name != "WHY_UNSPECIFIED"]  # noqa: SIM118 - an enum
"""Each has its series from the beginning: the increase of one that begins at 1 is not seen."""
_COUNTERS: tuple[tuple[str, str, Callable[[PolicyStats], int]], ...] = (
    (
        "modelserving_decisions_at_deadline",
        "Records on which nothing was decided before the deadline.",
        lambda stats: stats.at_deadline,
    ),
    ("modelserving_decisions_late", "Records that were decided after the deadline.", lambda stats: stats.late),
)
_OF_MODELS: tuple[tuple[str, str, Callable[[PolicyModel], int]], ...] = (
    ("modelserving_votes_asked", "Records decided that the model was asked for.", lambda model: model.asked),
    ("modelserving_votes_answered", "Of those, the ones that it answered, late or not.", lambda model: model.answered),
    ("modelserving_votes_counted", "Of those, the ones whose answer it gave or shares.", lambda model: model.counted),
    ("modelserving_late_answers", "Answers for records that had been decided.", lambda model: model.late),
)


def policy_families(policies: Iterable[PolicyStats], is_present: Callable[[PolicyStats], bool]) -> Iterator[Metric]:
    """What is told of policies.

    Args:
        is_present: whether what is said of the last second is still so.
    """
    policies = list(policies)
    decisions = CounterMetricFamily(
        "modelserving_decisions", "Records decided, by why the answer is this one.", labels=("data_type", "why")
    )
    for stats in policies:
        for why, count in sorted((dict.fromkeys(_REASONS, 0) | dict(stats.why)).items()):
            decisions.add_metric((stats.data_type, why), count)
    yield decisions
    for name, text, value in _COUNTERS:
        counter = CounterMetricFamily(name, text, labels=("data_type",))
        for stats in policies:
            counter.add_metric((stats.data_type,), value(stats))
        yield counter
    yield _times("modelserving_decision_seconds", "From a record's receipt to its decision.", policies, _decisions)
    present = [stats for stats in policies if is_present(stats)]
    yield _times(
        "modelserving_recent_decision_seconds", "The same, in the last second or so.", present, _recent_decisions
    )
    rate = GaugeMetricFamily(
        "modelserving_decided_per_second", "Records decided, in the last second or so.", labels=("data_type",)
    )
    for stats in present:
        rate.add_metric((stats.data_type,), stats.recent.decided_per_s)
    yield rate
    yield from _models(policies)
    yield from _agreement(policies)


def _models(policies: Iterable[PolicyStats]) -> Iterator[Metric]:
    each_model = [(stats.data_type, model) for stats in policies for model in stats.models]
    for name, text, value in _OF_MODELS:
        counter = CounterMetricFamily(name, text, labels=("data_type", "model"))
        for data_type, model in each_model:
            counter.add_metric((data_type, model.model), value(model))
        yield counter
    missing = CounterMetricFamily(
        "modelserving_votes_missing",
        "Votes that are no answer, by what they are.",
        labels=("data_type", "model", "state"),
    )
    taken = GaugeMetricFamily(
        "modelserving_vote_seconds",
        "From when a model was asked to its answer.",
        labels=("data_type", "model", "quantile"),
    )
    for data_type, model in each_model:
        for state, count in sorted(model.missing.items()):
            missing.add_metric((data_type, model.model, state), count)
        _add_quantiles(taken, (data_type, model.model), model.taken_ms)
    yield missing
    yield taken


def _agreement(policies: Iterable[PolicyStats]) -> Iterator[Metric]:
    labels = ("data_type", "first", "second")
    compared = CounterMetricFamily(
        "modelserving_models_compared", "Records that two models both answered.", labels=labels
    )
    agreed = CounterMetricFamily("modelserving_models_agreed", "Of those, the ones on which they agree.", labels=labels)
    for stats in policies:
        for pair in stats.agreement:
            series = (stats.data_type, pair.first, pair.second)
            compared.add_metric(series, pair.compared)
            agreed.add_metric(series, pair.agreed)
    yield compared
    yield agreed


def _times(
    name: str, text: str, policies: Iterable[PolicyStats], quantiles: Callable[[PolicyStats], Quantiles]
) -> Metric:
    gauge = GaugeMetricFamily(name, text, labels=("data_type", "quantile"))
    for stats in policies:
        _add_quantiles(gauge, (stats.data_type,), quantiles(stats))
    return gauge


def _decisions(stats: PolicyStats) -> Quantiles:
    return stats.decision_ms


def _recent_decisions(stats: PolicyStats) -> Quantiles:
    return stats.recent.decision_ms


def _add_quantiles(gauge: GaugeMetricFamily, labels: tuple[str, ...], milliseconds: Quantiles) -> None:
    if milliseconds.count:
        for quantile, field in _QUANTILES:
            gauge.add_metric((*labels, quantile), getattr(milliseconds, field) / 1000)

"""Totals: sums of deltas, the same whether added in one process or across restarts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelserving.statistics.sketch import Sketch
from modelserving.statistics.totals import Totals, at_rest
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import StatsDelta, StatsState

NOW_MS = 1_700_000_000_000
MODEL = ModelDescriptor(name="m", version="1", sha256="ab", description="of a test", modeltype=ModelType.PMML)


def delta(served: int = 10, score_us: int = 1000, latency_ms: int = 20, at_ms: int = NOW_MS) -> StatsDelta:
    return StatsDelta(
        data_type="wine",
        model=MODEL,
        served=served,
        score_us=score_us,
        first_ms=at_ms,
        last_ms=at_ms,
        latencies_ms=[latency_ms],
        latency_counts=[served],
    )


def test_sums() -> None:
    totals = Totals()
    failed = StatsDelta(data_type="wine", model=MODEL, rejected={Reason.MODEL_FAILED: 2, Reason.NO_MODEL: 1})
    totals.add([delta(10, 1000, 20), delta(30, 6000, 50, NOW_MS + 5), failed], 1.0, NOW_MS + 100)
    stats = totals.stats
    assert (stats.name, stats.model_version, stats.description) == ("m", "1", "of a test")
    assert stats.modelType == ModelType.PMML
    assert (stats.served, stats.usage, stats.errors) == (40, 40, 2)
    assert dict(stats.rejected) == {"MODEL_FAILED": 2, "NO_MODEL": 1}
    assert (stats.duration, stats.min, stats.max) == (7000, 100, 200)
    assert (stats.since, stats.last_served_ms, stats.updated_ms) == (NOW_MS, NOW_MS + 5, NOW_MS + 100)
    assert (stats.latency_ms.count, stats.latency_ms.min, stats.latency_ms.p50, stats.latency_ms.max) == (
        40,
        20,
        50,
        50,
    )
    assert (stats.score_time_us.min, stats.score_time_us.max) == (100, 200)
    assert (stats.recent.served_per_s, stats.recent.rejected_per_s) == (40, 3)


def test_recent_is_of_the_last_second_alone() -> None:
    totals = Totals()
    totals.add([delta(10, latency_ms=5)], 1.0, NOW_MS)
    totals.add([delta(2, latency_ms=7)], 1.0, NOW_MS + 1000)
    assert (totals.stats.recent.served, totals.stats.recent.latency_ms.min) == (2, 7)
    assert totals.stats.served == 12
    assert not at_rest(totals.encode())
    totals.rest(2.5, NOW_MS + 4000)
    assert at_rest(totals.encode())
    assert (totals.stats.recent.served_per_s, totals.stats.served) == (0, 12)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 9999), st.integers(0, 500)), min_size=1, max_size=20))
def test_a_restart_after_each_addition_changes_nothing(batches: list[tuple[int, int, int]]) -> None:
    steady, restarted = Totals(), Totals()
    for served, score_us, latency_ms in batches:
        one = delta(served, score_us, latency_ms)
        steady.add([one], 1.0, NOW_MS)
        restarted = Totals(restarted.encode())
        restarted.add([one], 1.0, NOW_MS)
    assert restarted.stats.served == steady.stats.served == sum(batch[0] for batch in batches)
    for name in ("duration", "min", "max", "since"):
        assert getattr(restarted.stats, name) == getattr(steady.stats, name)
    assert restarted.stats.latency_ms.max == steady.stats.latency_ms.max == max(batch[2] for batch in batches)


def test_quantiles_are_close() -> None:
    values = np.random.default_rng(1).lognormal(3, 1, 100_000)
    parts = [Sketch() for _ in range(10)]
    for part, some in zip(parts, np.split(values, 10), strict=True):
        part.add(some.tolist(), [1] * len(some))
    whole = Sketch()
    for part in parts:
        whole.merge(Sketch(part.encode()))
    found = whole.quantiles()
    assert found.count == len(values)
    for name, rank in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)):
        seen = np.mean(values <= getattr(found, name))
        # The sketch is exact to a share of what is above the quantile, or a little of all.
        assert abs(seen - rank) < max(0.1 * (1 - rank), 0.001) + 0.01 * (rank < 0.95), name


def test_of_a_later_release() -> None:
    with pytest.raises(ValueError, match="later release"):
        Totals(StatsState(schema=99).SerializeToString())

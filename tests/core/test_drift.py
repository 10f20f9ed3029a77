"""Drift: told when the last minutes differ from the time right after a version began to serve, and not else."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from modelserving.statistics.drift import LEAST_RECORDS, MEANS, MOST_A_SECOND, REFERENCE_RECORDS, DriftMonitor, psi
from modelserving.wire.state_pb2 import DriftState, StatsDelta
from modelserving.wire.stats_pb2 import ServingStats

Draw = Callable[[np.random.Generator, int], NDArray[np.float32]]


class Watched:
    """A version whose records are drawn from one distribution, then another."""

    def __init__(self) -> None:
        self.state, self.stats = DriftState(), ServingStats()
        self.monitor = DriftMonitor(self.state)
        self.now_ms = 1_700_000_000_000
        self.random = np.random.default_rng(7)

    def second(self, features: Draw, score: Draw, labels: dict[str, int] | None = None) -> list[str]:
        """A second in which 100 records were drawn."""
        rows = np.column_stack([score(self.random, 100), features(self.random, 100)]).astype("<f4")
        delta = StatsDelta(served=100, features=["x"], sample=rows.tobytes(), labels=labels or {})
        self.now_ms += 1000
        return self.monitor.add([delta], self.stats, self.now_ms)

    def seconds(self, number: int, features: Draw, score: Draw, labels: dict[str, int] | None = None) -> list[str]:
        return [news for _ in range(number) for news in self.second(features, score, labels)]

    def restart(self) -> None:
        self.state = DriftState.FromString(self.state.SerializeToString())
        self.stats = ServingStats.FromString(self.stats.SerializeToString())
        self.monitor = DriftMonitor(self.state)


def normal(mean: float) -> Draw:
    return lambda random, count: random.normal(mean, 1.0, count).astype(np.float32)


def nothing(_: np.random.Generator, count: int) -> NDArray[np.float32]:
    return np.full(count, np.nan, np.float32)


REFERENCE_S = REFERENCE_RECORDS // MOST_A_SECOND


def test_the_library_is_not_loaded_before_there_is_a_reference() -> None:
    script = """
import sys
from tests.core.test_drift import Watched, normal
watched = Watched()
watched.seconds(3, normal(0), normal(5))
assert watched.stats.drift.reference_records and "river" not in sys.modules
watched.seconds(60, normal(0), normal(5))
assert "river" in sys.modules
"""
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", script], cwd=root, check=True, timeout=60)


def test_the_same_is_no_drift() -> None:
    watched = Watched()
    assert watched.seconds(REFERENCE_S + 120, normal(0), normal(5)) == []
    drift = watched.stats.drift
    assert (drift.reference_records, drift.drifted, drift.changed_ms) == (REFERENCE_RECORDS, False, 0)
    assert drift.current_records >= LEAST_RECORDS
    assert drift.score_psi < 0.1
    assert drift.feature_psi["x"] < 0.1


def test_a_feature_that_shifts_is_named_once_and_so_is_its_return() -> None:
    watched = Watched()
    watched.seconds(REFERENCE_S, normal(0), normal(5))
    (news,) = watched.seconds(60, normal(3), normal(5))
    assert news.startswith("x has shifted")
    assert watched.stats.drift.drifted
    assert watched.stats.drift.feature_psi["x"] > 0.25 > watched.stats.drift.score_psi
    news = watched.seconds(400, normal(0), normal(5))[-1]
    assert news.startswith("as at the beginning again")
    assert not watched.stats.drift.drifted


def test_scores_that_jump_are_noticed_by_the_detector() -> None:
    watched = Watched()
    watched.seconds(REFERENCE_S + 60, normal(0), normal(5))
    news = watched.seconds(60, normal(0), normal(8))
    assert any("mean" in one for one in news)
    assert any(one.startswith("the score has shifted") for one in news)
    assert watched.stats.drift.changed_ms > 0


def test_labels() -> None:
    watched = Watched()
    assert watched.seconds(REFERENCE_S + 30, normal(0), nothing, {"a": 90, "b": 10}) == []
    news = watched.seconds(60, normal(0), nothing, {"a": 10, "b": 85, "new": 5})
    assert any(one.startswith("the score has shifted") for one in news)
    assert any("mean" in one for one in news)


def mostly(value: float, share: float, other: float) -> Draw:
    """One value, and another one for a share of the records."""
    return lambda random, count: np.where(random.random(count) < share, other, value).astype(np.float32)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (mostly(0, 0.05, 1), mostly(0, 0.95, 1)),
        (mostly(0, 0, 0), mostly(7, 0, 0)),
        (mostly(0, 0.08, 3), mostly(0, 0.6, 300)),
        (normal(0), nothing),
        # As `deltas` draws them: each category has a place, by its hash.
        (mostly(0.735, 0.3, 0.12), mostly(0.735, 0.3, 0.4)),
    ],
    ids=["rare becomes usual", "another constant", "more that is not 0", "no numbers any more", "another category"],
)
def test_shifts_of_features_that_are_mostly_one_value(before: Draw, after: Draw) -> None:
    watched = Watched()
    assert watched.seconds(REFERENCE_S + 60, before, normal(5)) == []
    (news,) = watched.seconds(60, after, normal(5))
    assert news.startswith("x has shifted")


def test_what_was_found_is_forgotten_when_too_few_records_come_to_compare() -> None:
    watched = Watched()
    watched.seconds(REFERENCE_S, normal(0), normal(5))
    watched.seconds(60, normal(3), normal(5))
    assert watched.stats.drift.drifted
    watched.now_ms += 10 * 60_000
    assert watched.second(normal(3), normal(5)) == []
    drift = watched.stats.drift
    assert (drift.current_records, drift.drifted, drift.score_psi, dict(drift.feature_psi)) == (100, False, 0.0, {})


def test_small_scores_that_change_are_noticed_late_and_after_restarts() -> None:
    def small(mean: float) -> Draw:
        return lambda random, count: random.normal(mean, 0.001, count).astype(np.float32)

    watched = Watched()
    for _ in range(REFERENCE_S + MEANS + 50):
        assert watched.second(normal(0), small(0.004)) == []
    watched.restart()
    found = watched.seconds(30, normal(0), small(0.006))
    assert sum("mean" in news for news in found) == 1
    watched.restart()
    assert not any("mean" in news for news in watched.seconds(30, normal(0), small(0.006)))


def test_goes_on_after_a_restart() -> None:
    steady, restarted = Watched(), Watched()
    for number in range(REFERENCE_S + 20):
        mean = 0 if number < REFERENCE_S + 5 else 3
        assert steady.second(normal(mean), normal(5)) == restarted.second(normal(mean), normal(5))
        restarted.restart()
    assert restarted.stats.drift == steady.stats.drift
    assert steady.stats.drift.drifted


def test_shown_scores_are_counted() -> None:
    watched = Watched()
    watched.seconds(REFERENCE_S + 10, normal(0), normal(5))
    assert sum(watched.stats.scores.counts) == REFERENCE_RECORDS + 1000
    assert len(watched.stats.scores.counts) == len(watched.stats.scores.edges) + 1


def test_a_constant_score() -> None:
    watched = Watched()
    fixed: Draw = lambda _, count: np.full(count, 4.0, np.float32)  # noqa: E731
    assert watched.seconds(REFERENCE_S + 30, normal(0), fixed) == []
    assert sum(watched.stats.scores.counts) == REFERENCE_RECORDS + 3000


def test_features_configured_anew_begin_a_new_reference() -> None:
    watched = Watched()
    watched.seconds(REFERENCE_S + 5, normal(0), normal(5))
    rows = np.zeros((10, 3), "<f4")
    watched.monitor.add([StatsDelta(features=["x", "y"], sample=rows.tobytes())], watched.stats, watched.now_ms)
    assert watched.stats.drift.reference_records == 10
    assert not watched.stats.scores.edges
    assert not watched.stats.scores.counts


@pytest.mark.parametrize(
    ("reference", "current", "expected"),
    [
        ([10, 10], [10, 10], 0.0),
        ([0, 0], [1, 2], 0.0),
        ([100, 100], [150, 50], 50 / 201 * math.log(150.5 / 50.5)),
    ],
)
def test_psi(reference: list[int], current: list[int], expected: float) -> None:
    assert psi(reference, current) == pytest.approx(expected)
    assert psi(Counter(dict(enumerate(reference))).values(), current) == pytest.approx(expected)

"""Drift: are the records and scores of the last minutes like those from when the version began to serve?

Two answers: the population stability index (PSI) of the score and of each feature, over bins that hold a tenth of the
reference each (a text is where its hash puts it); and ADWIN, a streaming detector of a change of mean, over the score's
mean of each second.

PSI: N. Siddiqi, Credit Risk Scorecards (2006), the sum over bins of (p - q) ln(p / q); by its rule of thumb, below 0.1
nothing has shifted, above 0.25 much has. ADWIN: A. Bifet, R. Gavalda, Learning from Time-Changing Data with Adaptive
Windowing (2007), as `river` has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelserving.wire.state_pb2 import Bins, DriftState, StatsDelta
from modelserving.wire.stats_pb2 import ServingStats

REFERENCE_RECORDS = 1000
"""Drawn, from the version's first on."""
MOST_A_SECOND = 50
"""Of them: a stream varies over seconds, so one second is no reference."""
LEAST_RECORDS = 300
"""Drawn in the last minutes, before they are compared: PSI of fewer is mostly chance."""
MINUTES = 5
SHIFTED, SETTLED = 0.25, 0.1
"""Above the first it has drifted, until it is below the second."""
BINS = 10
SHOWN_BINS = 20
MEANS = 300
"""Seconds that the streaming detector remembers after a restart."""


class DriftMonitor:
    """Watches one data type and model version.

    Args:
        state: what is checkpointed; changed in place.
    """

    def __init__(self, state: DriftState) -> None:
        self.state = state
        self._detector: Any = None  # made where it is needed first

    def add(self, deltas: Sequence[StatsDelta], stats: ServingStats, now_ms: int) -> list[str]:
        """Take in what about a second brought; `stats.drift` and `stats.scores` are brought up to date.

        Returns:
            What there is to tell somebody, in words.
        """
        features = next((list(delta.features) for delta in deltas if delta.features), [])
        labels: Counter[str] = Counter()
        for delta in deltas:
            labels.update(delta.labels)
        if not any(delta.sample for delta in deltas):
            return []
        if features != list(self.state.features):  # the data type was configured anew
            self.state.Clear()
            self.state.features.extend(features)
            stats.drift.Clear()
            stats.scores.ClearField("edges")
            stats.scores.ClearField("counts")
            self._detector = None
        width = 1 + len(features)
        rows = np.concatenate([np.frombuffer(d.sample, "<f4").reshape(-1, width) for d in deltas if d.sample])
        if self.state.reference:
            self._count(rows, labels, now_ms)
            _count_shown(rows[:, 0], stats)
        else:
            self._collect(rows, labels, stats)
        news = self._compare(stats)
        if self._changed(rows[:, 0], labels):
            stats.drift.changed_ms = now_ms
            news.append("the mean of the scores has changed")
        return news

    def _collect(self, rows: NDArray[np.float32], labels: Counter[str], stats: ServingStats) -> None:
        """Add to the reference; once there is enough, it becomes bins."""
        state = self.state
        few = rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_A_SECOND)).astype(np.int64)]
        state.reference_sample += few.tobytes()
        for label, count in labels.items():
            state.reference_labels[label] += count
        collected = np.frombuffer(state.reference_sample, "<f4").reshape(-1, rows.shape[1])
        stats.drift.reference_records = len(collected)
        if len(collected) < REFERENCE_RECORDS:
            return
        state.reference.extend(_tenths(column) for column in collected.T)
        state.reference_sample = b""
        numbers = _finite(collected[:, 0])
        if numbers.size:
            state.center, state.spread = float(numbers.mean()), float(numbers.std())
            low, high = np.quantile(numbers, [0.005, 0.995])
            stats.scores.edges[:] = np.linspace(low, high, SHOWN_BINS).tolist() if high > low else [float(low)]
            _count_shown(numbers, stats)

    def _count(self, rows: NDArray[np.float32], labels: Counter[str], now_ms: int) -> None:
        """Add to the present minute; forget those that are too long ago."""
        minute, minutes = now_ms // 60_000, self.state.minutes
        while minutes and minutes[0].minute <= minute - MINUTES:
            del minutes[0]
        if not minutes or minutes[-1].minute != minute:
            minutes.add(minute=minute, counts=[0] * sum(len(bins.counts) for bins in self.state.reference))
        present = minutes[-1]
        present.records += len(rows)
        counts = [_binned(column, bins.edges) for column, bins in zip(rows.T, self.state.reference, strict=True)]
        present.counts[:] = (np.asarray(present.counts) + np.concatenate(counts)).tolist()
        for label, count in labels.items():
            present.labels[label] += count

    def _compare(self, stats: ServingStats) -> list[str]:
        """Compute the indices; tell if the verdict has changed."""
        drift, state = stats.drift, self.state
        drift.current_records = sum(minute.records for minute in state.minutes)
        if drift.current_records < LEAST_RECORDS:
            if drift.current_records < LEAST_RECORDS // 2:
                # What was found of earlier records says nothing of these.
                drift.score_psi, drift.drifted = 0.0, False
                drift.feature_psi.clear()
            return []
        current = np.sum([minute.counts for minute in state.minutes], axis=0)
        ends = np.cumsum([len(bins.counts) for bins in state.reference])[:-1]
        parts = np.split(current, ends)
        found = [psi(bins.counts, part) for bins, part in zip(state.reference, parts, strict=True)]
        drift.score_psi = self._labels_psi() if state.reference_labels else found[0]
        drift.feature_psi.clear()
        drift.feature_psi.update(zip(state.features, found[1:], strict=True))
        name, worst = max([("the score", drift.score_psi), *drift.feature_psi.items()], key=lambda each: each[1])
        if not drift.drifted and worst > SHIFTED:
            drift.drifted = True
            return [f"{name} has shifted: PSI {worst:.2f}, above {SHIFTED}"]
        if drift.drifted and worst < SETTLED:
            drift.drifted = False
            return [f"as at the beginning again: PSI at most {worst:.2f}, below {SETTLED}"]
        return []

    def _labels_psi(self) -> float:
        reference = self.state.reference_labels
        current: Counter[str] = Counter()
        for minute in self.state.minutes:
            current.update(minute.labels)
        names = sorted({*reference, *current})
        return psi([reference.get(name, 0) for name in names], [current[name] for name in names])

    def _changed(self, scores: NDArray[np.float32], labels: Counter[str]) -> bool:
        """Show the detector this second's mean: of the numbers, in the reference's standard deviations from its mean;
        or the share of the reference's most common label."""
        state, numbers = self.state, _finite(scores)
        if not state.reference:
            return False
        if numbers.size:
            mean = (float(numbers.mean()) - state.center) / (state.spread or 1.0)
        elif labels and state.reference_labels:
            most = max(sorted(state.reference_labels), key=lambda name: state.reference_labels[name])
            mean = labels[most] / labels.total()
        else:
            return False
        if self._detector is None:
            self._detector = _detector(state.means)
        state.means.append(mean)
        del state.means[:-MEANS]
        self._detector.update(mean)
        if not self._detector.drift_detected:
            return False
        # From here on it is the new mean that must not change, also after a restart.
        del state.means[:]
        self._detector = None
        return True


def _detector(means: Iterable[float]) -> Any:
    """A detector that has seen these means."""
    from river.drift import ADWIN  # noqa: PLC0415 - brings SciPy along, 80 MB

    detector = ADWIN(clock=1)
    for mean in means:
        detector.update(mean)
    return detector


def psi(reference: Iterable[int], current: Iterable[int]) -> float:
    """Population stability index of two counts over the same bins; half a record more in each, so that none is empty.

    0 where one of them has nothing.
    """
    p, q = (np.array(list(counts), float) for counts in (reference, current))
    if not p.sum() or not q.sum():
        return 0.0
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (p, q))
    return float(np.sum((q - p) * np.log(q / p)))


def _tenths(column: NDArray[np.float32]) -> Bins:
    """Bins that hold a tenth of the column each. A number that fills more than one has a bin to itself: else a column
    that is mostly 0 could change in all else unseen."""
    numbers = _finite(column)
    edges: set[float] = set()
    if numbers.size:
        quantiles = np.quantile(numbers, np.arange(1, BINS) / BINS, method="nearest")
        found, times = np.unique(quantiles, return_counts=True)
        alone = (times > 1) | (found == numbers.min()) | (found == numbers.max())
        edges = {*found.tolist(), *np.nextafter(found[alone], np.float32(np.inf)).tolist()}
    ordered = sorted(edges)
    return Bins(edges=ordered, counts=_binned(column, ordered).tolist())


def _binned(column: NDArray[np.float32], edges: Sequence[float]) -> NDArray[np.int64]:
    """How many are below, between and from the edges on; and how many are no numbers."""
    return np.append(_histogram(column, edges), len(column) - len(_finite(column)))


def _histogram(numbers: NDArray[np.float32], edges: Sequence[float]) -> NDArray[np.int64]:
    """How many are below, between and from the edges on."""
    bins = np.searchsorted(np.asarray(edges), _finite(numbers), side="right")
    return np.bincount(bins, minlength=len(edges) + 1)


def _count_shown(numbers: NDArray[np.float32], stats: ServingStats) -> None:
    if stats.scores.edges:
        before = np.asarray(stats.scores.counts or [0] * (len(stats.scores.edges) + 1))
        stats.scores.counts[:] = (before + _histogram(numbers, stats.scores.edges)).tolist()


def _finite(numbers: NDArray[np.float32]) -> NDArray[np.float32]:
    finite: NDArray[np.float32] = numbers[np.isfinite(numbers)]
    return finite

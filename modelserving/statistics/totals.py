"""Totals of a data type and model version: deltas are added up, and give the message that tells them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from modelserving.events import model_event
from modelserving.statistics.drift import DriftMonitor
from modelserving.statistics.sketch import Sketch
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import EventKind, ModelEvent, Reason
from modelserving.wire.state_pb2 import StatsDelta, StatsState
from modelserving.wire.stats_pb2 import Recent, ServingStats

SCHEMA = 1
INSTANCE = "statistics"
"""The instance that events of drift name."""


class Totals:
    """What has been counted of one data type and model version.

    Args:
        encoded: what `encode` gave; empty at the beginning.
    """

    def __init__(self, encoded: bytes = b"") -> None:
        state = StatsState.FromString(encoded)
        if state.schema > SCHEMA:
            raise ValueError(f"statistics of schema {state.schema} were written by a later release than this")
        self.stats: ServingStats = state.totals
        """The totals, as they are told."""
        self._score_times = Sketch(state.totals.score_time_sketch)
        self._latencies = Sketch(state.totals.latency_sketch)
        self._drift = DriftMonitor(state.drift)

    def add(self, deltas: Sequence[StatsDelta], seconds: float, now_ms: int) -> list[ModelEvent]:
        """Add deltas of the same data type and model version.

        Args:
            deltas: at least one.
            seconds: in which they came about.
            now_ms: epoch milliseconds.

        Returns:
            Events of drift.
        """
        stats = self.stats
        self._name(deltas[0])
        score_times, latencies = Sketch(), Sketch()
        for delta in deltas:
            self._add(delta)
            if delta.served:
                score_times.add([delta.score_us / delta.served], [delta.served])
                latencies.add(delta.latencies_ms, delta.latency_counts)
        served = sum(delta.served for delta in deltas)
        rejected = sum(chain.from_iterable(delta.rejected.values() for delta in deltas))
        stats.recent.CopyFrom(
            Recent(
                seconds=seconds,
                served=served,
                rejected=rejected,
                served_per_s=served / seconds,
                rejected_per_s=rejected / seconds,
                score_time_us=score_times.quantiles(),
                latency_ms=latencies.quantiles(),
            )
        )
        self._merge(score_times, latencies)
        stats.updated_ms = now_ms
        return [self._event(news, now_ms) for news in self._drift.add(deltas, stats, now_ms)]

    def rest(self, seconds: float, now_ms: int) -> None:
        """Nothing came for so long."""
        self.stats.recent.CopyFrom(Recent(seconds=seconds))
        self.stats.updated_ms = now_ms

    def absorb(self, other: Totals, now_ms: int) -> None:
        """Add what another one counted in all; what it tells of the present, of distributions and drift is left out."""
        stats, more = self.stats, other.stats
        for reason, count in more.rejected.items():
            stats.rejected[reason] += count
        stats.errors += more.errors
        stats.updated_ms = now_ms
        if more.served:
            stats.min = min(stats.min, more.min) if stats.served else more.min
            stats.max = max(stats.max, more.max)
            stats.duration += more.duration
            stats.served += more.served
            stats.usage = stats.served
            stats.since = min(stats.since or more.since, more.since)
            stats.last_served_ms = max(stats.last_served_ms, more.last_served_ms)
            self._merge(other._score_times, other._latencies)

    def encode(self) -> bytes:
        """All that is needed to go on."""
        return StatsState(schema=SCHEMA, totals=self.stats, drift=self._drift.state).SerializeToString()

    def _merge(self, score_times: Sketch, latencies: Sketch) -> None:
        stats = self.stats
        self._score_times.merge(score_times)
        self._latencies.merge(latencies)
        stats.score_time_us.CopyFrom(self._score_times.quantiles())
        stats.latency_ms.CopyFrom(self._latencies.quantiles())
        stats.score_time_sketch = self._score_times.encode()
        stats.latency_sketch = self._latencies.encode()

    def _name(self, delta: StatsDelta) -> None:
        stats, model = self.stats, delta.model
        stats.data_type = delta.data_type
        stats.name, stats.model_version, stats.model_sha256 = model.name, model.version, model.sha256
        stats.description = model.description
        if delta.HasField("model") and not delta.votes:
            stats.modelType = model.modeltype

    def _add(self, delta: StatsDelta) -> None:
        stats = self.stats
        for number, count in delta.rejected.items():
            reason = Reason.Name(number)
            stats.rejected[reason] += count
            if number == Reason.MODEL_FAILED:
                stats.errors += count
        stats.errors += delta.errors
        if not delta.served:
            return
        share = round(delta.score_us / delta.served)
        stats.min = min(stats.min, share) if stats.served else share
        stats.max = max(stats.max, share)
        stats.duration += delta.score_us
        stats.served += delta.served
        stats.usage = stats.served
        stats.since = min(stats.since or delta.first_ms, delta.first_ms)
        stats.last_served_ms = max(stats.last_served_ms, delta.last_ms)
        for label, count in delta.labels.items():
            stats.scores.labels[label] += count

    def _event(self, detail: str, now_ms: int) -> ModelEvent:
        stats = self.stats
        model = ModelDescriptor(
            dataType=stats.data_type, name=stats.name, version=stats.model_version, sha256=stats.model_sha256
        )
        return model_event(EventKind.DRIFT, model, at_ms=now_ms, instance=INSTANCE, detail=detail)


def at_rest(encoded: bytes) -> bool:
    """Whether nothing came lately, of what `Totals.encode` gave."""
    recent = StatsState.FromString(encoded).totals.recent
    return not (recent.served or recent.rejected)


def told_ms(encoded: bytes) -> int:
    """When they changed last, epoch milliseconds, of what `Totals.encode` gave."""
    return StatsState.FromString(encoded).totals.updated_ms

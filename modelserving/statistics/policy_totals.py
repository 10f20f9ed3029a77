"""Totals of a data type's policy: deltas are added up, and give the message that tells them."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field

from modelserving.statistics.sketch import Sketch
from modelserving.wire.serving_pb2 import ModelEvent
from modelserving.wire.speculative_pb2 import VoteState, Why
from modelserving.wire.state_pb2 import PolicyDelta, PolicyModelDelta, PolicyState, StatsDelta
from modelserving.wire.stats_pb2 import ModelAgreement, PolicyModel, PolicyStats, RecentDecisions

SCHEMA = 1
MOST_MODELS = 64
"""That are told of: twice as many as a policy may name. Of those that it no longer names the ones leave that were asked
longest ago."""


@dataclass(slots=True)
class _Model:
    """What has been counted of one model."""

    told: PolicyModel
    taken: Sketch = field(default_factory=Sketch)


class PolicyTotals:
    """What has been counted of the decisions of one data type.

    Args:
        encoded: what `encode` gave; empty at the beginning.
    """

    def __init__(self, encoded: bytes = b"") -> None:
        state = PolicyState.FromString(encoded)
        if state.schema > SCHEMA:
            raise ValueError(f"statistics of schema {state.schema} were written by a later release than this")
        self.stats: PolicyStats = state.totals
        """The totals, as they are told."""
        self._decisions = Sketch(state.totals.decision_sketch)
        self._late = Sketch(state.totals.late_sketch)
        self._models = {each.model: _Model(deepcopy(each), Sketch(each.taken_sketch)) for each in state.totals.models}
        self._agreement = {(each.first, each.second): [each.compared, each.agreed] for each in state.totals.agreement}

    def add(self, deltas: Sequence[StatsDelta], seconds: float, now_ms: int) -> list[ModelEvent]:
        """Add deltas of the same data type.

        Args:
            deltas: at least one; each with `policy`.
            seconds: in which they came about.
            now_ms: epoch milliseconds.

        Returns:
            No events.
        """
        stats = self.stats
        stats.data_type = deltas[0].data_type
        recent = RecentDecisions(seconds=seconds)
        decisions, late = Sketch(), Sketch()
        for delta in (each.policy for each in deltas):
            self._add_decided(delta, recent, decisions, late)
            for model in delta.models:
                self._add_model(model, delta.decided_ms, recent)
            for pair in delta.agreement:
                counts = self._agreement.setdefault((pair.first, pair.second), [0, 0])
                counts[0] += pair.compared
                counts[1] += pair.agreed
        recent.decided_per_s = recent.decided / seconds
        recent.decision_ms.CopyFrom(decisions.quantiles())
        stats.recent.CopyFrom(recent)
        self._decisions.merge(decisions)
        self._late.merge(late)
        stats.decision_ms.CopyFrom(self._decisions.quantiles())
        stats.late_ms.CopyFrom(self._late.quantiles())
        stats.decision_sketch, stats.late_sketch = self._decisions.encode(), self._late.encode()
        self._tell_models()
        stats.updated_ms = now_ms
        return []

    def rest(self, seconds: float, now_ms: int) -> None:
        """Nothing came for so long."""
        self.stats.recent.CopyFrom(RecentDecisions(seconds=seconds))
        self.stats.updated_ms = now_ms

    def encode(self) -> bytes:
        """All that is needed to go on."""
        return PolicyState(schema=SCHEMA, totals=self.stats).SerializeToString()

    def _add_decided(self, delta: PolicyDelta, recent: RecentDecisions, decisions: Sketch, late: Sketch) -> None:
        """Add what was decided, to the recent part as well."""
        decided = sum(delta.why.values())
        if not decided:
            return
        stats = self.stats
        for number, count in delta.why.items():
            name = Why.Name(number)
            stats.why[name] += count
            recent.why[name] += count
        stats.decided += decided
        recent.decided += decided
        stats.at_deadline += delta.at_deadline
        recent.at_deadline += delta.at_deadline
        decisions.add([delta.decision_us / 1000], [decided])
        if delta.late_us:
            stats.late += decided
            recent.late += decided
            late.add([delta.late_us / 1000], [decided])
        stats.since = min(stats.since or delta.decided_ms, delta.decided_ms)
        # Instances, and requests that are still under way, have the policy of then.
        if delta.decided_ms >= stats.last_decided_ms:
            stats.last_decided_ms = delta.decided_ms
            stats.terms.CopyFrom(delta.terms)

    def _add_model(self, delta: PolicyModelDelta, decided_ms: int, recent: RecentDecisions) -> None:
        if delta.model not in self._models:
            self._models[delta.model] = _Model(PolicyModel(model=delta.model))
        model = self._models[delta.model]
        told = model.told
        told.asked += delta.asked
        told.shadow += delta.shadow
        told.counted += delta.counted
        if delta.counted:
            recent.counted[delta.model] += delta.counted
        told.last_asked_ms = max(told.last_asked_ms, decided_ms)
        for number, count in delta.votes.items():
            if number != VoteState.ANSWERED:
                told.missing[VoteState.Name(number)] += count
                continue
            told.answered += count
            if delta.late:
                told.late += count
                recent.late_answers[delta.model] += count
        model.taken.add([taken_us / 1000 for taken_us in delta.taken_us], delta.taken_counts)

    def _tell_models(self) -> None:
        """Bring the models and their agreement up to date; forget those that the policy has not named for longest."""
        stats = self.stats
        named = [*stats.terms.models, *stats.terms.challengers]
        earlier = [each for each in self._models.values() if each.told.model not in named]
        earlier.sort(key=lambda each: each.told.last_asked_ms, reverse=True)
        kept = [self._models[name] for name in named if name in self._models]
        kept += earlier[: max(0, MOST_MODELS - len(kept))]
        self._models = {each.told.model: each for each in kept}
        for each in kept:
            each.told.taken_ms.CopyFrom(each.taken.quantiles())
            each.told.taken_sketch = each.taken.encode()
        del stats.models[:]
        stats.models.extend(each.told for each in kept)
        self._agreement = {pair: counts for pair, counts in self._agreement.items() if self._models.keys() >= {*pair}}
        del stats.agreement[:]
        stats.agreement.extend(
            ModelAgreement(first=first, second=second, compared=compared, agreed=agreed)
            for (first, second), (compared, agreed) in sorted(self._agreement.items())
        )


def at_rest(encoded: bytes) -> bool:
    """Whether nothing came lately, of what `PolicyTotals.encode` gave."""
    recent = PolicyState.FromString(encoded).totals.recent
    return not (recent.decided or recent.late_answers)

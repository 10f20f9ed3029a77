"""The tally: what a step of deciding, and votes that came after it, add to the statistics.

Each vote is counted once: with the decision of its record if it was in by then, else when it comes. Each pair of models
is compared on a record as soon as both answers are in. So deltas add up to the same whatever came when.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from modelserving.outgoing import Outgoing
from modelserving.servable import ModelVersion
from modelserving.speculative.agreement import compare, matrix
from modelserving.speculative.ballot import NOT_ASKED
from modelserving.speculative.deciding import Decided
from modelserving.speculative.policy import Policy
from modelserving.speculative.request import Request
from modelserving.statistics import deltas
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.speculative_pb2 import VoteState
from modelserving.wire.state_pb2 import PolicyDelta, PolicyModelDelta, StatsDelta
from modelserving.wire.stats_pb2 import ModelAgreement, PolicyTerms


def decided_deltas(request: Request, decided: Decided) -> Outgoing:
    """What was decided just now, for the aggregator of statistics; to be asked before more votes are taken in.

    Args:
        decided: what `Request.decide` gave; of no record, it adds nothing.
    """
    rows = decided.rows
    if not len(rows):
        return deltas.outgoing(())
    ballot, policy = request.ballot, request.policy
    decided_us = int(request.decided_us[rows[0]])
    models = np.flatnonzero(ballot.asked[:, rows].any(axis=1)).tolist()
    compared, agreed = matrix(ballot, rows, policy.tolerance)
    delta = PolicyDelta(
        terms=_terms(policy),
        why=_counts(decided.why),
        at_deadline=int(decided.at_deadline.sum()),
        decided_ms=decided_us // 1000,
        decision_us=max(0, decided_us - request.received_us),
        late_us=max(0, decided_us - request.deadline_us),
        models=[_asked(request, model, decided) for model in models],
        agreement=[
            _agreement(ballot.models[first], ballot.models[second], compared[first, second], agreed[first, second])
            for first, second in zip(*np.nonzero(np.triu(compared, 1)), strict=True)
        ],
    )
    return _outgoing(request, delta, models, rows)


def late_deltas(request: Request, model: str, rows: NDArray[np.int64]) -> Outgoing:
    """Votes that came after the decision, for the aggregator of statistics; to be asked before more are taken in.

    Args:
        model: whose votes they are.
        rows: n, those that `Request.add` gave; of none, it adds nothing.
    """
    if not len(rows):
        return deltas.outgoing(())
    ballot = request.ballot
    number = ballot.models.index(model)
    compared, agreed = compare(
        (ballot.numbers[number, rows], ballot.numbers[:, rows]),
        (ballot.labels[number, rows], ballot.labels[:, rows]),
        request.policy.tolerance,
    )
    compared[number] = False
    both, same = compared.sum(axis=1), (compared & agreed).sum(axis=1)
    delta = PolicyDelta(
        models=[_votes(request, number, rows, late=True)],
        agreement=[_agreement(model, ballot.models[other], both[other], same[other]) for other in np.flatnonzero(both)],
    )
    return _outgoing(request, delta, [number], rows)


def _outgoing(request: Request, delta: PolicyDelta, models: list[int], rows: NDArray[np.int64]) -> Outgoing:
    of_policy = StatsDelta(schema=deltas.SCHEMA, data_type=request.policy.data_type, policy=delta)
    of_versions = (each for model in models for each in _of_versions(request, model, rows))
    return deltas.outgoing((of_policy, *of_versions))


def _terms(policy: Policy) -> PolicyTerms:
    return PolicyTerms(
        rule=policy.rule,
        quorum=policy.needed if policy.is_voted else 0,
        decider=policy.decider,
        timeout_ms=policy.timeout_ms,
        models=policy.models,
        challengers=policy.challengers,
        shadow=policy.shadow,
        canary=policy.canary,
    )


def _asked(request: Request, model: int, decided: Decided) -> PolicyModelDelta:
    """A model's part in what was decided."""
    ballot, rows = request.ballot, decided.rows
    asked = ballot.asked[model, rows]
    delta = _votes(request, model, rows)
    delta.asked = int(asked.sum())
    delta.shadow = int((asked & ~ballot.voting[model, rows]).sum())
    delta.counted = int(decided.counted[model].sum())
    return delta


def _votes(request: Request, model: int, rows: NDArray[np.int64], late: bool = False) -> PolicyModelDelta:
    """The votes of a model on these rows that are in."""
    ballot = request.ballot
    states = ballot.states[model, rows]
    parts = _counts(ballot.part[model, rows[states == VoteState.ANSWERED]])
    return PolicyModelDelta(
        model=ballot.models[model],
        votes=_counts(states[(states != NOT_ASKED) & (states != VoteState.OUTSTANDING)]),
        late=late,
        taken_us=[ballot.votes[part].taken_us for part in parts],
        taken_counts=list(parts.values()),
    )


def _of_versions(request: Request, model: int, rows: NDArray[np.int64]) -> Iterator[StatsDelta]:
    """For each version of a model that voted on these rows, what adds to its totals."""
    ballot = request.ballot
    states, part_of = ballot.states[model, rows], ballot.part[model, rows]
    answered, failed = states == VoteState.ANSWERED, states == VoteState.FAILED
    parts: dict[ModelVersion, list[int]] = defaultdict(list)
    for part in _counts(part_of[answered | failed]):
        parts[ballot.votes[part].version or ModelVersion(ballot.models[model], "", "")].append(part)
    for version, of_version in parts.items():
        mine = np.isin(part_of, of_version) if len(parts) > 1 else part_of >= 0
        voted = rows[answered & mine]
        delta = StatsDelta(
            schema=deltas.SCHEMA,
            data_type=request.policy.data_type,
            model=ModelDescriptor(name=version.name, version=version.version, sha256=version.sha256),
            votes=True,
            served=len(voted),
            errors=int((failed & mine).sum()),
        )
        if len(voted):
            _add_answers(delta, request, model, voted)
        yield delta


def _add_answers(delta: StatsDelta, request: Request, model: int, rows: NDArray[np.int64]) -> None:
    """What is told of a version's answers to these rows: when, how long they took, and which they were."""
    ballot = request.ballot
    counts = _counts(ballot.part[model, rows])
    came_ms = [(request.received_us + ballot.votes[part].taken_us) // 1000 for part in counts]
    delta.first_ms, delta.last_ms = min(came_ms), max(came_ms)
    # Rows of one part may be counted at different times: each has its share of the work.
    shares = [ballot.votes[part].score_us * count / len(ballot.votes[part].rows) for part, count in counts.items()]
    delta.score_us = round(sum(shares))
    labels = ballot.labels[model, rows]
    for code, count in _counts(labels[labels >= 0]).items():
        delta.labels[ballot.label_names[code]] = count
    with np.errstate(over="ignore"):  # what no float32 can hold is infinite here, and in no bin
        delta.sample = ballot.numbers[model, rows[deltas.drawn(len(rows))]].astype("<f4").tobytes()


def _agreement(one: str, other: str, compared: np.int64, agreed: np.int64) -> ModelAgreement:
    first, second = sorted((one, other))
    return ModelAgreement(first=first, second=second, compared=int(compared), agreed=int(agreed))


def _counts(values: NDArray[np.int8] | NDArray[np.int32]) -> dict[int, int]:
    """Each value once, and how often it is there; of small ones, none below 0."""
    return {value: count for value, count in enumerate(np.bincount(values).tolist()) if count}

"""Deciding: the policy, or its own decider, applied to the votes that are in; for a batch, or for one record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from modelserving.speculative import rules
from modelserving.speculative.ballot import Ballot, Vote
from modelserving.speculative.deciders import Choice, Decider, ask, check_answer
from modelserving.speculative.policy import Answer, Policy
from modelserving.speculative.rules import UNDECIDED
from modelserving.speculative.votes import ModelVotes
from modelserving.wire.speculative_pb2 import VoteState, Why


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided on d records of a ballot at one time."""

    rows: NDArray[np.int64]
    """(d,) rows of the ballot, ascending."""
    why: NDArray[np.int8]
    """(d,) Why."""
    at_deadline: NDArray[np.bool_]
    """(d,) nothing was decided before the deadline."""
    numbers: NDArray[np.float64]
    """(d,) not a number: the answer is none."""
    labels: NDArray[np.int32]
    """(d,) index into the ballot's `label_names`; -1: the answer is none."""
    counted: NDArray[np.bool_]
    """(m, d) the answers that the decided one is, or is made of."""
    vectors: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    """Answers that are a vector, by index into `rows`."""
    details: Mapping[int, str] = field(default_factory=dict)
    """What one's own decider has to say, by index into `rows`."""

    def answer(self, ballot: Ballot, index: int) -> Answer | None:
        """The answer to `rows[index]`."""
        label, number = int(self.labels[index]), float(self.numbers[index])
        if label >= 0:
            return ballot.label_names[label]
        return self.vectors.get(index) if np.isnan(number) else number


def decide_rows(
    policy: Policy, ballot: Ballot, rows: NDArray[np.int64], at_deadline: bool, decider: Decider | None = None
) -> Decided:
    """Decide on those of `rows`, as yet undecided, on which the votes that are in suffice.

    Args:
        policy: what to decide by.
        ballot: with the models `policy.ballot_models`.
        rows: ascending.
        at_deadline: whether the deadline has passed: then all are decided.
        decider: what the policy's import path names, if it names one.
    """
    if decider is not None:
        return _by_decider(decider, policy, ballot, rows, at_deadline)
    sheet = rules.Sheet.of(policy, ballot, rows)
    verdicts = rules.decide(policy, sheet, at_deadline)
    decided = np.flatnonzero(verdicts.why != UNDECIDED)
    forced = np.zeros(len(rows), bool)
    if at_deadline:
        forced = rules.decide(policy, sheet, False).why == UNDECIDED
    why, counted = verdicts.why[decided], verdicts.counted[:, decided]
    first = counted.argmax(axis=0)
    has_answer = counted.any(axis=0)
    rows = rows[decided]
    averages = verdicts.averages[decided]
    numbers = np.where(has_answer, np.where(np.isnan(averages), ballot.numbers[first, rows], averages), np.nan)
    labels = np.where(has_answer, ballot.labels[first, rows], -1).astype(np.int32)
    _fill_in(policy, ballot, why == Why.DEFAULT, numbers, labels)
    bare = np.flatnonzero(has_answer & np.isnan(numbers) & (labels < 0)).tolist()
    vectors = {index: ballot.vector(int(first[index]), int(rows[index])) for index in bare}
    return Decided(rows, why, forced[decided], numbers, labels, counted, vectors)


def decide(policy: Policy, votes: Sequence[Vote], outstanding: Sequence[str], at_deadline: bool) -> Choice | None:
    """What the policy's rule decides on one record; None: nothing yet. It is itself a `Decider`.

    Raises:
        ValueError: a vote, or an outstanding one, is of a model that the policy does not name; or an answer is none.
    """
    models = policy.ballot_models
    asked = np.zeros((len(models), 1), bool)
    for name in (*(vote.model for vote in votes), *outstanding):
        if name not in models:
            raise ValueError(f"{name!r} is none of the policy's models, which are {', '.join(models)}")
        asked[models.index(name)] = True
    ballot = Ballot(models, asked, asked, policy.metric)
    for vote in votes:
        ballot.add(_votes_of(vote, policy.metric))
    decided = decide_rows(policy, ballot, np.zeros(1, np.int64), at_deadline)
    if not len(decided.rows):
        return None
    counted = tuple(name for name, counts in zip(models, decided.counted[:, 0], strict=True) if counts)
    why: Why = decided.why[0].item()
    return Choice(decided.answer(ballot, 0), counted, why=why)


def _votes_of(vote: Vote, metric: str) -> ModelVotes:
    row = np.zeros(1, np.int32)
    states = np.array([vote.state], np.int8)
    if vote.state != VoteState.ANSWERED:
        return ModelVotes(vote.model, row, states)
    answer = check_answer(vote.answer)
    label, vector = isinstance(answer, str), isinstance(answer, tuple)
    return ModelVotes(
        vote.model,
        row,
        states,
        numbers=None if label or vector else np.array([answer], np.float64),
        classes=(str(answer),) if label else (),
        label_index=row if label else None,
        outputs=np.array([answer], np.float64) if vector else None,
        confidence=None if vote.confidence is None else np.array([vote.confidence]),
        metrics={} if vote.quality is None else {metric: vote.quality},
    )


def _by_decider(
    decider: Decider, policy: Policy, ballot: Ballot, rows: NDArray[np.int64], at_deadline: bool
) -> Decided:
    kept: list[int] = []
    choices: list[Choice] = []
    forced: list[bool] = []
    for row in rows.tolist():
        asked = np.flatnonzero(ballot.voting[:, row]).tolist()
        arrived = [model for model in asked if ballot.states[model, row] != VoteState.OUTSTANDING]
        arrived.sort(key=lambda model: int(ballot.part[model, row]))
        outstanding = [ballot.models[model] for model in asked if model not in arrived]
        votes = [ballot.vote(model, row) for model in arrived]
        choice = ask(decider, policy, votes, outstanding, at_deadline)
        if choice is not None:
            kept.append(row)
            choices.append(choice)
            expired = any(vote.state in (VoteState.EXPIRED, VoteState.NOT_LOADED) for vote in votes)
            forced.append(at_deadline and (expired or bool(outstanding)))
    numbers, labels = np.full(len(kept), np.nan), np.full(len(kept), -1, np.int32)
    vectors: dict[int, tuple[float, ...]] = {}
    why = np.array([choice.why for choice in choices], np.int8)
    for index, choice in enumerate(choices):
        if isinstance(choice.answer, str):
            labels[index] = ballot.code(choice.answer)
        elif isinstance(choice.answer, tuple):
            vectors[index] = choice.answer
        elif choice.answer is not None:
            numbers[index] = choice.answer
    without = np.array([choice.answer is None for choice in choices], bool)
    why[without & (why == Why.OWN_DECIDER)] = Why.NO_ANSWER if policy.default is None else Why.DEFAULT
    _fill_in(policy, ballot, without, numbers, labels)
    counted = np.array([[name in choice.counted for choice in choices] for name in ballot.models], bool)
    details = {index: choice.detail for index, choice in enumerate(choices) if choice.detail}
    at = np.array(kept, np.int64)
    return Decided(at, why, np.array(forced, bool), numbers, labels, counted, vectors, details)


def _fill_in(
    policy: Policy, ballot: Ballot, where: NDArray[np.bool_], numbers: NDArray[np.float64], labels: NDArray[np.int32]
) -> None:
    """Put the default, if there is one, into the answers `where` there is no other."""
    if isinstance(policy.default, str):
        labels[where] = ballot.code(policy.default)
    elif policy.default is not None:
        numbers[where] = policy.default

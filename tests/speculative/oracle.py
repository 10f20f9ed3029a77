"""What a policy must decide on one record, found the slow way: by trying all groups, and all that could still come."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from modelserving.speculative.ballot import Vote
from modelserving.speculative.policy import Answer, Policy
from modelserving.wire.speculative_pb2 import Average, QualityBy, Rule, VoteState, Why


@dataclass(frozen=True)
class Expected:
    """A decision."""

    why: Why
    answer: Answer | None
    counted: frozenset[str]


def expected(
    policy: Policy, votes: Mapping[str, Vote], outstanding: Sequence[str], at_deadline: bool
) -> Expected | None:
    """The decision by the votes that are in; None if there is none yet. One that expired is as good as outstanding."""
    expired = [name for name, vote in votes.items() if vote.state in (VoteState.EXPIRED, VoteState.NOT_LOADED)]
    outstanding = [*outstanding, *expired]
    answers = {name: vote for name, vote in votes.items() if vote.state == VoteState.ANSWERED}
    if policy.rule in (Rule.CONSENSUS, Rule.COMBINED):
        return _by_agreement(policy, answers, outstanding, at_deadline)
    winner = _winner(policy, answers)
    if winner is None:
        return _default(policy) if at_deadline or not outstanding else None
    told = answers[winner].answer
    if not outstanding:
        return Expected(Why.ALL_IN, told, frozenset([winner]))
    for name in outstanding:
        perfect = Vote(name, 0.0, confidence=1.0, quality=math.inf)
        if _winner(policy, {**answers, name: perfect}) != winner:
            return Expected(Why.DEADLINE, told, frozenset([winner])) if at_deadline else None
    return Expected(Why.BEST, told, frozenset([winner]))


def _winner(policy: Policy, answers: Mapping[str, Vote]) -> str | None:
    """The first, by quality and then by trust."""

    def place(name: str) -> tuple[float, int]:
        return -_quality(policy, answers[name]), policy.models.index(name)

    return min(answers, key=place, default=None)


def _quality(policy: Policy, vote: Vote) -> float:
    if policy.rule != Rule.QUALITY:
        return 0.0
    if policy.quality_by == QualityBy.WEIGHT:
        return policy.weights[policy.models.index(vote.model)]
    known = vote.quality if policy.quality_by == QualityBy.METRIC else vote.confidence
    return -math.inf if known is None else known


def _by_agreement(
    policy: Policy, answers: Mapping[str, Vote], outstanding: Sequence[str], at_deadline: bool
) -> Expected | None:
    needed = policy.quorum or math.floor(len(policy.models) / 2) + 1
    group = _largest(policy, answers)
    if len(group) >= needed:
        return Expected(Why.QUORUM, _together(policy, [answers[name].answer for name in group]), frozenset(group))
    is_possible = _may_agree(policy, answers, outstanding, needed)
    if policy.rule == Rule.CONSENSUS:
        return None if is_possible and not at_deadline else _default(policy)
    if not answers:
        return _default(policy) if at_deadline or not outstanding else None
    trusted = min(answers, key=policy.models.index)
    may_improve = any(policy.models.index(name) < policy.models.index(trusted) for name in outstanding)
    if (is_possible or may_improve) and not at_deadline:
        return None
    why = Why.DEADLINE if is_possible else Why.NO_QUORUM
    return Expected(why, answers[trusted].answer, frozenset([trusted]))


def _largest(policy: Policy, answers: Mapping[str, Vote]) -> tuple[str, ...]:
    """The largest group that agrees, each in the order of trust; the first of several in that order."""
    trusted = [name for name in policy.models if name in answers]
    for size in range(len(trusted), 0, -1):
        for group in itertools.combinations(trusted, size):  # in the order of trust
            if _agree(policy, [answers[name].answer for name in group]):
                return group
    return ()


def _agree(policy: Policy, told: Sequence[Answer | None]) -> bool:
    if len(told) == 1:
        return True
    if all(isinstance(each, str) for each in told):
        return len(set(told)) == 1
    numbers = [each for each in told if isinstance(each, float)]
    return len(numbers) == len(told) and max(numbers) - min(numbers) <= policy.tolerance


def _may_agree(policy: Policy, answers: Mapping[str, Vote], outstanding: Sequence[str], needed: int) -> bool:
    """Whether a quorum comes about if all that are outstanding say the same thing."""
    for told in [*(vote.answer for vote in answers.values()), "something new"]:
        all_in = {**answers, **{name: replace(Vote(name), answer=told) for name in outstanding}}
        if isinstance(told, tuple):  # a vector agrees with none
            continue
        if len(_largest(policy, all_in)) >= needed:
            return True
    return False


def _together(policy: Policy, told: Sequence[Answer | None]) -> Answer | None:
    numbers = [each for each in told if isinstance(each, float)]
    if not numbers:
        return told[0]
    return statistics.median(numbers) if policy.average == Average.MEDIAN else statistics.fmean(numbers)


def _default(policy: Policy) -> Expected:
    why = Why.NO_ANSWER if policy.default is None else Why.DEFAULT
    return Expected(why, policy.default, frozenset())

"""The rules against an oracle that tries all groups and all that may still come, over random votes and orders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelserving.speculative.ballot import Vote
from modelserving.speculative.deciding import decide
from modelserving.speculative.policy import MOST_MODELS, Answer, Policy
from modelserving.wire.speculative_pb2 import Rule, Why
from tests.speculative.cases import DEADLINE_US, NOW_US, parts, policies, policy, request, said, votes
from tests.speculative.oracle import Expected, expected

ROWS = 4


def same(got: Answer | None, wanted: Answer | None) -> bool:
    if isinstance(got, float) and isinstance(wanted, float):
        return got == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    return got == wanted


@settings(max_examples=1500)
@given(st.data())
def test_batches_of_votes_that_come_one_after_the_other(data: st.DataObject) -> None:
    """Each record is decided when and as the oracle says, exactly once, and late votes change nothing."""
    given_policy = data.draw(policies())
    cast = {name: {row: data.draw(votes(name)) for row in range(ROWS)} for name in given_policy.models}
    # A metric is of a model, not of a record.
    for name, by_row in cast.items():
        cast[name] = {
            row: Vote(name, vote.answer, vote.state, vote.confidence, by_row[0].quality) for row, vote in by_row.items()
        }
    order: list[str] = data.draw(st.permutations([*given_policy.models, "the deadline"]))
    wanted = [history(given_policy, {name: cast[name][row] for name in cast}, order) for row in range(ROWS)]

    asked = request(given_policy, ROWS)
    got: dict[int, tuple[int, Expected, bool]] = {}
    now_us = NOW_US
    for step, name in enumerate(["", *order]):
        if name == "the deadline":
            now_us = DEADLINE_US
        elif name:
            for part in parts(name, cast[name], given_policy.metric):
                asked.add(part)
        decided = asked.decide(now_us)
        for index, row in enumerate(decided.rows.tolist()):
            assert row not in got
            counted = frozenset(n for n, c in zip(given_policy.models, decided.counted[:, index], strict=True) if c)
            outcome = Expected(decided.why[index].item(), decided.answer(asked.ballot, index), counted)
            got[row] = step, outcome, bool(decided.at_deadline[index])
    assert asked.is_complete
    for row in range(ROWS):
        step, outcome, at_deadline = got[row]
        wanted_step, wanted_outcome, wanted_at_deadline = wanted[row]
        assert (step, at_deadline) == (wanted_step, wanted_at_deadline)
        assert (outcome.why, outcome.counted) == (wanted_outcome.why, wanted_outcome.counted)
        assert same(outcome.answer, wanted_outcome.answer)


def history(given_policy: Policy, cast: dict[str, Vote], order: list[str]) -> tuple[int, Expected, bool]:
    """At which step the oracle decides on one record, what, and whether only since the deadline has passed."""
    is_past = False
    seen: dict[str, Vote] = {}
    for step, name in enumerate(["", *order]):
        if name == "the deadline":
            is_past = True
        elif name:
            seen[name] = cast[name]
        outstanding = [each for each in given_policy.models if each not in seen]
        decision = expected(given_policy, seen, outstanding, is_past)
        if decision is not None:
            return step, decision, is_past and expected(given_policy, seen, outstanding, False) is None
    raise AssertionError("nothing was decided")


@settings(max_examples=1500)
@given(st.data())
def test_one_record(data: st.DataObject) -> None:
    """Whatever is in, whatever is outstanding, in whatever order it came."""
    given_policy = data.draw(policies())
    cast = {name: data.draw(votes(name)) for name in given_policy.models}
    outstanding = data.draw(st.lists(st.sampled_from(given_policy.models), unique=True))
    at_deadline = data.draw(st.booleans())
    seen = [vote for name, vote in cast.items() if name not in outstanding]
    wanted = expected(given_policy, {vote.model: vote for vote in seen}, outstanding, at_deadline)
    choices = []
    for _ in range(3):
        choices.append(decide(given_policy, seen, outstanding, at_deadline))
        data.draw(st.randoms(use_true_random=False)).shuffle(seen)
    choice = choices[0]
    assert all(other == choice for other in choices)
    if wanted is None or choice is None:
        assert wanted is None
        assert choice is None
    else:
        assert (choice.why, frozenset(choice.counted)) == (wanted.why, wanted.counted)
        assert same(choice.answer, wanted.answer)


@settings(max_examples=300)
@given(st.data())
def test_what_is_decided_early_more_votes_would_not_have_changed(data: st.DataObject) -> None:
    """But for a quorum, which ends it, and for consensus without one, which then falls through."""
    given_policy = data.draw(policies())
    cast = [data.draw(votes(name)) for name in given_policy.models]
    early = decide(given_policy, cast[:1], given_policy.models[1:], False)
    if early is not None and early.why in (Why.BEST, Why.NO_QUORUM):
        late = decide(given_policy, cast, (), False)
        assert late is not None
        assert (late.answer, late.counted) == (early.answer, early.counted)


def test_many_models_and_records_at_once() -> None:
    """The largest ballot there can be."""
    names = tuple(f"model-{number}" for number in range(MOST_MODELS))
    asked = request(policy(*names, rule=Rule.CONSENSUS, quorum=3, tolerance=1.0), 1000)
    numbers = np.random.default_rng(5).integers(0, 500, (len(names), 1000)).astype(float)
    for name, answers in zip(names, numbers, strict=True):
        asked.add(said(name, *answers.tolist()))
    decided = asked.decide(NOW_US)
    assert len(decided.rows) == 1000
    for row, column in enumerate(numbers.T):
        largest = max(int(((column >= least) & (column <= least + 1)).sum()) for least in column)
        assert (decided.why[row] == Why.QUORUM) == (largest >= 3)
        assert decided.counted[:, row].sum() == (largest if largest >= 3 else 0)

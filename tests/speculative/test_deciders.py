"""Deciders of one's own: by import path, on each record, and whatever they do each record gets its decision."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from modelserving.errors import ConfigurationError
from modelserving.speculative.ballot import Vote
from modelserving.speculative.deciders import Choice, Decider, load_decider, load_deciders
from modelserving.speculative.deciding import Decided, decide, decide_rows
from modelserving.speculative.policy import Policy
from modelserving.speculative.request import Request
from modelserving.speculative.routing import route
from modelserving.wire.speculative_pb2 import VoteState, Why
from tests.speculative import own
from tests.speculative.cases import DEADLINE_US, NOW_US, TIMEOUT_MS, answers_of, policy, request, said

PATH = "tests.speculative.own:first_come"


def test_by_import_path() -> None:
    assert load_decider(PATH) is own.first_come
    assert load_decider("tests.speculative.own:Deciders.first") is own.first_come
    assert load_deciders([PATH]) == {PATH: own.first_come}


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("tests.speculative.own", "'tests.speculative.own' is no import path; write package.module:attribute"),
        ("tests.speculative.own:", "is no import path"),
        (":first_come", "is no import path"),
        ("tests.speculative.nowhere:it", r"'tests.speculative.nowhere' cannot be imported \(ModuleNotFoundError"),
        ("..own:it", "cannot be imported"),
        ("tests.speculative.own:gone", "'tests.speculative.own' has no 'gone'; correct the path"),
        ("tests.speculative.own:not_callable", "is no function and no callable object"),
        ("tests.speculative.own:Deciders", "is no function and no callable object"),
    ],
)
def test_paths_that_lead_nowhere(path: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^decider: .*{told}"):
        load_decider(path)


def own_request(decider: Decider, rows: int = 1, **fields: object) -> Request:
    stated = policy("a", "b", "c", **fields)
    return Request(stated, route(stated, [b""] * rows), NOW_US, decider)


def test_it_decides_by_the_order_of_arrival_record_by_record() -> None:
    asked = own_request(own.first_come, 2)
    asked.add(said("c", None, "x"))
    assert answers_of(asked, asked.decide(NOW_US)) == [(1, Why.OWN_DECIDER, "x")]
    asked.add(said("b", 5.0, 6.0))
    asked.add(said("a", 7.0, 8.0))
    decided = asked.decide(NOW_US)
    assert answers_of(asked, decided) == [(0, Why.OWN_DECIDER, 5.0)]
    assert decided.counted[:, 0].tolist() == [False, True, False]
    assert decided.details == {0: "0 are slower"}


def test_what_it_is_shown() -> None:
    shown: list[tuple[list[Vote], Sequence[str], bool]] = []

    def look(_: Policy, votes: Sequence[Vote], outstanding: Sequence[str], at_deadline: bool) -> None:
        shown.append((list(votes), outstanding, at_deadline))

    asked = own_request(look)
    asked.add(said("c", None, metrics={"": 2.0}))
    asked.add(said("a", (1.0, 2.0)))
    asked.decide(NOW_US)
    ((votes, outstanding, at_deadline),) = shown
    assert [(vote.model, vote.state, vote.answer) for vote in votes] == [
        ("c", VoteState.FAILED, None),
        ("a", VoteState.ANSWERED, (1.0, 2.0)),
    ]
    assert (outstanding, at_deadline) == (["b"], False)


@pytest.mark.parametrize(
    ("default", "why", "answer"), [(None, Why.DECIDER_FAILED, None), (1.5, Why.DECIDER_FAILED, 1.5)]
)
def test_one_that_raises(default: float | None, why: int, answer: float | None) -> None:
    asked = own_request(own.raises, default=default)
    decided = asked.decide(NOW_US)
    assert answers_of(asked, decided) == [(0, why, answer)]
    assert decided.details == {0: "LookupError: 0 votes, 3 to come, False, wine"}


def never(*_: object) -> None:
    """Does not decide."""


def test_one_that_does_not_decide_in_time() -> None:
    asked = own_request(never)
    assert not len(asked.decide(DEADLINE_US - 1).rows)
    decided = asked.decide(DEADLINE_US)
    assert answers_of(asked, decided) == [(0, Why.DECIDER_FAILED, None)]
    assert decided.at_deadline.tolist() == [True]
    assert "the deadline has passed" in decided.details[0]


def test_one_that_does_not_decide_when_all_is_in() -> None:
    asked = own_request(never)
    for model in "abc":
        asked.add(said(model, "x"))
    decided = asked.decide(NOW_US)
    assert answers_of(asked, decided) == [(0, Why.DECIDER_FAILED, None)]
    assert "all votes are in" in decided.details[0]


@pytest.mark.parametrize("given", [5, "x", Choice(True), Choice(float("nan")), Choice(()), Choice([1.0]), Choice(b"x")])  # type: ignore[arg-type]
def test_what_is_no_choice(given: object) -> None:
    decided = decide_all(lambda *_: given)  # type: ignore[arg-type]
    assert decided.why.tolist() == [Why.DECIDER_FAILED]


@pytest.mark.parametrize(
    ("choice", "default", "why", "answer"),
    [
        (Choice(7), None, Why.OWN_DECIDER, 7.0),
        (Choice("new"), None, Why.OWN_DECIDER, "new"),
        (Choice((1.0, 2.0)), None, Why.OWN_DECIDER, (1.0, 2.0)),
        (Choice(None), None, Why.NO_ANSWER, None),
        (Choice(None), "d", Why.DEFAULT, "d"),
    ],
)
def test_what_is_one(choice: Choice, default: str | None, why: int, answer: object) -> None:
    asked = own_request(lambda *_: choice, default=default)
    assert answers_of(asked, asked.decide(NOW_US)) == [(0, why, answer)]


def decide_all(decider: Decider) -> Decided:
    asked = own_request(decider)
    return decide_rows(asked.policy, asked.ballot, asked.ballot.states[0].nonzero()[0], False, decider)


def test_a_rule_can_be_asked_by_ones_own() -> None:
    def unless_odd(of: Policy, votes: Sequence[Vote], outstanding: Sequence[str], at_deadline: bool) -> Choice | None:
        return decide(of, [vote for vote in votes if vote.answer != "odd"], outstanding, at_deadline)

    asked = own_request(unless_odd)
    asked.add(said("a", "odd"))
    asked.add(said("b", "even"))
    assert answers_of(asked, asked.decide(NOW_US)) == [(0, Why.OWN_DECIDER, "even")]


def test_a_decider_that_is_named_must_be_given() -> None:
    stated = Policy("wine", TIMEOUT_MS, ("a",), decider=PATH)
    with pytest.raises(ValueError, match="none is given"):
        request(stated)


def test_votes_of_models_that_the_policy_does_not_name() -> None:
    with pytest.raises(ValueError, match="'z' is none of the policy's models, which are a, b"):
        decide(policy("a", "b"), [Vote("z", 1.0)], ["a"], False)
    with pytest.raises(ValueError, match="must be finite"):
        decide(policy("a", "b"), [Vote("a", float("inf"))], ["b"], False)

"""What travels between operators, and what a checkpoint holds, comes back as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelserving.servable import RecordFailure
from modelserving.speculative.request import Request
from modelserving.speculative.request_state import decode_request, encode_request
from modelserving.speculative.routing import Routes
from modelserving.speculative.votes import ModelVotes, decode_votes, encode_votes, no_votes
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.speculative_pb2 import ModelVotes as VotesMessage
from modelserving.wire.speculative_pb2 import RequestState, VoteState, Why
from tests.speculative import own
from tests.speculative.cases import DEADLINE_US, NOW_US, answers_of, parts, policies, policy, request, said, votes


@given(st.data())
def test_votes_survive_their_message(data: st.DataObject) -> None:
    for part in parts("a", {row: data.draw(votes("a")) for row in range(3)}, "accuracy"):
        found, decoded = decode_votes(encode_votes("request 5", part))
        assert found == "request 5"
        assert same(decoded, part)


def same(one: ModelVotes, other: ModelVotes) -> bool:
    plain = ("model", "version", "classes", "metrics", "failures", "detail", "taken_us", "score_us")
    arrays = ("rows", "states", "numbers", "label_index", "outputs", "confidence")
    return all(getattr(one, name) == getattr(other, name) for name in plain) and all(
        (getattr(one, name) is None and getattr(other, name) is None)
        or np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name in ("confidence", "numbers"))
        for name in arrays
    )


def test_failures_survive_it() -> None:
    failures = (RecordFailure(1, Reason.INVALID_VALUE, "too sour"),)
    failed = said("a", 1.0, None, failures=failures, taken_us=5, score_us=3)
    assert same(decode_votes(encode_votes("r", failed))[1], failed)


def test_votes_without_an_answer_survive_it() -> None:
    shed = no_votes("a", np.array([3, 5], np.int32), VoteState.SHED, "full \ud800")
    decoded = decode_votes(encode_votes("r", shed))[1]
    assert (decoded.rows.tolist(), decoded.states.tolist()) == ([3, 5], [VoteState.SHED] * 2)
    assert decoded.detail == "full ?"


@settings(max_examples=200)
@given(st.data())
def test_a_request_goes_on_from_its_message(data: st.DataObject) -> None:
    """At any point; what was decided stays, and the rest is decided as it would have been."""
    stated = data.draw(policies())
    asked, restored = request(stated, 3), request(stated, 3)
    for name in data.draw(st.permutations(stated.models)):
        for part in parts(name, {row: data.draw(votes(name)) for row in range(3)}, stated.metric):
            assert asked.add(part).tolist() == restored.add(part).tolist()
        if data.draw(st.booleans()):
            restored = decode_request(encode_request(restored), {})
        one, other = asked.decide(NOW_US), restored.decide(NOW_US)
        assert answers_of(asked, one) == answers_of(restored, other)
    restored = decode_request(encode_request(restored), {})
    assert answers_of(asked, asked.decide(DEADLINE_US)) == answers_of(restored, restored.decide(DEADLINE_US))
    assert asked.why.tolist() == restored.why.tolist()
    assert np.array_equal(asked.numbers, restored.numbers, equal_nan=True)
    assert [label_of(asked, row) for row in range(3)] == [label_of(restored, row) for row in range(3)]


def label_of(asked: Request, row: int) -> str | None:
    code = int(asked.labels[row])
    return None if code < 0 else asked.ballot.label_names[code]


def test_a_request_with_a_decider_of_ones_own_goes_on() -> None:
    path = "tests.speculative.own:first_come"
    stated = replace(policy("a", "b"), decider=path)
    everywhere = np.ones((2, 1), bool)
    asked = Request(stated, Routes(("a", "b"), everywhere, everywhere), NOW_US, own.first_come)
    restored = decode_request(encode_request(asked), {path: own.first_come})
    restored.add(said("b", "x"))
    assert answers_of(restored, restored.decide(NOW_US)) == [(0, Why.OWN_DECIDER, "x")]


def test_where_its_decider_is_there_no_more_records_get_the_default() -> None:
    path = "tests.speculative.own:first_come"
    stated = replace(policy("a", "b"), decider=path, default="none")
    everywhere = np.ones((2, 1), bool)
    asked = Request(stated, Routes(("a", "b"), everywhere, everywhere), NOW_US, own.first_come)
    restored = decode_request(encode_request(asked), {})
    restored.add(said("b", "x"))
    decided = restored.decide(NOW_US)
    assert answers_of(restored, decided) == [(0, Why.DECIDER_FAILED, "none")]
    assert f"decider: {path!r} is none that this was started with" in decided.details[0]


def test_of_a_later_release() -> None:
    with pytest.raises(ValueError, match="later release"):
        decode_request(RequestState(schema=99).SerializeToString(), {})
    with pytest.raises(ValueError, match="later release"):
        decode_votes(VotesMessage(schema=99).SerializeToString())

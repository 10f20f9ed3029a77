"""Messages: what leaves for each record names all that its answer comes from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from modelserving.servable import RecordFailure
from modelserving.speculative.deciders import Choice
from modelserving.speculative.messages import encode_decisions, encode_late_answers
from modelserving.speculative.request import Request
from modelserving.speculative.routing import route
from modelserving.speculative.votes import no_votes
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.speculative_pb2 import LateAnswer, Rule, SpeculativeDecision, SpeculativeVote, VoteState, Why
from tests.core.cases import FIRST_OFFSET, raw
from tests.speculative.cases import DEADLINE_US, NOW_US, policy, request, said, version

RECORDS = raw([b"record"] * 4)
ROW = np.array([0], np.int32)


def decided(of: Request, now_us: int = NOW_US, records: pa.RecordBatch = RECORDS) -> list[SpeculativeDecision]:
    encoded = encode_decisions(of, of.decide(now_us), records, "records")
    return [SpeculativeDecision.FromString(each) for each in encoded.messages]


def test_a_decision_names_what_was_asked_and_what_was_said() -> None:
    asked = request(policy("a", "b", "c", "d", rule=Rule.COMBINED, quorum=3, tolerance=0.5), 2)
    asked.add(said("c", 2.0, 3.0, taken_us=700, score_us=300))
    asked.add(no_votes("b", np.array([0, 1], np.int32), VoteState.SHED, "8 tasks wait already"))
    failure = (RecordFailure(1, Reason.INVALID_VALUE, "too sour \ud800"),)
    asked.add(said("d", 0.0, None, failures=failure, metrics={"": 0.5}))
    first, second = decided(asked, DEADLINE_US + 1500)
    assert (first.data_type, first.rule, first.quorum, first.decider, first.timeout_ms) == (
        "wine",
        Rule.COMBINED,
        3,
        "",
        50,
    )
    assert (first.WhichOneof("answer"), first.number, first.why, first.at_deadline) == (
        "number",
        2.0,
        Why.NO_QUORUM,
        True,
    )
    assert first.model_name == "c"
    assert (first.received_at_ms, first.decided_at_ms) == (NOW_US // 1000, DEADLINE_US // 1000 + 1)
    assert (first.latency_us, first.late_us) == (51_500, 1_500)
    assert (first.record.topic, first.record.partition, first.record.offset) == ("records", 3, FIRST_OFFSET)
    assert second.record.offset == FIRST_OFFSET + 1
    assert list(first.votes) == [
        SpeculativeVote(model="a", state=VoteState.OUTSTANDING),
        SpeculativeVote(model="b", state=VoteState.SHED, detail="8 tasks wait already"),
        vote("c", number=2.0, taken_us=700, score_us=300, counted=True),
        vote("d", number=0.0, quality=0.5),
    ]
    assert second.votes[3] == vote(
        "d", state=VoteState.FAILED, reason=Reason.INVALID_VALUE, detail="too sour ?", quality=0.5
    )


def vote(model: str, **fields: object) -> SpeculativeVote:
    of = version(model)
    return SpeculativeVote(model=model, model_version=of.version, model_sha256=of.sha256, **fields)  # type: ignore[arg-type]


def test_an_answer_that_several_give_is_nobodys() -> None:
    asked = request(policy("a", "b", "c", rule=Rule.CONSENSUS))
    asked.add(said("a", "x", confidence=np.array([0.75])))
    asked.add(said("c", "x"))
    (decision,) = decided(asked)
    assert (decision.WhichOneof("answer"), decision.label, decision.why) == ("label", "x", Why.QUORUM)
    assert decision.model_name == ""
    assert [each.counted for each in decision.votes] == [True, False, True]
    assert (decision.votes[0].confidence, decision.votes[1].HasField("confidence")) == (0.75, False)


def test_only_those_that_were_asked_are_listed() -> None:
    stated = policy("old", challengers=("new",), shadow=0.5)
    asked = Request(stated, route(stated, [b"%d" % row for row in range(64)]), NOW_US)
    asked.add(said("old", *(["x"] * 64)))
    decisions = decided(asked, records=raw([b""] * 64))
    shadows = [[each.model for each in decision.votes if each.shadow] for decision in decisions]
    assert shadows == [["new"] if in_shadow else [] for in_shadow in asked.ballot.asked[0]]
    assert {len(each) for each in shadows} == {0, 1}


def test_vectors() -> None:
    asked = request(policy("a", "b"), 2)
    asked.add(said("b", "x", "x"))
    asked.add(said("a", (1.0, -2.0), None))
    first, second = decided(asked)
    assert (first.WhichOneof("answer"), list(first.outputs), first.model_name) == (None, [1.0, -2.0], "a")
    assert [list(each.outputs) for each in first.votes] == [[1.0, -2.0], []]
    assert (second.label, list(second.outputs), second.model_name) == ("x", [], "b")


@pytest.mark.parametrize("default", [None, 0.0, "", "d"])
def test_no_answer_and_the_default(default: float | str | None) -> None:
    (decision,) = decided(request(policy("a", default=default)), DEADLINE_US)
    assert decision.at_deadline
    assert decision.why == (Why.NO_ANSWER if default is None else Why.DEFAULT)
    found = decision.WhichOneof("answer")
    assert (getattr(decision, found) if found else None) == default
    assert decision.model_name == ""


def test_a_decider_of_ones_own_has_its_say() -> None:
    stated = policy("a", "b", decider="tests.speculative.own:first_come")
    asked = Request(stated, route(stated, [b"", b""]), NOW_US, lambda *_: Choice((4.0,), ("b",), "so"))
    (decision, _) = decided(asked)
    assert (decision.why, decision.detail, decision.decider) == (Why.OWN_DECIDER, "so", stated.decider)
    assert (list(decision.outputs), decision.model_name) == ([4.0], "b")


def test_late_answers() -> None:
    asked = request(policy("smart", "fast", tolerance=0.25), 4)
    asked.add(said("fast", 1.0, 1.0, 1.0, None))
    decided(asked, DEADLINE_US)
    late = asked.add(said("smart", 1.25, 2.0, None, 5.0, taken_us=60_000))
    assert late.tolist() == [0, 1, 2, 3]
    encoded = encode_late_answers(asked, "smart", late, RECORDS, topic="records", now_us=DEADLINE_US + 10_000)
    found = [LateAnswer.FromString(each) for each in encoded.messages]
    assert [each.record.offset - FIRST_OFFSET for each in found] == [0, 1, 2, 3]
    assert [each.agrees if each.HasField("agrees") else None for each in found] == [True, False, None, None]
    assert [each.why for each in found] == [Why.DEADLINE] * 3 + [Why.NO_ANSWER]
    assert found[0].vote == vote("smart", number=1.25, taken_us=60_000)
    assert found[2].vote.state == VoteState.FAILED
    for each in found:
        assert (each.data_type, each.decided_at_ms) == ("wine", DEADLINE_US // 1000)
        assert (each.after_decision_us, each.after_deadline_us) == (10_000, 10_000)


def test_a_vote_after_the_decision_but_before_the_deadline() -> None:
    asked = request(policy("smart", "fast"))
    asked.add(said("smart", "x"))
    decided(asked, NOW_US + 1000)
    late = asked.add(said("fast", "x"))
    encoded = encode_late_answers(asked, "fast", late, RECORDS, topic="records", now_us=NOW_US + 3000)
    found = LateAnswer.FromString(encoded.messages[0])
    assert (found.agrees, found.after_decision_us, found.after_deadline_us) == (True, 2000, -47_000)

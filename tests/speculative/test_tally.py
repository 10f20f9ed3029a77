"""The tally: deltas add up to what came of a request, whatever came when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.outgoing import Outgoing
from modelserving.servable import ModelVersion, RecordFailure
from modelserving.speculative.agreement import matrix
from modelserving.speculative.ballot import Vote
from modelserving.speculative.policy import Policy
from modelserving.speculative.request import Request
from modelserving.speculative.routing import route
from modelserving.speculative.tally import decided_deltas, late_deltas
from modelserving.speculative.votes import ModelVotes, no_votes
from modelserving.statistics.deltas import SAMPLE, key_of, parse
from modelserving.statistics.keys import is_of_policy
from modelserving.statistics.policy_totals import PolicyTotals
from modelserving.statistics.totals import Totals
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.speculative_pb2 import Rule, VoteState, Why
from modelserving.wire.state_pb2 import PolicyDelta, StatsDelta
from modelserving.wire.stats_pb2 import ModelAgreement
from tests.speculative.cases import DEADLINE_US, NOW_US, parts, policies, policy, request, said, version, votes

BOTH = np.array([0, 1], np.int32)


def told(outgoing: Outgoing) -> list[StatsDelta]:
    return list(parse(value for _, value in outgoing.messages))


def of_policy(outgoing: Outgoing) -> PolicyDelta:
    (delta,) = [each.policy for each in told(outgoing) if each.HasField("policy")]
    return delta


def of_versions(outgoing: Outgoing) -> dict[str, StatsDelta]:
    """By the model's name."""
    return {each.model.name: each for each in told(outgoing) if not each.HasField("policy")}


def test_a_decision_tells_why_and_how_each_model_voted() -> None:
    asked = request(policy("smart", "fast", "odd", rule=Rule.CONSENSUS, quorum=2), 3)
    asked.add(said("fast", "a", "b", "c", taken_us=700))
    asked.add(no_votes("odd", np.array([0, 1, 2], np.int32), VoteState.SHED, "full"))
    asked.add(said("smart", "a", "c", rows=[0, 1], taken_us=40_000))
    delta = of_policy(decided_deltas(asked, asked.decide(DEADLINE_US + 2500)))
    assert (delta.terms.rule, delta.terms.quorum, delta.terms.timeout_ms) == (Rule.CONSENSUS, 2, 50)
    assert list(delta.terms.models) == ["smart", "fast", "odd"]
    assert dict(delta.why) == {Why.QUORUM: 1, Why.NO_ANSWER: 2}
    assert delta.at_deadline == 1, "of the third, smart might still have made a quorum"
    assert (delta.decided_ms, delta.decision_us, delta.late_us) == (DEADLINE_US // 1000 + 2, 52_500, 2500)
    smart, fast, odd = delta.models
    assert (smart.model, smart.asked, smart.counted, dict(smart.votes)) == ("smart", 3, 1, {VoteState.ANSWERED: 2})
    assert (list(smart.taken_us), list(smart.taken_counts)) == ([40_000], [2])
    assert (fast.counted, dict(fast.votes)) == (1, {VoteState.ANSWERED: 3})
    assert (odd.asked, dict(odd.votes), list(odd.taken_us)) == (3, {VoteState.SHED: 3}, [])
    assert list(delta.agreement) == [ModelAgreement(first="fast", second="smart", compared=2, agreed=1)]


def test_what_was_waited_for_until_the_deadline_is_told() -> None:
    asked = request(policy("smart", "fast"), 2)
    asked.add(said("fast", 1.0, 2.0))
    asked.add(said("smart", 1.0))
    early = of_policy(decided_deltas(asked, asked.decide(DEADLINE_US - 1)))
    assert (dict(early.why), early.at_deadline, early.late_us) == ({Why.ALL_IN: 1}, 0, 0)
    forced = of_policy(decided_deltas(asked, asked.decide(DEADLINE_US)))
    assert (dict(forced.why), forced.at_deadline, forced.late_us) == ({Why.DEADLINE: 1}, 1, 0)


def test_late_answers_are_counted_and_complete_the_pairs() -> None:
    asked = request(policy("smart", "fast", tolerance=0.5), 2)
    asked.add(said("fast", 1.0, 2.0))
    asked.decide(DEADLINE_US)
    late = asked.add(said("smart", 1.25, 9.0, taken_us=200_000))
    outgoing = late_deltas(asked, "smart", late)
    delta = of_policy(outgoing)
    assert not delta.HasField("terms")
    (smart,) = delta.models
    assert (smart.late, smart.asked, dict(smart.votes), list(smart.taken_us)) == (
        True,
        0,
        {VoteState.ANSWERED: 2},
        [200_000],
    )
    assert list(delta.agreement) == [ModelAgreement(first="fast", second="smart", compared=2, agreed=1)]
    served = of_versions(outgoing)["smart"]
    assert (served.served, served.last_ms) == (2, NOW_US // 1000 + 200)


def test_each_version_is_told_what_it_answered() -> None:
    asked = request(policy("smart", "fast"), 3)
    failure = (RecordFailure(1, Reason.MODEL_FAILED, "no"),)
    asked.add(said("fast", "a", None, "b", failures=failure, taken_us=3000, score_us=900))
    found = of_versions(decided_deltas(asked, asked.decide(DEADLINE_US)))
    assert list(found) == ["fast"], "a model that has not voted served nothing"
    fast = found["fast"]
    assert (fast.data_type, fast.model.version, fast.model.sha256) == ("wine", "1", version("fast").sha256)
    assert (fast.votes, fast.served, fast.errors, dict(fast.rejected)) == (True, 2, 1, {})
    assert (fast.score_us, fast.first_ms, dict(fast.labels)) == (600, NOW_US // 1000 + 3, {"a": 1, "b": 1})
    totals = Totals()
    totals.add([fast], 1.0, 0)
    assert (totals.stats.served, totals.stats.errors, totals.stats.HasField("modelType")) == (2, 1, False)
    assert totals.stats.recent.rejected == 0, "a record that another model answers is not turned away"


def test_two_versions_of_a_model_are_told_apart() -> None:
    asked = request(policy("smart"), 3)
    asked.add(said("smart", 1.0, 2.0, rows=[0, 1]))
    newer = said("smart", 3.0, rows=[2])
    asked.add(ModelVotes("smart", newer.rows, newer.states, ModelVersion("smart", "2", "b"), numbers=newer.numbers))
    found = [each for each in told(decided_deltas(asked, asked.decide(NOW_US))) if not each.HasField("policy")]
    assert {each.model.version: each.served for each in found} == {"1": 2, "2": 1}


def test_scores_are_drawn_evenly() -> None:
    asked = request(policy("smart"), 1000)
    asked.add(said("smart", *map(float, range(1000))))
    sample = np.frombuffer(of_versions(decided_deltas(asked, asked.decide(NOW_US)))["smart"].sample, "<f4")
    assert (len(sample), sample[0], sample[-1]) == (SAMPLE, 0.0, 999.0)


def test_the_shadow_is_told() -> None:
    stated = policy("old", challengers=("new",), shadow=0.5)
    asked = Request(stated, route(stated, [b"%d" % row for row in range(64)]), NOW_US)
    asked.add(said("old", *(["x"] * 64)))
    delta = of_policy(decided_deltas(asked, asked.decide(NOW_US)))
    new, old = delta.models
    in_shadow = int(asked.ballot.asked[0].sum())
    assert 0 < in_shadow < 64
    assert (new.model, new.asked, new.shadow, dict(new.votes)) == ("new", in_shadow, in_shadow, {})
    assert (old.asked, old.shadow, old.counted) == (64, 0, 64)
    assert (list(delta.terms.challengers), delta.terms.shadow) == (["new"], 0.5)


def test_nothing_adds_nothing() -> None:
    asked = request(policy("smart", "fast"), 2)
    assert told(decided_deltas(asked, asked.decide(NOW_US))) == []
    assert told(late_deltas(asked, "fast", asked.add(said("fast", "a", "b")))) == []


def test_a_policy_has_a_key_of_its_own() -> None:
    asked = request(policy("smart"))
    asked.add(said("smart", "a"))
    keys = {key_of(each): each.HasField("policy") for each in told(decided_deltas(asked, asked.decide(NOW_US)))}
    assert {key: is_of_policy(key) for key in keys} == keys
    assert sorted(keys.values()) == [False, True]
    for data_type in ("", "policy", "wine"):
        assert not is_of_policy(key_of(StatsDelta(data_type=data_type)))


@given(st.data())
def test_whatever_comes_when_all_is_counted_once(data: st.DataObject) -> None:
    stated: Policy = data.draw(policies())
    rows = data.draw(st.integers(1, 4))
    asked = request(stated, rows)
    coming: list[ModelVotes] = []
    for model in stated.models:
        of_model: dict[int, Vote] = {row: data.draw(votes(model)) for row in range(rows) if data.draw(st.booleans())}
        coming += parts(model, of_model, stated.metric)
    added: list[StatsDelta] = []
    for part in data.draw(st.permutations(coming)):
        added += told(late_deltas(asked, part.model, asked.add(part)))
        if data.draw(st.booleans()):
            added += told(decided_deltas(asked, asked.decide(data.draw(st.sampled_from([NOW_US, DEADLINE_US])))))
    added += told(decided_deltas(asked, asked.decide(DEADLINE_US)))

    totals = PolicyTotals()
    totals.add([each for each in added if each.HasField("policy")], 1.0, 0)
    stats, ballot = totals.stats, asked.ballot
    assert stats.decided == sum(stats.why.values()) == rows
    for number, model in enumerate(ballot.models):
        (found,) = [each for each in stats.models if each.model == model]
        states = ballot.states[number]
        assert (found.asked, found.answered) == (rows, (states == VoteState.ANSWERED).sum())
        missing = {name: (states == VoteState.Value(name)).sum() for name in found.missing}
        assert dict(found.missing) == missing
        assert rows - found.answered - sum(missing.values()) == (states == VoteState.OUTSTANDING).sum()
        versions = [each for each in added if not each.HasField("policy") and each.model.name == model]
        assert sum(each.served for each in versions) == found.answered
        assert sum(each.errors for each in versions) == (states == VoteState.FAILED).sum()
        assert found.taken_ms.count == found.answered
    compared, agreed = matrix(ballot, np.arange(rows), stated.tolerance)
    names = list(ballot.models)
    expected = {
        tuple(sorted((names[one], names[other]))): (compared[one, other], agreed[one, other])
        for one in range(len(names))
        for other in range(one)
        if compared[one, other]
    }
    assert {(each.first, each.second): (each.compared, each.agreed) for each in stats.agreement} == expected


@pytest.mark.parametrize("state", [VoteState.NO_SUCH_MODEL, VoteState.LANE_ENDED])
def test_a_late_word_that_none_will_come_is_no_late_answer(state: VoteState) -> None:
    asked = request(policy("smart", "fast"), 2)
    asked.add(said("fast", "a", "b"))
    decided = decided_deltas(asked, asked.decide(DEADLINE_US))
    late = late_deltas(asked, "smart", asked.add(no_votes("smart", BOTH, state, "gone")))
    totals = PolicyTotals()
    totals.add([each for outgoing in (decided, late) for each in told(outgoing) if each.HasField("policy")], 1.0, 0)
    smart = totals.stats.models[0]
    assert (smart.model, smart.late, dict(smart.missing)) == ("smart", 0, {VoteState.Name(state): 2})

"""Policies: told apart from the statistics of versions, answered, streamed and measured."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from google.protobuf.message import DecodeError

from modelserving.query.policies_view import PoliciesView
from modelserving.query.view import View
from modelserving.statistics.keys import policy_key
from modelserving.wire.stats_pb2 import PolicyStats
from tests.query.cases import EVERYTHING, NOW_MS, TOPICS, Message, client_of, policy, policy_message, service_of, stats
from tests.query.cases import stats_message as message_of_version
from tests.query.test_metrics import scraped


def view_of(*told: PolicyStats) -> PoliciesView:
    view = PoliciesView()
    for each in told:
        view.apply(policy_key(each.data_type), each.SerializeToString())
    return view


def shown(view: PoliciesView) -> list[Any]:
    return [orjson.loads(encoded) for encoded in view.encoded()]


def test_every_field_is_there_but_the_sketches() -> None:
    (one,) = shown(view_of(policy(decision_sketch=b"x")))
    fields = {field.name for field in PolicyStats.DESCRIPTOR.fields}
    assert set(one) == fields - {"decision_sketch", "late_sketch"}
    assert (one["terms"]["rule"], one["terms"]["models"], one["why"]["QUORUM"]) == ("COMBINED", ["smart", "fast"], 80)
    smart, fast = one["models"]
    assert (smart["model"], smart["late"], smart["missing"], fast["missing"]) == ("smart", 7, {"SHED": 2}, {})
    assert "taken_sketch" not in smart
    assert one["agreement"] == [{"first": "fast", "second": "smart", "compared": 95, "agreed": 85}]


def test_the_latest_message_of_a_data_type_wins_and_a_tombstone_removes_it() -> None:
    view = view_of(policy(decided=8), policy("beer"), policy(decided=9))
    assert view.apply(policy_key("wine"), policy(decided=5, updated_ms=NOW_MS).SerializeToString(), partition=1) is None
    assert [(one["data_type"], one["decided"]) for one in shown(view)] == [("beer", 100), ("wine", 9)]
    assert view.apply(policy_key("beer"), None) is None
    assert view.apply(policy_key("ale"), None) is None
    assert [one["data_type"] for one in shown(view)] == ["wine"]
    with pytest.raises(DecodeError):
        view.apply(policy_key("wine"), b"\xff\xff")
    assert [one["decided"] for one in shown(view)] == [9]


def test_a_reason_of_a_later_release_is_told_by_its_number() -> None:
    told = policy()
    told.terms.rule = 99  # type: ignore[assignment]
    (one,) = shown(view_of(told))
    assert one["terms"]["rule"] == "99"


def test_policies_and_versions_do_not_mix() -> None:
    view = View(TOPICS)
    news = view.apply([policy_message(policy()), message_of_version(stats()), message_of_version(stats("net"))])
    assert (len(news.policies), len(news.stats)) == (1, 2)
    assert [each.name for each in view.stats] == ["tree", "net"]
    assert [each.data_type for each in view.policies] == ["wine"]
    removed = view.apply([Message(TOPICS.serving_stats, None, policy_key("wine"))])
    assert not removed.policies
    assert not list(view.policies)
    assert len(list(view.stats)) == 2


def test_a_message_that_cannot_be_decoded_is_counted() -> None:
    view = View(TOPICS)
    view.apply([Message(TOPICS.serving_stats, b"\xff\xff", policy_key("wine"))])
    assert view.undecodable == {TOPICS.serving_stats: 1}


def test_answers() -> None:
    with client_of(service_of([policy_message(policy()), policy_message(policy("red/wine ü"))])) as client:
        answer = client.get("/api/policies").json()
        assert answer["at_ms"] > 1_600_000_000_000
        assert [one["data_type"] for one in answer["policies"]] == ["red/wine ü", "wine"]
        assert client.get("/api/policies/wine").json() == answer["policies"][1]
        missing = client.get("/api/policies/beer")
        assert missing.status_code == 404
        assert missing.json() == {"error": "no policy of data type 'beer' is known", "remedy": "see /api/policies"}
        assert client.get("/api/policies?limit=1").status_code == 400
        assert client.get("/api/stats").json()["stats"] == []


def test_the_stream_begins_with_them() -> None:
    chunk = service_of().snapshot().decode()
    events = [part.split("\n") for part in chunk.strip().split("\n\n")]
    assert [name for name, _ in events] == ["event: stats"] * 3 + ["event: totals", "event: policy"]
    assert orjson.loads(events[-1][1].removeprefix("data: "))["decided"] == 100


def test_a_change_is_streamed() -> None:
    service = service_of()
    listener = service.hub.join()
    assert listener is not None
    service.take_in([policy_message(policy(decided=101))])
    (chunk,) = listener._chunks
    name, data = (line for line in chunk.decode().splitlines() if line.startswith(("event:", "data:")))
    assert name == "event: policy"
    assert orjson.loads(data.removeprefix("data: "))["decided"] == 101


def test_metrics() -> None:
    found = scraped(service_of())
    decisions = found["modelserving_decisions_total"]
    assert decisions["wine", "QUORUM"] == 80
    assert decisions["wine", "NO_ANSWER"] == 0, "a series must not begin at 1"
    assert found["modelserving_decisions_at_deadline_total"] == {("wine",): 12}
    assert found["modelserving_decisions_late_total"] == {("wine",): 3}
    assert found["modelserving_decision_seconds"]["wine", "0.99"] == 0.051
    assert found["modelserving_votes_asked_total"] == {("wine", "smart"): 100, ("wine", "fast"): 100}
    assert found["modelserving_votes_answered_total"]["wine", "smart"] == 95
    assert found["modelserving_votes_counted_total"]["wine", "fast"] == 92
    assert found["modelserving_votes_missing_total"] == {("wine", "smart", "SHED"): 2}
    assert found["modelserving_late_answers_total"] == {("wine", "smart"): 7, ("wine", "fast"): 0}
    assert found["modelserving_vote_seconds"]["wine", "smart", "0.99"] == 0.2
    assert found["modelserving_models_compared_total"] == {("wine", "fast", "smart"): 95}
    assert found["modelserving_models_agreed_total"] == {("wine", "fast", "smart"): 85}


def test_a_job_that_tells_nothing_any_more_has_no_present_rate() -> None:
    gone = service_of([policy_message(policy(updated_ms=1_600_000_000_000))])
    assert "modelserving_decided_per_second" not in scraped(gone)
    assert scraped(service_of(EVERYTHING))["modelserving_decided_per_second"] == {("wine",): 10}

"""What was told of the last ten minutes: kept of each version and policy, in bounded memory, and answered."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from modelserving.query import history
from modelserving.query.history import MOST_POINTS, SPAN_MS, History
from modelserving.query.view import View
from modelserving.wire.serving_pb2 import EventKind
from modelserving.wire.stats_pb2 import Quantiles, Recent, RecentDecisions, ServingStats
from tests.query.cases import (
    NOW_MS,
    TOPICS,
    Message,
    client_of,
    event,
    event_message,
    policy,
    policy_message,
    service_of,
    stats,
    stats_message,
)

SOME = Quantiles(count=10, p50=2.0, p99=9.5)
NONE = Quantiles()


def filled(*times_ms: int, key: tuple[str, ...] = ("wine", "tree"), into: History | None = None) -> History:
    into = into or History()
    for told_ms in times_ms:
        into.add(key, told_ms, 1.0, (7, 1), SOME)
    return into


def times(of: History, data_type: str = "wine", since_ms: int = 0) -> list[list[int]]:
    return [[point[0] for point in points] for _, points in of.of(data_type, since_ms)]


# --- What is kept


def test_a_point_has_what_was_told() -> None:
    kept = History()
    kept.add(("wine", "tree"), NOW_MS, 1.5, (7, 1), SOME)
    kept.add(("wine", "tree"), NOW_MS + 1, 2.5, (0, 0), NONE)
    ((key, (first, second)),) = kept.of("wine", 0)
    assert key == ("wine", "tree")
    assert first == (NOW_MS, 1.5, 7, 1, 2.0, 9.5)
    assert second[:4] == (NOW_MS + 1, 2.5, 0, 0)
    assert all(math.isnan(quantile) for quantile in second[4:])


def test_series_are_told_apart_and_the_one_told_of_last_is_first() -> None:
    kept = filled(NOW_MS + 1, NOW_MS + 5)
    filled(NOW_MS + 9, key=("wine", "net"), into=kept)
    filled(NOW_MS + 7, key=("wine", "oak"), into=kept)
    filled(NOW_MS + 11, key=("beer", "tree"), into=kept)
    assert [key[1] for key, _ in kept.of("wine", 0)] == ["net", "oak", "tree"]
    assert times(kept, since_ms=NOW_MS + 5) == [[NOW_MS + 9], [NOW_MS + 7]]
    assert times(kept, "beer") == [[NOW_MS + 11]]
    assert times(kept, "tea") == []


def test_what_is_not_newer_is_passed_over() -> None:
    assert times(filled(NOW_MS, NOW_MS, NOW_MS - 1, NOW_MS + 1)) == [[NOW_MS, NOW_MS + 1]]


def test_what_is_older_than_ten_minutes_is_forgotten() -> None:
    assert times(filled(NOW_MS, NOW_MS + 1, NOW_MS + SPAN_MS)) == [[NOW_MS + 1, NOW_MS + SPAN_MS]]


def test_points_are_bounded() -> None:
    kept = filled(*range(NOW_MS, NOW_MS + 3 * MOST_POINTS))
    assert times(kept) == [list(range(NOW_MS + 2 * MOST_POINTS, NOW_MS + 3 * MOST_POINTS))]


def test_series_are_bounded_and_one_that_goes_on_is_not_driven_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_SERIES", 2)
    kept = filled(NOW_MS, key=("a",))
    filled(NOW_MS + 1, key=("b",), into=kept)
    filled(NOW_MS + 2, key=("c",), into=kept)
    filled(NOW_MS + 3, key=("a",), into=kept)
    assert [times(kept, name) for name in "abc"] == [[[NOW_MS, NOW_MS + 3]], [[NOW_MS + 1]], []]
    filled(NOW_MS + 1 + SPAN_MS, key=("c",), into=kept)
    assert [len(times(kept, name)) for name in "abc"] == [1, 0, 1], "b had ended"


def test_one_that_goes_on_does_not_keep_those_that_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start they come as partitions are read, the newest perhaps first."""
    monkeypatch.setattr(history, "MOST_SERIES", 3)
    kept = filled(NOW_MS, key=("a",))
    for name in "bc":
        filled(NOW_MS - SPAN_MS, key=(name,), into=kept)
    filled(NOW_MS, NOW_MS + 1, NOW_MS + 2, key=("d",), into=kept)
    filled(NOW_MS, NOW_MS + 1, NOW_MS + 2, key=("e",), into=kept)
    assert [len(times(kept, name)) for name in "abcde"] == [1, 0, 0, 1, 1]


# --- What is answered


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> int:
    """The service's time."""
    monkeypatch.setattr("modelserving.query.app.time.time_ns", lambda: NOW_MS * 1_000_000)
    return NOW_MS


def told(version: str, age_s: int, served: int = 10) -> Message:
    recent = Recent(seconds=1, served=served, rejected=2, latency_ms=SOME if served else NONE)
    return stats_message(stats(version=version, recent=recent, updated_ms=NOW_MS - 1000 * age_s))


def decided(age_s: int) -> Message:
    recent = RecentDecisions(seconds=1, decided=40, at_deadline=4, decision_ms=SOME)
    return policy_message(policy(recent=recent, updated_ms=NOW_MS - 1000 * age_s))


def answer(messages: Sequence[Message], path: str = "/api/history/wine") -> Any:
    with client_of(service_of(messages)) as client:
        found = client.get(path)
    assert found.status_code == 200, found.text
    return orjson.loads(found.content)


def ages_s(of: Sequence[dict[str, int]]) -> list[int]:
    return [(NOW_MS - point["updated_ms"]) // 1000 for point in of]


def test_versions_and_decisions_of_ten_minutes(now: int) -> None:
    messages = [told("1", 601), told("1", 9), told("1", 8), told("2", 7, served=0), decided(700), decided(5)]
    found = answer(messages)
    assert (found["at_ms"], found["data_type"]) == (now, "wine")
    assert [(each["name"], each["model_version"], each["model_sha256"]) for each in found["versions"]] == [
        ("tree", "2", "sha-tree-2"),
        ("tree", "1", "sha-tree-1"),
    ]
    second, first = (each["points"] for each in found["versions"])
    assert (ages_s(first), ages_s(second)) == ([9, 8], [7])
    assert first[0] == {
        "updated_ms": now - 9000,
        "seconds": 1.0,
        "served": 10,
        "rejected": 2,
        "p50": 2.0,
        "p99": 9.5,
    }
    assert (second[0]["served"], second[0]["p50"], second[0]["p99"]) == (0, None, None)
    assert found["decisions"] == [
        {"updated_ms": now - 5000, "seconds": 1.0, "decided": 40, "at_deadline": 4, "p50": 2.0, "p99": 9.5}
    ]


def test_rejections_before_a_model_is_asked_have_a_series(now: int) -> None:
    before = ServingStats(data_type="wine", recent=Recent(seconds=1, rejected=5), updated_ms=now)
    ((version),) = answer([stats_message(before)])["versions"]
    assert (version["name"], version["points"][0]["rejected"]) == ("", 5)


def test_versions_that_were_added_up_have_none(now: int) -> None:
    earlier = stats("(earlier versions)", "part 0", updated_ms=now)
    earlier.model_sha256 = ""
    assert answer([stats_message(earlier)])["versions"] == []


@pytest.mark.usefixtures("now")
def test_versions_are_limited() -> None:
    messages = [told(str(number), 20 - number) for number in range(9)]
    found = answer(messages, "/api/history/wine?limit=2")["versions"]
    assert [each["model_version"] for each in found] == ["8", "7"], "those that were told of last"


@pytest.mark.usefixtures("now")
def test_names_may_hold_anything() -> None:
    message = stats_message(stats(data_type="red/wine ü", updated_ms=NOW_MS))
    assert len(answer([message], "/api/history/red%2Fwine%20%C3%BC")["versions"]) == 1
    unnamed = stats_message(ServingStats(updated_ms=NOW_MS))
    assert answer([unnamed], "/api/history/")["data_type"] == ""


@pytest.mark.parametrize("message", [event_message(event(EventKind.RECEIVED)), decided(700), told("1", 700)])
@pytest.mark.usefixtures("now")
def test_of_a_data_type_of_which_nothing_was_told_lately_there_is_nothing(message: Message) -> None:
    found = answer([message])
    assert (found["versions"], found["decisions"]) == ([], [])


@pytest.mark.usefixtures("now")
def test_the_answer_follows_the_view() -> None:
    service = service_of([told("1", 9)])
    with client_of(service) as client:
        assert len(client.get("/api/history/wine").json()["versions"][0]["points"]) == 1
        service.view.apply([told("1", 8)])
        assert len(client.get("/api/history/wine").json()["versions"][0]["points"]) == 2


def test_what_was_read_is_forgotten_when_all_is_read_anew() -> None:
    view = View(TOPICS)
    view.apply([told("1", 9), decided(9)])
    assert view.stats.history.of("wine", 0)
    assert view.policies.history.of("wine", 0)
    view.clear()
    assert not view.stats.history.of("wine", 0)
    assert not view.policies.history.of("wine", 0)

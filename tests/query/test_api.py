"""The endpoints: what they answer, and how they say no."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from modelserving.query.encoding import encode
from modelserving.query.messages import result as plain_result
from modelserving.query.progress import Progress
from modelserving.query.stream import MOST_LISTENERS
from modelserving.wire.serving_pb2 import EventKind, Reason
from modelserving.wire.stats_pb2 import ServingStats
from tests.query.cases import (
    EVERYTHING,
    NOW_MS,
    FakeResults,
    client_of,
    event,
    event_message,
    rejected,
    rejected_message,
    result,
    service_of,
    stats,
    stats_message,
)

Get = Callable[[str], Any]


@pytest.fixture
def client() -> Iterator[TestClient]:
    """A client of a service that has read `EVERYTHING`, and of three results."""
    results = FakeResults([encode(plain_result(result(number, label="5"))) for number in (3, 2, 1)])
    with client_of(service_of(results=results)) as client:
        yield client


def get(client: TestClient, path: str) -> Any:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    return orjson.loads(answer.content)


def refused(client: TestClient, path: str, status: int, **arguments: Any) -> str:
    """The `error` of an answer, which must have a remedy too."""
    answer = client.get(path, **arguments)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    problem = orjson.loads(answer.content)
    assert list(problem) == ["error", "remedy"]
    assert problem["remedy"]
    return str(problem["error"])


def test_stats(client: TestClient) -> None:
    answer = get(client, "/api/stats")
    assert answer["at_ms"] > 1_600_000_000_000
    assert [(one["name"], one["model_version"], one["served"]) for one in answer["stats"]] == [
        ("", "", 0),
        ("tree", "1", 3),
        ("tree", "2", 2),
    ]
    totals = {"data_type": "wine", "served": 5, "errors": 2, "rejected": {"MALFORMED": 5, "MODEL_FAILED": 2}}
    assert answer["totals"] == [totals | {"updated_ms": NOW_MS}]


def test_of_many_versions_those_are_told_that_serve_or_served_last() -> None:
    """However many there are, an answer has few of each data type, and totals over all."""
    told = [stats(version=str(number), updated_ms=NOW_MS + number, rejected={"A": 1}) for number in range(100)]
    others = [stats(data_type="beer", version="7"), ServingStats(data_type="wine", rejected={"B": 9}, served=1)]
    earlier = stats("(earlier versions)", "part 0", served=40, updated_ms=NOW_MS - 1)
    earlier.model_sha256 = ""
    serves = event(EventKind.SERVING, "3", instance="partitioned-join 1/1")
    service = service_of([*map(stats_message, [*told, *others, earlier]), event_message(serves)])
    with client_of(service) as client:
        answer = get(client, "/api/stats")
        wine = get(client, "/api/stats?data_type=wine")
        tea = get(client, "/api/stats?data_type=tea")
    shown = {(each["data_type"], each["name"], each["model_version"]) for each in answer["stats"]}
    lately = {("wine", "tree", str(number)) for number in (3, *range(90, 100))}
    assert shown == lately | {("beer", "tree", "7"), ("wine", "", ""), ("wine", "(earlier versions)", "part 0")}
    totals = {each["data_type"]: (each["served"], each["rejected"]) for each in answer["totals"]}
    assert totals == {"beer": (3, {}), "wine": (341, {"A": 100, "B": 9})}
    assert {each["model_version"] for each in wine["stats"]} == {"", "part 0", *map(str, range(100))}
    assert sum(each["served"] for each in wine["stats"]) == wine["totals"][0]["served"] == 341
    assert (tea["stats"], [each["served"] for each in tea["totals"]]) == ([], [0])
    snapshot = service.snapshot().decode()
    assert snapshot.count("event: stats\n") == len(shown)
    assert snapshot.count("event: totals\n") == 2


def test_stats_of_a_model(client: TestClient) -> None:
    answer = get(client, "/api/stats/wine/tree")
    assert [one["model_version"] for one in answer["versions"]] == ["1", "2"]
    assert (answer["latency_ms"]["count"], answer["latency_ms"]["max"]) == (5, 20.0)


def test_names_may_hold_anything() -> None:
    with client_of(service_of([stats_message(stats(name="a/b ü?", data_type="red wine"))])) as client:
        answer = get(client, "/api/stats/red%20wine/a%2Fb%20%C3%BC%3F")
    assert (answer["data_type"], answer["model"]) == ("red wine", "a/b ü?")


def test_slashes_in_names_are_told_from_those_between_them() -> None:
    told = [stats(name="a/b", data_type="red/wine"), stats(name="wine/a/b", data_type="red")]
    served = event(EventKind.SERVING, data_type="red/wine", instance="keyed-join 1/1")
    with client_of(service_of([*map(stats_message, told), event_message(served)])) as client:
        for path in ("red%2Fwine/a%2Fb", "red%2fwine/a/b"):
            assert get(client, f"/api/stats/{path}")["data_type"] == "red/wine"
        assert get(client, "/api/stats/red/wine/a/b")["data_type"] == "red"
        assert get(client, "/api/models/red%2Fwine") == get(client, "/api/models/red/wine")
        refused(client, "/api/stats/red%2Fwine", 404)
        refused(client, "/api/models/red", 404)


def test_a_data_type_without_a_name_can_be_asked_for() -> None:
    with client_of(service_of([stats_message(ServingStats(rejected={"UNKNOWN_DATA_TYPE": 3}))])) as client:
        (version,) = get(client, "/api/stats//")["versions"]
    assert version["rejected"] == {"UNKNOWN_DATA_TYPE": 3}


def test_what_is_rejected_before_a_model_is_asked_is_under_an_empty_name(client: TestClient) -> None:
    (version,) = get(client, "/api/stats/wine/")["versions"]
    assert version["rejected"] == {"MALFORMED": 5}


def test_models(client: TestClient) -> None:
    (wine,) = get(client, "/api/models")["data_types"]
    assert wine == get(client, "/api/models/wine")
    assert [each["instance"] for each in wine["serving"]] == ["partitioned-join 1/1"]
    assert {version["version"]: version["state"] for version in wine["versions"]} == {"1": "SERVING", "2": "REJECTED"}


def test_events(client: TestClient) -> None:
    kinds = [told["kind"] for told in get(client, "/api/events")["events"]]
    assert kinds == ["REJECTED", "SERVING", "ADMITTED", "RECEIVED"]
    assert len(get(client, "/api/events?limit=2")["events"]) == 2
    assert len(get(client, "/api/events?data_type=wine&limit=3")["events"]) == 3
    assert get(client, "/api/events?data_type=beer")["events"] == []


def test_rejected(client: TestClient) -> None:
    answer = get(client, "/api/rejected")
    assert answer["records"] == {"total": 7, "by_reason": {"MALFORMED": 5, "MODEL_FAILED": 2}}
    assert answer["models"] == {"total": 1, "by_reason": {"CONFLICT": 1}}
    assert [(one["kind"], one["reason"]) for one in answer["sample"]] == [
        ("model", "CONFLICT"),
        ("record", "MALFORMED"),
    ]
    assert len(get(client, "/api/rejected?limit=1")["sample"]) == 1


def test_rejected_of_a_data_type() -> None:
    messages = [
        stats_message(stats(rejected={"MODEL_FAILED": 2})),
        stats_message(stats(data_type="beer", rejected={"MALFORMED": 3})),
        event_message(event(EventKind.REJECTED, reason=Reason.CONFLICT), 0),
        event_message(event(EventKind.REJECTED, reason=Reason.UNSAFE, data_type="beer"), 1),
        *(rejected_message(rejected(f"beer {number}", data_type="beer"), number) for number in range(3)),
        rejected_message(rejected("wine", NOW_MS - 1, data_type="wine"), 3),
    ]
    with client_of(service_of(messages)) as client:
        answer = get(client, "/api/rejected?data_type=wine&limit=1")
        nothing = get(client, "/api/rejected?data_type=tea")
    assert answer["records"] == {"total": 2, "by_reason": {"MODEL_FAILED": 2}}
    assert answer["models"] == {"total": 1, "by_reason": {"CONFLICT": 1}}
    assert [one["detail"] for one in answer["sample"]] == ["wine"]
    assert (nothing["records"]["total"], nothing["models"]["total"], nothing["sample"]) == (0, 0, [])


def test_results(client: TestClient) -> None:
    answer = get(client, "/api/results?limit=2")
    assert [one["record"]["offset"] for one in answer["results"]] == [3, 2]
    assert answer["results"][0]["label"] == "5"


def test_results_that_cannot_be_read_are_told() -> None:
    with client_of(service_of(results=FakeResults(fault="Kafka at x: gone"))) as client:
        assert refused(client, "/api/results", 503) == "results cannot be read: Kafka at x: gone"


def test_answers_follow_the_view() -> None:
    service = service_of([])
    with client_of(service) as client:
        assert get(client, "/api/stats")["stats"] == get(client, "/api/events")["events"] == []
        assert get(client, "/api/rejected")["records"]["total"] == 0
        service.view.apply(EVERYTHING)
        assert len(get(client, "/api/stats")["stats"]) == 3
        assert len(get(client, "/api/events")["events"]) == 4
        assert get(client, "/api/rejected")["records"]["total"] == 7
        service.view.apply(
            [event_message(event(EventKind.REPLACED, instance="partitioned-join 1/1", at_ms=NOW_MS + 9))]
        )
        assert get(client, "/api/models/wine")["serving"] == []


def test_an_answer_is_made_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    service = service_of()
    made: list[int] = []
    totals = service.view.stats.totals

    def counted() -> list[bytes]:
        made.append(service.view.revision)
        return totals()

    monkeypatch.setattr(service.view.stats, "totals", counted)
    monkeypatch.setattr("modelserving.query.app.time.time_ns", lambda: NOW_MS * 1_000_000)
    with client_of(service) as client:
        for _ in range(5):
            get(client, "/api/stats")
        service.view.apply([])
        get(client, "/api/stats")
    assert len(made) == 2


@pytest.mark.parametrize("limit", ["0", "501", "-1", "x", "", "1e2", "99999999999999999999", "٣"])
@pytest.mark.parametrize("path", ["/api/events", "/api/history/wine", "/api/rejected", "/api/results"])
def test_limits_out_of_bounds_are_refused(client: TestClient, path: str, limit: str) -> None:
    assert "limit" in refused(client, path, 400, params={"limit": limit})


@pytest.mark.parametrize(
    "path",
    [
        "/api/stats?limit=1",
        f"/api/stats?data_type={'x' * 257}",
        "/api/models?limit=1",
        "/api/history/wine?data_type=wine",
        "/api/events?limti=1",
        "/api/events?limit=1&limit=2",
        "/api/stream?x=",
        "/metrics?x=1",
        "/readyz?x=1",
        f"/api/events?data_type={'x' * 257}",
    ],
)
def test_parameters_that_nobody_knows_are_refused(client: TestClient, path: str) -> None:
    refused(client, path, 400)


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/stats/",
        "/api/models/beer",
        "/api/history/beer",
        "/api/stats/wine/net",
        "/nothing",
        "/static/../app.py",
    ],
)
def test_what_is_not_there_is_told(client: TestClient, path: str) -> None:
    refused(client, path, 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/api/stats", "/api/stream", "/metrics", "/"])
def test_it_only_reads(client: TestClient, method: str, path: str) -> None:
    answer = client.request(method, path)
    assert answer.status_code == 405
    assert "GET" in answer.headers["allow"]
    assert orjson.loads(answer.content)["remedy"] == "the service only reads: use GET"


def test_a_bug_is_no_bare_error(monkeypatch: pytest.MonkeyPatch) -> None:
    service = service_of()
    monkeypatch.setattr(service.view.stats, "totals", lambda: 1 / 0)
    with client_of(service) as client:
        assert refused(client, "/api/stats", 500) == "the service has a bug"


@pytest.mark.parametrize(
    ("progress", "now_s", "reason"),
    [
        (Progress(), 0, "nothing is read yet"),
        (Progress(left=12, heard_s=0), 0, "12 messages are still to be read"),
        (Progress(fault="no topic"), 0, "nothing is read yet: no topic"),
        (Progress(caught_up=True, heard_s=0), 40, "the broker has not answered for 40 s"),
        (Progress(caught_up=True, heard_s=0, fault="refused"), 40, "the broker has not answered for 40 s: refused"),
        (Progress(caught_up=True, heard_s=0, ended=True, fault="E"), 0, "the reader of the topics has ended: E"),
    ],
)
def test_not_ready(progress: Progress, now_s: float, reason: str) -> None:
    with client_of(service_of(progress=progress, clock_s=lambda: now_s)) as client:
        assert refused(client, "/readyz", 503) == reason
        assert client.get("/readyz").headers["retry-after"] == "1"
        if progress.ended:
            assert refused(client, "/healthz", 503) == reason
        else:
            assert get(client, "/healthz") == {"status": "alive"}


def test_ready(client: TestClient) -> None:
    assert get(client, "/readyz") == {"status": "ready"}
    assert get(client, "/healthz") == {"status": "alive"}


@pytest.mark.parametrize(
    "path", ["/api/stats", "/api/history/wine", "/api/models", "/api/events", "/api/rejected", "/api/stream"]
)
def test_half_a_view_is_not_shown(path: str) -> None:
    with client_of(service_of(progress=Progress(left=12, heard_s=0))) as client:
        assert refused(client, path, 503) == "12 messages are still to be read"


def test_a_whole_view_is_shown_while_the_broker_is_away() -> None:
    with client_of(service_of(clock_s=lambda: 1000.0)) as client:
        assert len(get(client, "/api/stats")["stats"]) == 3


def test_too_many_listeners_are_refused() -> None:
    service = service_of()
    with client_of(service) as client:
        for _ in range(MOST_LISTENERS):
            service.hub.join()
        assert refused(client, "/api/stream", 503) == f"{MOST_LISTENERS} clients listen already"


def test_the_page_is_served(client: TestClient) -> None:
    answer = client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"

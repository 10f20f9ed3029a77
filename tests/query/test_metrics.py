"""The metrics, read back with Prometheus' own parser."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from modelserving.query import exposition, metrics
from modelserving.query.exposition import Family
from modelserving.query.progress import Progress
from modelserving.query.service import Service
from modelserving.wire.serving_pb2 import EventKind
from modelserving.wire.stats_pb2 import ServingStats
from tests.query.cases import EVERYTHING, NOW_MS, TOPICS, Message, client_of, event, event_message, service_of, stats
from tests.query.cases import stats_message as message

LABELS = (
    *("data_type", "model", "version", "sha256", "instance", "reason", "why", "state", "first", "second"),
    *("quantile", "feature", "topic"),
)
Samples = dict[str, dict[tuple[str, ...], float]]


def scraped(service: Service) -> Samples:
    """Name → values of its labels, in the order of `LABELS` → value."""
    with client_of(service) as client:
        answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    found: Samples = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.documentation
        for sample in family.samples:
            series = found.setdefault(sample.name, {})
            assert set(sample.labels) <= set(LABELS)
            labels = tuple(sample.labels[name] for name in LABELS if name in sample.labels)
            assert labels not in series, f"{sample.name}{labels} is there twice"
            series[labels] = sample.value
    return found


def test_totals() -> None:
    found = scraped(service_of())
    assert found["modelserving_served_total"] == {("wine", "tree", "1"): 3, ("wine", "tree", "2"): 2}
    assert found["modelserving_errors_total"] == {("wine", "tree", "1"): 2, ("wine", "tree", "2"): 0}
    assert found["modelserving_rejected_total"] == {
        ("wine", "", "", "MALFORMED"): 5,
        ("wine", "tree", "1", "MODEL_FAILED"): 2,
    }
    models = found["modelserving_rejected_models_total"]
    assert {reason for (reason,), count in models.items() if count} == {"CONFLICT"}
    assert {("MALFORMED",), ("FAILED_GATE",), ("OVERSIZE",)} <= set(models), "a series must not begin at 1"


def test_times_are_in_seconds() -> None:
    told = stats(latencies=[100.0] * 10)
    told.recent.latency_ms.count = 1
    told.recent.latency_ms.p99 = 250.0
    told.score_time_us.count = 1
    told.score_time_us.p50 = 40.0
    found = scraped(service_of([message(told)]))
    assert found["modelserving_latency_seconds"]["wine", "tree", "1", "0.99"] == 0.1
    assert found["modelserving_recent_latency_seconds"]["wine", "tree", "1", "0.99"] == 0.25
    assert round(found["modelserving_score_time_seconds"]["wine", "tree", "1", "0.5"], 9) == 40e-6
    assert "modelserving_recent_score_time_seconds" not in found, "nothing was scored lately"
    assert found["modelserving_stats_updated_timestamp_seconds"]["wine", "tree", "1"] == NOW_MS / 1000


def test_rates_and_drift() -> None:
    told = stats()
    told.recent.served_per_s, told.recent.rejected_per_s = 120.5, 3.0
    told.drift.score_psi, told.drift.drifted, told.drift.changed_ms = 0.5, True, NOW_MS
    told.drift.feature_psi["pH"] = 0.25
    found = scraped(service_of([message(told)]))
    version = ("wine", "tree", "1")
    assert found["modelserving_served_per_second"][version] == 120.5
    assert found["modelserving_rejected_per_second"][version] == 3.0
    assert found["modelserving_drift_score_psi"][version] == 0.5
    assert found["modelserving_drift_feature_psi"][(*version, "pH")] == 0.25
    assert found["modelserving_drifted"][version] == 1
    assert found["modelserving_drift_changed_timestamp_seconds"][version] == NOW_MS / 1000
    assert scraped(service_of([message(stats())]))["modelserving_drift_changed_timestamp_seconds"][version] == 0


def test_what_each_instance_serves() -> None:
    found = scraped(service_of())
    serving = ("wine", "tree", "1", "sha-tree-1", "partitioned-join 1/1")
    assert found["modelserving_serving_info"] == {serving: 1}
    assert found["modelserving_serving_since_timestamp_seconds"] == {serving: (NOW_MS + 2) / 1000}


def test_labels_may_hold_anything() -> None:
    name = 'a"b\\c\nd{e="f"} ü'
    told = event_message(event(EventKind.SERVING, model_name=name, instance="partitioned-join 1/1"))
    found = scraped(service_of([message(stats(name=name)), told]))
    assert found["modelserving_served_total"] == {("wine", name, "1"): 3}
    assert ("wine", name, "1", "sha-tree-1", "partitioned-join 1/1") in found["modelserving_serving_info"]


def test_the_same_version_with_other_bytes_is_one_series() -> None:
    newer = stats(model_sha256="other", served=4, updated_ms=NOW_MS + 1)
    newer.recent.served_per_s = 7.0
    found = scraped(service_of([message(newer), message(stats())]))
    assert found["modelserving_served_total"] == {("wine", "tree", "1"): 7}
    assert found["modelserving_served_per_second"] == {("wine", "tree", "1"): 7.0}


def test_the_reader() -> None:
    progress = Progress(caught_up=True, lag=12, heard_s=0.0)
    service = service_of([*EVERYTHING, Message(TOPICS.model_events, b"\xff")], progress=progress)
    service.hub.join()
    found = scraped(service)
    assert found["modelserving_query_ready"] == {(): 1}
    assert found["modelserving_query_lag_messages"] == {(): 12}
    assert found["modelserving_query_listeners"] == {(): 1}
    assert found["modelserving_query_undecodable_total"] == {("model-events",): 1}
    assert found["modelserving_query_last_heard_timestamp_seconds"][()] > 1_600_000_000


def test_half_read_totals_are_not_told() -> None:
    found = scraped(service_of(EVERYTHING, progress=Progress(left=12, heard_s=0.0)))
    assert found["modelserving_query_ready"] == {(): 0}
    assert not [name for name in found if not name.startswith("modelserving_query_")]


def test_a_job_that_tells_nothing_any_more_has_no_rates_and_no_drift() -> None:
    told = stats(updated_ms=1_600_000_000_000)
    told.recent.served_per_s = 120.5
    told.drift.drifted = True
    found = scraped(service_of([message(told)]))
    assert "modelserving_served_per_second" not in found
    assert "modelserving_drifted" not in found
    assert found["modelserving_served_total"] == {("wine", "tree", "1"): 3}


def test_before_anything_is_read() -> None:
    found = scraped(service_of([], progress=Progress()))
    assert found["modelserving_query_ready"] == {(): 0}
    assert found["modelserving_query_last_heard_timestamp_seconds"] == {(): 0}


def test_the_text_is_made_once_a_second_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    service = service_of()
    with client_of(service) as client:
        first = client.get("/metrics").content
        service.view.apply([message(stats(served=9))])
        assert client.get("/metrics").content == first
        monkeypatch.setattr(metrics, "FRESH_S", 0.0)
        assert b'modelserving_served_total{data_type="wine",model="tree",version="1"} 9.0' in (
            client.get("/metrics").content
        )


def test_lines_of_what_did_not_change_are_not_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "FRESH_S", 0.0)
    made: list[str] = []

    def counted(told: ServingStats, families: Iterable[Family]) -> list[bytes]:
        made.append(told.model_version)
        return exposition.lines(told, families)

    monkeypatch.setattr(metrics, "lines", counted)
    service = service_of([message(stats(version=str(number))) for number in range(9)])
    with client_of(service) as client:
        client.get("/metrics")
        assert set(made) == set("012345678")
        made.clear()
        service.view.apply([message(stats(version="3", served=7))])
        client.get("/metrics")
    assert set(made) == {"3"}


def test_others_are_answered_while_the_text_is_made() -> None:
    service = service_of([message(stats(version=str(number))) for number in range(500)])

    async def run() -> int:
        making = asyncio.create_task(metrics.Metrics(service, lambda: NOW_MS).text())
        others = 0
        while not making.done():
            await asyncio.sleep(0)
            others += 1
        return others

    assert asyncio.run(run()) >= 10


def test_what_is_gone_is_not_told() -> None:
    gone = message(stats(version="2"))
    found = scraped(service_of([message(stats()), gone, Message(TOPICS.serving_stats, None, gone.key)]))
    assert found["modelserving_served_total"] == {("wine", "tree", "1"): 3}


def test_what_was_added_up_is_not_told_as_if_it_were_served_now() -> None:
    earlier = stats(name="(earlier versions)", version="part 0", served=9000)
    earlier.model_sha256 = ""
    found = scraped(service_of([message(stats()), message(earlier)]))
    assert found["modelserving_served_total"] == {("wine", "tree", "1"): 3}

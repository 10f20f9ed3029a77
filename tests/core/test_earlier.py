"""What is forgotten of the statistics, and what stays of it."""

from __future__ import annotations

import pytest

from modelserving.statistics import earlier
from modelserving.statistics.deltas import key_of
from modelserving.statistics.earlier import AtRest, add_to_earlier, is_earlier, is_of_version, key_of_earlier
from modelserving.statistics.keys import policy_key
from modelserving.statistics.totals import Totals
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import StatsDelta
from tests.core.test_totals import NOW_MS, delta


def key(version: str, data_type: str = "wine", sha256: str = "ab") -> bytes:
    model = ModelDescriptor(name="m", version=version, sha256=sha256)
    return key_of(StatsDelta(data_type=data_type, model=model))


def test_those_that_rest_longest_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier, "MOST_AT_REST", 2)
    resting = AtRest([key("1"), key("2"), key("3"), key("1", "beer")])
    resting.discard(key("1"))
    assert resting.excess() == []
    resting.add(key("1"))
    resting.add(key("4"))
    assert resting.excess() == [("wine", key("2")), ("wine", key("3"))]
    assert resting.excess() == []


@pytest.mark.parametrize("kept", [policy_key("wine"), key("", sha256=""), key_of_earlier("wine", "0")])
def test_what_is_of_no_version_is_not_forgotten(kept: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(earlier, "MOST_AT_REST", 0)
    assert not is_of_version(kept)
    assert AtRest([kept]).excess() == []


def test_nothing_that_was_counted_is_lost() -> None:
    row = Totals()
    for number in (1, 2):
        ended = Totals()
        failed = StatsDelta(data_type="wine", rejected={Reason.MODEL_FAILED: 1, Reason.NO_MODEL: 2})
        ended.add([delta(10 * number, 1000, 20 * number, NOW_MS + number), failed], 1.0, NOW_MS)
        add_to_earlier(row, ended, "5", NOW_MS + 9)
        row = Totals(row.encode())
    stats = row.stats
    assert is_earlier(stats)
    assert (stats.data_type, stats.name, stats.model_version) == ("wine", "(earlier versions)", "part 5")
    assert (stats.served, stats.usage, stats.errors, dict(stats.rejected)) == (
        30,
        30,
        2,
        {"MODEL_FAILED": 2, "NO_MODEL": 4},
    )
    assert (stats.min, stats.max, stats.duration) == (50, 100, 2000)
    assert (stats.since, stats.last_served_ms, stats.updated_ms) == (NOW_MS + 1, NOW_MS + 2, NOW_MS + 9)
    assert (stats.latency_ms.count, stats.latency_ms.min, stats.latency_ms.max) == (30, 20, 40)
    assert (stats.score_time_us.count, stats.recent.served) == (30, 0)


def test_what_only_rejected_adds_no_times() -> None:
    row, ended = Totals(), Totals()
    row.absorb(ended, NOW_MS)
    assert (row.stats.since, row.stats.min, row.stats.latency_ms.count) == (0, 0, 0)

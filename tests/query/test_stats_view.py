"""The latest statistics of each key, as plain JSON, and their quantiles over several versions."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import orjson
import pytest
from google.protobuf.message import DecodeError

from modelserving.query import data_type_stats
from modelserving.query.stats_view import StatsView
from modelserving.wire.stats_pb2 import ServingStats
from tests.query.cases import NOW_MS, stats, stats_message


def view_of(*told: ServingStats) -> StatsView:
    view = StatsView()
    for each in told:
        message = stats_message(each)
        view.apply(message.key, message.value)
    return view


def shown(view: StatsView) -> list[Any]:
    return [orjson.loads(encoded) for encoded in view.encoded()]


def test_every_field_is_there_but_the_sketches() -> None:
    fields = {field.name for field in ServingStats.DESCRIPTOR.fields}
    (one,) = shown(view_of(ServingStats(data_type="wine")))
    assert set(one) == fields - {"score_time_sketch", "latency_sketch"}
    assert one["recent"]["latency_ms"] == {"count": 0, "min": 0, "p50": 0, "p90": 0, "p99": 0, "p999": 0, "max": 0}
    assert one["scores"] == {"labels": {}, "edges": [], "counts": []}
    assert one["drift"]["feature_psi"] == {}


def test_values_are_numbers_and_names() -> None:
    told = stats(usage=2**53 + 1, rejected={"MODEL_FAILED": 3})
    told.scores.labels["5"] = 4
    told.scores.edges.extend([0.5, 1.5])
    told.drift.drifted = True
    (one,) = shown(view_of(told))
    assert (one["usage"], one["since"], one["modelType"]) == (2**53 + 1, NOW_MS, "PMML")
    assert (one["rejected"], one["scores"]["labels"], one["scores"]["edges"]) == (
        {"MODEL_FAILED": 3},
        {"5": 4},
        [0.5, 1.5],
    )
    assert one["drift"]["drifted"] is True
    assert one["latency_ms"]["max"] == 3.0


def test_numbers_that_json_has_no_word_for_are_null() -> None:
    told = stats()
    told.drift.score_psi = float("nan")
    (one,) = shown(view_of(told))
    assert one["drift"]["score_psi"] is None


def test_model_type_of_a_later_release_is_a_number() -> None:
    told = ServingStats.FromString(b"\x18\x63")
    (one,) = shown(view_of(told))
    assert one["modelType"] == "99"


def test_the_latest_message_of_a_key_wins() -> None:
    view = view_of(stats(served=1), stats(version="2"), stats(served=9))
    assert [(one["model_version"], one["served"]) for one in shown(view)] == [("1", 9), ("2", 3)]


def test_a_tombstone_removes_its_key() -> None:
    view = view_of(stats(), stats(version="2"))
    view.apply(stats_message(stats()).key, None)
    assert [one["model_version"] for one in shown(view)] == ["2"]


def test_garbage_changes_nothing() -> None:
    view = view_of(stats())
    with pytest.raises(DecodeError):
        view.apply(stats_message(stats()).key, b"\xff\xff")
    assert [one["served"] for one in shown(view)] == [3]


def test_sorted_by_data_type_and_since() -> None:
    view = view_of(
        stats(version="3", since=30), stats(version="1", since=10, data_type="beer"), stats(version="2", since=20)
    )
    assert [one["model_version"] for one in shown(view)] == ["1", "2", "3"]


def test_rejected_records_are_added_up() -> None:
    view = view_of(stats(rejected={"A": 1, "B": 2}), stats(version="2", rejected={"B": 3}), stats(version="3"))
    assert view.rejected() == {"A": 1, "B": 5}


def test_sums_beyond_64_bits_can_still_be_shown() -> None:
    view = view_of(stats(rejected={"A": 2**62}), stats(version="2", rejected={"A": 2**62}))
    assert orjson.loads(orjson.dumps(view.rejected())) == {"A": 2**63 - 1}


def model(view: StatsView, name: str = "tree") -> Any:
    encoded = view.of_model("wine", name)
    return None if encoded is None else orjson.loads(encoded)


def test_quantiles_of_a_model_are_those_of_all_its_versions() -> None:
    view = view_of(
        stats(version="1", latencies=[float(number) for number in range(1, 51)]),
        stats(version="2", since=NOW_MS + 1, latencies=[float(number) for number in range(51, 101)]),
        stats(name="net", latencies=[1e6]),
        stats(version="9", data_type="beer", latencies=[1e6]),
    )
    shown = model(view)
    assert (shown["data_type"], shown["model"]) == ("wine", "tree")
    assert [one["model_version"] for one in shown["versions"]] == ["1", "2"]
    quantiles = shown["latency_ms"]
    assert (quantiles["count"], quantiles["min"], quantiles["max"]) == (100, 1.0, 100.0)
    assert abs(quantiles["p50"] - 50) <= 2
    assert abs(quantiles["p99"] - 99) <= 1
    assert shown["score_time_us"]["count"] == 100


def test_a_broken_sketch_is_left_out() -> None:
    broken = stats(version="2")
    broken.latency_sketch = b"no sketch at all"
    shown = model(view_of(stats(version="1"), broken))
    assert (shown["latency_ms"]["count"], shown["score_time_us"]["count"]) == (3, 6)


def test_without_any_sketch_quantiles_are_empty() -> None:
    shown = model(view_of(ServingStats(data_type="wine", name="tree")))
    assert shown["latency_ms"]["count"] == 0


def test_an_unknown_model_is_none_without_a_look_at_all() -> None:
    view = view_of(stats())
    view._sorted = lambda: pytest.fail("all were listed")  # type: ignore[method-assign]
    assert model(view, "net") is None
    view.apply(stats_message(stats()).key, None)
    assert model(view) is None


def test_rejections_are_those_of_the_latest_messages() -> None:
    view = view_of(
        stats(rejected={"A": 1, "B": 2}), stats(rejected={"B": 3}), stats(data_type="beer", rejected={"C": 1})
    )
    assert view.rejected() == {"B": 3, "C": 1}
    assert (view.rejected("wine"), view.rejected("beer"), view.rejected("tea")) == ({"B": 3}, {"C": 1}, {})
    view.apply(stats_message(stats()).key, None)
    assert view.rejected() == {"C": 1}


def lately(view: StatsView, *serving: str) -> list[str]:
    """The versions that are told at first, while these serve."""
    found = view.lately(lambda _: [("tree", version, f"sha-tree-{version}") for version in serving])
    return sorted(orjson.loads(encoded)["model_version"] for encoded in found)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more versions of a data type count as told of lately."""
    monkeypatch.setattr(data_type_stats, "MOST_LATELY", 2)


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("order", list(permutations("123")))
def test_the_versions_told_of_last_however_partitions_are_read(order: tuple[str, ...]) -> None:
    view = view_of(*(stats(version=version, updated_ms=NOW_MS + int(version)) for version in order))
    assert lately(view) == ["2", "3"]
    assert lately(view, "1", "2") == ["1", "2", "3"]
    assert lately(view, "9") == ["2", "3"], "nothing was told of it yet"


@pytest.mark.usefixtures("two")
def test_a_version_that_serves_again_is_told_and_one_that_is_gone_is_not() -> None:
    view = view_of(*(stats(version=version, updated_ms=NOW_MS + int(version)) for version in "1234"))
    message = stats_message(stats(version="1", updated_ms=NOW_MS + 9))
    view.apply(message.key, message.value)
    assert lately(view) == ["1", "4"]
    view.apply(message.key, None)
    assert lately(view, "1") == ["4"]
    view.apply(stats_message(stats(version="2")).key, None)
    assert lately(view) == ["4"]


@pytest.mark.usefixtures("two")
def test_each_data_type_has_its_own() -> None:
    view = view_of(*(stats(version=f"{kind} {number}", data_type=kind) for kind in ("ale", "wine") for number in "12"))
    assert lately(view) == ["ale 1", "ale 2", "wine 1", "wine 2"]


def totals(encoded: list[bytes]) -> list[tuple[str, int, int, dict[str, int]]]:
    found = [orjson.loads(each) for each in encoded]
    return [(each["data_type"], each["served"], each["errors"], each["rejected"]) for each in found]


def test_totals_are_over_all_messages_as_they_are_now() -> None:
    view = view_of(
        stats(served=3, errors=1, rejected={"MODEL_FAILED": 1}),
        stats(version="2", served=4),
        stats(version="2", served=6),
        ServingStats(data_type="wine", rejected={"MALFORMED": 2}),
        stats(data_type="beer", served=1),
    )
    wine = ("wine", 9, 1, {"MALFORMED": 2, "MODEL_FAILED": 1})
    assert totals(view.totals()) == [("beer", 1, 0, {}), wine]
    assert totals([view.totals_of("wine"), view.totals_of("tea")]) == [wine, ("tea", 0, 0, {})]
    view.apply(stats_message(stats()).key, None)
    assert totals(view.totals())[1:] == [("wine", 6, 0, {"MALFORMED": 2})]


def test_changed_totals_are_told_once() -> None:
    view = view_of(stats(served=3), stats(data_type="beer", served=1))
    assert totals(view.changed()) == [("beer", 1, 0, {}), ("wine", 3, 0, {})]
    assert view.changed() == []
    older = stats_message(stats(served=2, updated_ms=NOW_MS - 1))
    view.apply(older.key, older.value, partition=1)
    assert view.changed() == [], "it was no news"
    view.apply(older.key, None)
    assert totals(view.changed()) == [("wine", 0, 0, {})]
    assert totals(view.totals()) == [("beer", 1, 0, {})]


def test_totals_beyond_64_bits_can_still_be_shown() -> None:
    view = view_of(stats(served=2**62), stats(version="2", served=2**62))
    assert totals(view.totals()) == [("wine", 2**63 - 1, 0, {})]


def test_older_totals_do_not_win() -> None:
    newer, older = stats(served=9, updated_ms=NOW_MS + 2), stats(served=3, updated_ms=NOW_MS + 1)
    key = stats_message(newer).key
    for order in ((newer, older), (older, newer)):
        view = StatsView()
        for partition, each in enumerate(order):
            view.apply(key, each.SerializeToString(), partition)
        assert [one["served"] for one in shown(view)] == [9]


def test_in_a_partition_the_last_totals_win_whatever_the_clocks_of_machines_say() -> None:
    ahead, behind = stats(served=3, updated_ms=NOW_MS + 5_000), stats(served=9, updated_ms=NOW_MS)
    assert [one["served"] for one in shown(view_of(ahead, behind))] == [9]

"""What life-cycle events tell: versions and their states, and which instance serves which."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from modelserving.query import data_type_models, model_view
from modelserving.query.model_view import ModelView
from modelserving.wire.serving_pb2 import EventKind, LogPosition, ModelEvent, Reason
from tests.query.cases import NOW_MS, event

ONE, TWO = "partitioned-join 1/2", "partitioned-join 2/2"


def at(offset: int) -> LogPosition:
    return LogPosition(topic="models", offset=offset)


def of_instance(kind: EventKind, version: str, after_ms: int, instance: str = ONE, **fields: Any) -> ModelEvent:
    return event(kind, version, NOW_MS + after_ms, instance=instance, **fields)


def view_of(*events: ModelEvent) -> ModelView:
    view = ModelView()
    for each in events:
        view.apply(each)
    return view


def wine(view: ModelView) -> Any:
    encoded = view.encoded("wine")
    assert encoded is not None
    return orjson.loads(encoded)


def states(view: ModelView) -> dict[str, str]:
    return {version["version"]: version["state"] for version in wine(view)["versions"]}


def serving(view: ModelView) -> dict[str, str]:
    return {each["instance"]: each["version"] for each in wine(view)["serving"]}


def test_the_life_of_a_version() -> None:
    view = view_of(event(EventKind.RECEIVED))
    assert states(view) == {"1": "RECEIVED"}
    view.apply(event(EventKind.ADMITTED, at_ms=NOW_MS + 10))
    view.apply(of_instance(EventKind.LOADING, "1", 20))
    assert states(view) == {"1": "LOADING"}
    view.apply(of_instance(EventKind.SERVING, "1", 30, detail="evaluated by PMML4S: no tree"))
    view.apply(of_instance(EventKind.SERVING, "1", 40, TWO, detail="evaluated by PMML4S: no tree"))
    assert wine(view) == {
        "data_type": "wine",
        "serving": [
            {"instance": ONE, "name": "tree", "version": "1", "sha256": "sha-tree-1", "since_ms": NOW_MS + 30},
            {"instance": TWO, "name": "tree", "version": "1", "sha256": "sha-tree-1", "since_ms": NOW_MS + 40},
        ],
        "versions": [
            {
                "name": "tree",
                "version": "1",
                "sha256": "sha-tree-1",
                "state": "SERVING",
                "state_at_ms": NOW_MS + 40,
                "received_ms": NOW_MS,
                "admitted_ms": NOW_MS + 10,
                "serving_since_ms": NOW_MS + 30,
                "reason": "",
                "detail": "evaluated by PMML4S: no tree",
                "engine": "PMML4S",
                "instances": [ONE, TWO],
                "model_log_offset": 7,
            }
        ],
    }


def test_a_swap_goes_instance_by_instance() -> None:
    view = view_of(
        of_instance(EventKind.SERVING, "1", 0),
        of_instance(EventKind.SERVING, "1", 0, TWO),
        of_instance(EventKind.REPLACED, "1", 10),
        of_instance(EventKind.SERVING, "2", 10, position=at(8)),
    )
    assert serving(view) == {ONE: "2", TWO: "1"}
    view.apply(of_instance(EventKind.REPLACED, "1", 20, TWO))
    view.apply(of_instance(EventKind.SERVING, "2", 20, TWO, position=at(8)))
    assert serving(view) == {ONE: "2", TWO: "2"}
    assert states(view) == {"2": "SERVING", "1": "REPLACED"}
    first, second = wine(view)["versions"]
    assert (first["version"], first["serving_since_ms"], first["model_log_offset"]) == ("2", NOW_MS + 10, 8)
    assert (second["instances"], second["serving_since_ms"]) == ([], None)


def test_a_rejection_tells_the_reason_and_leaves_the_others() -> None:
    view = view_of(
        of_instance(EventKind.SERVING, "1", 0),
        event(EventKind.REJECTED, "2", NOW_MS + 5, reason=Reason.CONFLICT, detail="known with other bytes"),
    )
    assert states(view) == {"1": "SERVING", "2": "REJECTED"}
    rejected = next(version for version in wine(view)["versions"] if version["version"] == "2")
    assert (rejected["reason"], rejected["detail"]) == ("CONFLICT", "known with other bytes")


def test_the_same_version_with_other_bytes_is_another_one() -> None:
    view = view_of(
        of_instance(EventKind.SERVING, "1", 0),
        event(EventKind.REJECTED, "1", NOW_MS + 5, model_sha256="other", reason=Reason.CONFLICT),
    )
    assert {version["sha256"]: version["state"] for version in wine(view)["versions"]} == {
        "sha-tree-1": "SERVING",
        "other": "REJECTED",
    }


def test_a_message_without_bytes_is_known_once_admission_has_completed_it() -> None:
    view = view_of(event(EventKind.RECEIVED, "", model_sha256=""))
    assert wine(view)["versions"] == []
    view.apply(event(EventKind.ADMITTED, "1", NOW_MS + 10))
    (version,) = wine(view)["versions"]
    assert (version["version"], version["received_ms"], version["state"]) == ("1", NOW_MS, "ADMITTED")


def test_what_serves_may_be_sent_again() -> None:
    view = view_of(of_instance(EventKind.SERVING, "1", 0), event(EventKind.RECEIVED, "1", NOW_MS + 50))
    assert states(view) == {"1": "SERVING"}


def test_a_scheduled_version_keeps_the_offset_of_its_message() -> None:
    view = view_of(
        event(EventKind.SCHEDULED, position=at(3)), event(EventKind.ADMITTED, at_ms=NOW_MS + 9, position=at(8))
    )
    (version,) = wine(view)["versions"]
    assert (version["state"], version["admitted_ms"], version["model_log_offset"]) == ("ADMITTED", NOW_MS + 9, 3)


@pytest.mark.parametrize(
    ("fields", "retired"),
    [
        ({"version": "", "model_sha256": ""}, {"1", "2"}),
        ({"version": "2", "model_sha256": ""}, {"2"}),
        ({"version": "1", "model_sha256": "sha-tree-1"}, {"1"}),
        ({"version": "", "model_sha256": "", "model_name": "net"}, set()),
    ],
    ids=["a name", "a version", "its bytes", "another name"],
)
def test_a_retirement_is_of_all_versions_that_it_names(fields: dict[str, Any], retired: set[str]) -> None:
    view = view_of(event(EventKind.ADMITTED, "1"), event(EventKind.ADMITTED, "2"), event(EventKind.REJECTED, "3"))
    view.apply(event(EventKind.RETIRED, at_ms=NOW_MS + 5, position=at(9), **fields))
    assert {version for version, state in states(view).items() if state == "RETIRED"} == retired
    assert states(view)["3"] == "REJECTED"


def test_a_retired_version_stays_retired_when_instances_drop_it() -> None:
    retired = event(EventKind.RETIRED, "1", NOW_MS + 5, position=at(9))
    dropped = of_instance(EventKind.REPLACED, "1", 9)
    for order in ((retired, dropped), (dropped, retired)):
        view = view_of(event(EventKind.ADMITTED), of_instance(EventKind.SERVING, "1", 1), *order)
        (version,) = wine(view)["versions"]
        assert (version["state"], version["state_at_ms"], serving(view)) == ("RETIRED", NOW_MS + 5, {})


def test_a_retired_version_that_is_admitted_again_is_replaced_like_others() -> None:
    view = view_of(
        event(EventKind.ADMITTED),
        event(EventKind.RETIRED, "1", NOW_MS + 5, position=at(9)),
        event(EventKind.ADMITTED, "1", NOW_MS + 10, position=at(10)),
        of_instance(EventKind.SERVING, "1", 11),
        of_instance(EventKind.REPLACED, "1", 20),
    )
    assert states(view) == {"1": "REPLACED"}


def test_events_that_arrive_late_do_not_take_a_state_back() -> None:
    view = view_of(
        of_instance(EventKind.SERVING, "2", 20),
        of_instance(EventKind.LOADING, "2", 10),
        event(EventKind.ADMITTED, "2", NOW_MS + 5),
        of_instance(EventKind.SERVING, "1", 1),
        of_instance(EventKind.REPLACED, "2", 2),
    )
    assert states(view)["2"] == "SERVING"
    assert serving(view) == {ONE: "2"}


def test_instances_of_before_a_rescale_are_gone() -> None:
    view = view_of(
        *(of_instance(EventKind.SERVING, "1", 0, f"partitioned-join {number}/4") for number in range(1, 5)),
        of_instance(EventKind.LOADING, "1", 50, TWO),
    )
    assert serving(view) == {}
    view.apply(of_instance(EventKind.SERVING, "1", 60, TWO))
    assert serving(view) == {TWO: "1"}
    (version,) = wine(view)["versions"]
    assert (version["instances"], version["serving_since_ms"]) == ([TWO], NOW_MS + 60)
    assert [(name, instance) for name, instance, _ in view.serving()] == [("wine", TWO)]


def test_a_rescale_counts_for_all_data_types() -> None:
    view = view_of(
        of_instance(EventKind.SERVING, "1", 0, "keyed-join 3/4"),
        of_instance(EventKind.SERVING, "1", 9, "keyed-join 1/2", data_type="beer"),
    )
    assert serving(view) == {}
    assert [orjson.loads(each)["data_type"] for each in view.all_encoded()] == ["beer", "wine"]


def test_the_newest_number_of_instances_wins_in_whatever_order_it_is_read() -> None:
    view = view_of(
        of_instance(EventKind.SERVING, "1", 9, "keyed-join 1/2", data_type="beer"),
        of_instance(EventKind.SERVING, "1", 0, "keyed-join 3/4"),
    )
    assert serving(view) == {}
    assert [(name, instance) for name, instance, _ in view.serving()] == [("beer", "keyed-join 1/2")]


BACK_AND_FORTH = (
    of_instance(EventKind.SERVING, "1", 0, "keyed-join 2/2"),
    of_instance(EventKind.SERVING, "1", 10, "keyed-join 3/4"),
    of_instance(EventKind.SERVING, "2", 20, "keyed-join 3/4"),
    of_instance(EventKind.SERVING, "1", 30, "keyed-join 1/2", data_type="beer"),
)


@pytest.mark.parametrize("order", [BACK_AND_FORTH, BACK_AND_FORTH[::-1]], ids=["in order", "the other way round"])
def test_a_rescale_back_does_not_bring_back_what_served_before(order: tuple[ModelEvent, ...]) -> None:
    view = view_of(*order)
    assert serving(view) == {}
    assert [(name, instance) for name, instance, _ in view.serving()] == [("beer", "keyed-join 1/2")]


def test_after_a_rescale_back_a_version_serves_since_then() -> None:
    view = view_of(*BACK_AND_FORTH, of_instance(EventKind.SERVING, "1", 40, "keyed-join 2/2"))
    assert [(each["version"], each["since_ms"]) for each in wine(view)["serving"]] == [("1", NOW_MS + 40)]


def test_instances_are_in_the_order_of_their_numbers() -> None:
    names = [f"partitioned-join {number}/12" for number in (10, 2, 1)]
    assert list(serving(view_of(*(of_instance(EventKind.SERVING, "1", 0, name) for name in names)))) == names[::-1]


def test_drift_and_events_of_a_later_release_are_no_states() -> None:
    view = view_of(of_instance(EventKind.SERVING, "1", 0))
    view.apply(event(EventKind.DRIFT, "1", NOW_MS + 1, instance="statistics"))
    view.apply(event(99, "1", NOW_MS + 2))  # type: ignore[arg-type]
    assert states(view) == {"1": "SERVING"}


def test_what_names_no_data_type_or_model_is_no_version() -> None:
    view = view_of(event(EventKind.REJECTED, "", data_type="", model_name="", model_sha256=""))
    assert view.all_encoded() == []
    view.apply(event(EventKind.REJECTED, "", model_name="", model_sha256=""))
    assert wine(view)["versions"] == []


def test_old_versions_are_forgotten_unless_they_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_type_models, "MOST_VERSIONS", 3)
    view = view_of(of_instance(EventKind.SERVING, "0", 0))
    for number in range(1, 6):
        view.apply(event(EventKind.REJECTED, str(number), NOW_MS + number))
    assert set(states(view)) == {"0", "4", "5"}


def test_old_data_types_are_forgotten_unless_one_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_view, "MOST_DATA_TYPES", 2)
    view = view_of(of_instance(EventKind.SERVING, "1", 0))
    for number in range(1, 4):
        view.apply(event(EventKind.REJECTED, at_ms=NOW_MS + number, data_type=f"stranger {number}"))
    assert view.encoded("stranger 1") is view.encoded("stranger 2") is None
    assert len(view.all_encoded()) == 2
    assert serving(view) == {ONE: "1"}


def test_a_version_that_is_loaded_again_serves_since_then_all_the_same() -> None:
    view = view_of(of_instance(EventKind.SERVING, "1", 30), of_instance(EventKind.SERVING, "1", 90))
    assert [each["since_ms"] for each in wine(view)["serving"]] == [NOW_MS + 30]


def test_lanes_serve_beside_each_other_and_beside_a_join() -> None:
    view = view_of(
        of_instance(EventKind.SERVING, "1", 0),
        of_instance(EventKind.SERVING, "1", 1, "lane-1 1/2", model_name="smart"),
        of_instance(EventKind.SERVING, "1", 2, "lane-1 2/2", model_name="smart"),
        of_instance(EventKind.LOADING, "1", 3, "lane-2 1/1", model_name="fast"),
    )
    assert serving(view) == {ONE: "1", "lane-1 1/2": "1", "lane-1 2/2": "1"}
    view.apply(of_instance(EventKind.SERVING, "1", 4, "lane-2 1/1", model_name="fast"))
    assert set(serving(view)) == {ONE, "lane-1 1/2", "lane-1 2/2", "lane-2 1/1"}
    # The job comes back with one lane, of one instance.
    for after_ms, name in ((10, "smart"), (11, "fast")):
        view.apply(of_instance(EventKind.SERVING, "1", after_ms, "lane-1 1/1", model_name=name))
    there = {(each["instance"], each["name"]) for each in wine(view)["serving"]}
    assert there == {(ONE, "tree"), ("lane-1 1/1", "smart"), ("lane-1 1/1", "fast")}
    view.apply(of_instance(EventKind.REPLACED, "1", 12, "lane-1 1/1", model_name="smart"))
    assert {each["name"] for each in wine(view)["serving"]} == {"tree", "fast"}

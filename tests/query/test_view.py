"""The view as a whole: what of each topic, newest first, bounded, and garbage passed over."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from modelserving.query import rejections
from modelserving.query import view as view_module
from modelserving.query.view import View
from modelserving.wire.serving_pb2 import EventKind, Reason
from tests.query.cases import (
    EVERYTHING,
    NOW_MS,
    TOPICS,
    Message,
    event,
    event_message,
    rejected,
    rejected_message,
    result,
    stats,
    stats_message,
)


def view_of(*batch: Message) -> View:
    view = View(TOPICS)
    view.apply(batch)
    return view


def loaded(items: list[bytes]) -> list[Any]:
    return [orjson.loads(item) for item in items]


def test_events_are_told_whole() -> None:
    told = event(EventKind.REJECTED, "2", detail="known with other bytes", reason=Reason.CONFLICT, instance="admission")
    assert loaded(view_of(event_message(told, 5, 3)).events(10)) == [
        {
            "kind": "REJECTED",
            "data_type": "wine",
            "model_name": "tree",
            "model_version": "2",
            "model_sha256": "sha-tree-2",
            "at_ms": NOW_MS,
            "instance": "admission",
            "reason": "CONFLICT",
            "detail": "known with other bytes",
            "offset": 7,
            "event_partition": 3,
            "event_offset": 5,
        }
    ]


def test_events_are_newest_first_however_partitions_are_read() -> None:
    view = view_of(
        *(event_message(event(EventKind.RECEIVED, f"a{number}", NOW_MS + 2 * number), number) for number in range(5)),
        *(
            event_message(event(EventKind.RECEIVED, f"b{number}", NOW_MS + 2 * number + 1), number, 1)
            for number in range(5)
        ),
    )
    assert [told["model_version"] for told in loaded(view.events(4))] == ["b4", "a4", "b3", "a3"]


def test_events_of_a_data_type_outlast_those_of_a_busy_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_module, "MOST_EVENTS", 3)
    view = view_of(
        event_message(event(EventKind.RECEIVED, data_type="beer")),
        *(event_message(event(EventKind.RECEIVED, at_ms=NOW_MS + number), number) for number in range(1, 9)),
    )
    assert {told["data_type"] for told in loaded(view.events(10))} == {"wine"}
    assert len(view.events(10)) == 3
    assert [told["data_type"] for told in loaded(view.events(10, "beer"))] == ["beer"]
    assert view.events(10, "tea") == []


def test_lists_of_events_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_module, "MOST_LISTS", 2)
    view = view_of(*(event_message(event(EventKind.RECEIVED, data_type=name), at) for at, name in enumerate("abac")))
    assert [len(view.events(10, name)) for name in "abc"] == [2, 0, 1], "the one that was heard of last stays"


def test_rejections_are_told_with_the_beginning_of_the_original() -> None:
    told = rejected("x" * 1000, original=bytes(range(100)), data_type="wine", model_name="tree", model_version="1")
    (shown,) = loaded(view_of(rejected_message(told)).rejections.newest(10))
    assert shown == {
        "kind": "record",
        "reason": "MALFORMED",
        "detail": "x" * 500,
        "data_type": "wine",
        "model_name": "tree",
        "model_version": "1",
        "topic": "records",
        "partition": 2,
        "offset": 17,
        "rejected_at_ms": NOW_MS,
        "original_hex": bytes(range(64)).hex(),
        "original_bytes": 100,
    }


def test_rejected_records_do_not_drive_out_rejected_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejections, "MOST_OF_EACH", 3)
    view = view_of(
        rejected_message(rejected("a model"), topic=TOPICS.rejected_models),
        *(rejected_message(rejected(str(number), NOW_MS + number), number) for number in range(1, 9)),
    )
    assert [(told["kind"], told["detail"]) for told in loaded(view.rejections.newest(10))] == [
        ("record", "8"),
        ("record", "7"),
        ("record", "6"),
        ("model", "a model"),
    ]
    assert [told["detail"] for told in loaded(view.rejections.newest(2))] == ["8", "7"]


def test_rejected_models_are_counted_by_their_events() -> None:
    view = view_of(
        *(event_message(event(EventKind.REJECTED, reason=Reason.CONFLICT), number) for number in range(3)),
        event_message(event(EventKind.REJECTED, reason=Reason.UNSAFE), 3),
        event_message(event(EventKind.LOAD_FAILED, reason=Reason.UNLOADABLE), 4),
        rejected_message(rejected(), topic=TOPICS.rejected_models),
    )
    assert view.rejected_models == {"CONFLICT": 3, "UNSAFE": 1}


GARBAGE = {
    "noise": b"\xff" * 9,
    "cut off": event(EventKind.SERVING).SerializeToString()[:-3],
    "bad text": b"\x12\x01\xff",
}


@pytest.mark.parametrize("topic", [TOPICS.serving_stats, TOPICS.model_events, TOPICS.rejected_records])
@pytest.mark.parametrize("value", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_counted_and_passed_over(topic: str, value: bytes) -> None:
    view = View(TOPICS)
    news = view.apply([Message(topic, value), *EVERYTHING, Message(topic, value)])
    assert view.undecodable == {topic: 2}
    assert (len(news.stats), len(news.events), len(news.rejected)) == (3, 4, 2)


@pytest.mark.parametrize("topic", [TOPICS.model_events, TOPICS.rejected_models])
@pytest.mark.parametrize("value", [None, b""], ids=["tombstone", "empty"])
def test_a_message_without_content_is_garbage(topic: str, value: bytes | None) -> None:
    assert view_of(Message(topic, value)).undecodable == {topic: 1}


def test_what_a_later_release_writes_is_shown_as_numbers() -> None:
    later = event(99, reason=98)  # type: ignore[arg-type]
    (shown,) = loaded(view_of(event_message(later)).events(1))
    assert (shown["kind"], shown["reason"]) == ("99", "98")


def test_news_are_what_answers_hold() -> None:
    view = View(TOPICS)
    news = view.apply([stats_message(stats()), event_message(event(EventKind.SERVING)), rejected_message(rejected())])
    assert news.stats == view.stats.encoded()
    assert news.events == view.events(1)
    assert news.rejected == view.rejections.newest(1)


def test_each_change_is_another_revision() -> None:
    view = view_of()
    before = view.revision
    view.apply(EVERYTHING)
    between = view.revision
    view.clear()
    assert before < between < view.revision
    assert (view.events(1), view.rejections.newest(1), view.stats.encoded(), view.models.all_encoded()) == (
        [],
        [],
        [],
        [],
    )


@pytest.mark.parametrize(
    ("fields", "answer"),
    [({"number": 5.5}, {"number": 5.5}), ({"label": "5"}, {"label": "5"}), ({}, {})],
    ids=["number", "label", "vector"],
)
def test_results_have_their_answer(fields: dict[str, Any], answer: dict[str, Any]) -> None:
    from modelserving.query.messages import result as plain_result

    shown = plain_result(result(3, probabilities={"5": 0.75}, outputs=[0.25, 0.5], **fields))
    assert {name: shown[name] for name in ("number", "label") if name in shown} == answer
    assert shown["probabilities"] == {"5": 0.75}
    assert shown["outputs"] == [0.25, 0.5]
    assert shown["record"] == {"topic": "records", "partition": 1, "offset": 3, "timestamp_ms": NOW_MS}
    assert (shown["scored_at_ms"], shown["latency_us"]) == (NOW_MS + 3, 250)

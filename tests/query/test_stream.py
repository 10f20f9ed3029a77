"""Server-sent events: who gets what, and who is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from modelserving.query import replay
from modelserving.query.service import MOST_REJECTED_A_SECOND, Service
from modelserving.query.stream import HEARTBEAT_S, MOST_WAITING, EventStream, Hub, chunk
from modelserving.wire.serving_pb2 import EventKind
from tests.query.cases import (
    NOW_MS,
    TOPICS,
    Message,
    event,
    event_message,
    rejected,
    rejected_message,
    service_of,
    stats,
    stats_message,
)


class Client:
    """An ASGI client that takes what is sent until it goes."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.gone = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    @property
    def text(self) -> str:
        return b"".join(message.get("body", b"") for message in self.sent).decode()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.001)


def told(text: str) -> list[tuple[str, Any]]:
    """The events of a stream, as far as they are whole: name and data."""
    events = []
    for block in text.split("\n\n")[:-1]:
        lines = [line for line in block.split("\n") if not line.startswith("id: ")]
        if lines and lines[0].startswith("event: "):
            name, data = lines
            events.append((name.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))))
    return events


def listening(
    service: Service,
    work: Callable[[Client, asyncio.Task[None]], Awaitable[None]],
    *,
    method: str = "GET",
    last_id: str | None = None,
    heartbeat_s: float = HEARTBEAT_S,
) -> Client:
    """Listen to a service while `work` is done."""

    async def run() -> Client:
        client = Client()
        stream = EventStream(service.hub, service.snapshot, heartbeat_s)
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": "/api/stream",
            "query_string": b"",
            "headers": [],
        }
        if last_id is not None:
            scope["headers"] = [(b"last-event-id", last_id.encode())]
        task = asyncio.create_task(stream(scope, client.receive, client.send))
        await client.until(lambda: client.sent)
        await work(client, task)
        async with asyncio.timeout(30):
            await task
        assert not len(service.hub), "it has left"
        return client

    return asyncio.run(run())


def test_first_what_is_then_what_changes() -> None:
    service = service_of([stats_message(stats()), stats_message(stats(version="2", since=NOW_MS + 1))])

    async def work(client: Client, _: asyncio.Task[None]) -> None:
        await client.until(lambda: "retry:" in client.text)
        service.take_in(
            [
                stats_message(stats(served=9)),
                event_message(event(EventKind.SERVING)),
                rejected_message(rejected()),
            ]
        )
        await client.until(lambda: "rejected" in client.text)
        client.gone.set()

    client = listening(service, work)
    assert client.sent[0]["status"] == 200
    assert (b"content-type", b"text/event-stream; charset=utf-8") in client.sent[0]["headers"]
    events = told(client.text)
    assert [name for name, _ in events] == ["stats", "stats", "totals", "stats", "totals", "model", "rejected"]
    assert [data["served"] for name, data in events if name == "stats"] == [3, 3, 9]
    assert [data["served"] for name, data in events if name == "totals"] == [6, 12]
    assert events[5][1]["kind"] == "SERVING"
    assert events[6][1]["reason"] == "MALFORMED"


def test_nothing_new_is_still_a_sign_of_life() -> None:
    async def work(client: Client, _: asyncio.Task[None]) -> None:
        await client.until(lambda: client.text.count(": still here\n\n") >= 2)
        client.gone.set()

    listening(service_of([]), work, heartbeat_s=0.01)


def test_a_client_that_goes_is_noticed_at_once() -> None:
    async def work(client: Client, task: asyncio.Task[None]) -> None:
        client.gone.set()
        await client.until(task.done)

    client = listening(service_of([]), work, heartbeat_s=1e6)
    assert client.sent[-1].get("more_body"), "there is nobody to tell of the end"


def test_the_end_of_the_service_ends_streams() -> None:
    service = service_of([])

    async def work(client: Client, _: asyncio.Task[None]) -> None:
        await client.until(lambda: client.text)
        service.hub.close()

    client = listening(service, work)
    assert client.sent[-1] == {"type": "http.response.body", "body": b""}


def test_a_client_that_is_far_behind_is_cut_off_and_the_others_are_not() -> None:
    async def run() -> tuple[list[bytes | None], bytes | None]:
        hub = Hub()
        slow, quick = hub.join(), hub.join()
        assert slow is not None
        assert quick is not None
        taken = []
        for number in range(MOST_WAITING + 1):
            hub.publish([("stats", [b"%d" % number])])
            taken.append(await quick.next(60))
        return taken, await slow.next(60)

    taken, end = asyncio.run(run())
    assert [data for each in taken for _, data in told((each or b"").decode())] == list(range(MOST_WAITING + 1))
    assert end is None


def test_a_question_for_the_head_gets_no_stream() -> None:
    async def work(client: Client, task: asyncio.Task[None]) -> None:
        await client.until(task.done)

    assert listening(service_of(), work, method="HEAD").text == ""


def test_nothing_is_told_before_the_view_is_whole() -> None:
    service = service_of([])

    async def work(client: Client, _: asyncio.Task[None]) -> None:
        await client.until(lambda: client.text)
        reader = service._reader
        reader.progress = type(reader.progress)()  # type: ignore[misc]
        service.take_in([stats_message(stats())])
        reader.progress = type(reader.progress)(caught_up=True, heard_s=0.0)  # type: ignore[misc]
        service.take_in([stats_message(stats(version="2"))])
        await client.until(lambda: "stats" in client.text)
        client.gone.set()

    events = told(listening(service, work).text)
    assert [data["model_version"] for name, data in events if name == "stats"] == ["2"]
    assert [data["served"] for name, data in events if name == "totals"] == [6]


def test_of_rejections_a_few_a_second_are_told() -> None:
    now_s = [0.0]
    service = service_of([], clock_s=lambda: now_s[0])
    listener = service.hub.join()
    assert listener is not None
    counts = []
    for seconds in (0.0, 0.5, 1.5):
        now_s[0] = seconds
        service.take_in([rejected_message(rejected(), number) for number in range(20)])
        queued = b"".join(listener._chunks)
        counts.append(queued.count(b"event: rejected"))
    assert counts == [MOST_REJECTED_A_SECOND, MOST_REJECTED_A_SECOND, 2 * MOST_REJECTED_A_SECOND]
    assert len(service.view.rejections.newest(100)) == 60, "all of them are in the view"


def last_id_of(client: Client) -> str:
    return [line for line in client.text.split("\n") if line.startswith("id: ")][-1].removeprefix("id: ")


def heard(service: Service, part: str, last_id: str | None = None) -> Client:
    """A client that listens until it has heard `part`."""

    async def work(client: Client, _: asyncio.Task[None]) -> None:
        await client.until(lambda: part in client.text)
        client.gone.set()

    return listening(service, work, last_id=last_id)


def test_a_client_that_comes_again_misses_nothing_and_gets_nothing_twice() -> None:
    service = service_of([stats_message(stats())])
    first = last_id_of(heard(service, "id: "))
    service.take_in([stats_message(stats(served=9)), event_message(event(EventKind.SERVING))])
    missed = heard(service, "SERVING", first)
    assert [(name, data.get("served")) for name, data in told(missed.text)] == [
        ("stats", 9),
        ("totals", 9),
        ("model", None),
    ]
    service.take_in([event_message(event(EventKind.REPLACED), 1)])
    assert [data["kind"] for _, data in told(heard(service, "REPLACED", last_id_of(missed)).text)] == ["REPLACED"]
    assert [data["kind"] for _, data in told(heard(service, "REPLACED", first).text)[2:]] == ["SERVING", "REPLACED"]


@pytest.mark.parametrize(
    "last_id", ["", "x", "-1", "another-0", "٣", "{run}-99", "{run}--1", "{run}-x", "{run}-" + "9" * 5000]
)
def test_who_has_an_id_that_nobody_gave_is_told_to_reload(last_id: str) -> None:
    service = service_of([stats_message(stats())])
    run = last_id_of(heard(service, "id: ")).rpartition("-")[0]
    events = told(heard(service, "id: ", last_id.replace("{run}", run)).text)
    assert [name for name, _ in events] == ["reload", "stats", "totals"]


def test_who_was_away_for_too_long_is_told_to_reload(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MOST_BYTES", 3000)
    service = service_of([])
    ids = [last_id_of(heard(service, "id: "))]
    for number in range(50):
        service.take_in([event_message(event(EventKind.SERVING, str(number)), number)])
        ids.append(service.hub._replay.last_id)
    assert [name for name, _ in told(heard(service, "id: ", ids[0]).text)] == ["reload"]
    assert [data["model_version"] for _, data in told(heard(service, "49", ids[-3]).text)] == ["48", "49"]
    assert sum(len(event) for _, event in service.hub._replay._kept) <= 3000


def test_who_comes_again_after_all_was_read_anew_is_told_to_reload() -> None:
    service = service_of([stats_message(stats())])
    first = last_id_of(heard(service, "id: "))
    service.view.clear()
    service.hub.begin_anew()
    service.take_in([stats_message(stats())])
    assert [name for name, _ in told(heard(service, "id: ", first).text)] == ["reload", "stats", "totals"]


def test_versions_that_are_forgotten_are_told() -> None:
    service = service_of([stats_message(stats())])
    first = last_id_of(heard(service, "id: "))
    service.take_in([Message(TOPICS.serving_stats, None, stats_message(stats()).key)])
    (_, totals), (name, data) = told(heard(service, "gone", first).text)
    assert (totals["data_type"], totals["served"], name) == ("wine", 0, "gone")
    assert data == {"data_type": "wine", "name": "tree", "model_version": "1", "model_sha256": "sha-tree-1"}


@pytest.mark.parametrize("items", [[], [b"{}"], [b'{"a":1}', b'{"a":2}']])
def test_events_have_the_form_that_browsers_read(items: list[bytes]) -> None:
    assert chunk("stats", items) == b"".join(b"event: stats\ndata: %s\n\n" % item for item in items)

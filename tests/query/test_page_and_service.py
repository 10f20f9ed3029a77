"""The live page with the service that it is made for, which reads from no broker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from modelserving.query.app import application
from modelserving.query.server import Server, listen, url_of
from modelserving.query.service import Service
from modelserving.query.view import Message as TopicMessage
from modelserving.query.view import View
from modelserving.wire.serving_pb2 import EventKind, Reason
from modelserving.wire.stats_pb2 import Quantiles, Recent, ServingStats
from tests.query.cases import (
    READY,
    TOKEN,
    TOPICS,
    FakeReader,
    FakeResults,
    Message,
    event,
    event_message,
    rejected,
    rejected_message,
    stats,
    stats_message,
)
from tests.query.page_browser import LIMIT_S, Page
from tests.waiting import wait_until

Deliver = Callable[[Sequence[TopicMessage]], None]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def serving(version: str, instance: int, offset: int) -> Message:
    told = event(EventKind.SERVING, version, now_ms(), instance=f"partitioned-join {instance}/2")
    return event_message(told, offset)


@pytest.fixture
def running() -> Iterator[tuple[str, Deliver]]:
    """The address of a service that needs a token, and what gives it messages."""
    given: list[Deliver] = []

    def follow(deliver: Deliver, _: Callable[[], None]) -> FakeReader:
        given.append(deliver)
        return FakeReader(READY)

    service = Service(View(TOPICS), follow, FakeResults(), lambda: 1.0)
    listening = listen("127.0.0.1", 0)
    server = Server(application(service, TOKEN), service.hub)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield url_of(listening), given[0]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def test_the_last_minutes_are_there_for_who_comes_late(page: Page, running: tuple[str, Deliver]) -> None:
    url, deliver = running
    page.expected = ["401"]
    for version, age_ms in (("1", 120_000), ("1", 119_000), ("2", 60_000), ("2", 59_000)):
        latency = Quantiles(count=500, p50=3, p99=7)
        recent = Recent(seconds=1, served=500, served_per_s=500, latency_ms=latency)
        deliver([stats_message(stats(version=version, updated_ms=now_ms() - age_ms, served=500, recent=recent))])
    page.driver.get(f"{url}#type=wine")
    page.wait_for("#token-form", "A token is needed")
    page.press(TOKEN, "\n")
    page.wait_for("#state", "Live")
    wait_until(lambda: "3 and p99 7 ms" in page.attribute("#latency-chart", "aria-label"), LIMIT_S)
    page.run("document.querySelector('#minutes').closest('details').open = true")
    wait_until(lambda: page.text("#minutes").count("7 ms") >= 2, LIMIT_S, lambda: page.text("#minutes"))


def test_what_the_topics_tell_is_shown_as_it_happens(page: Page, running: tuple[str, Deliver]) -> None:
    url, deliver = running
    page.expected = ["401"]
    deliver([serving("1", 1, 0), serving("1", 2, 1), stats_message(stats(updated_ms=now_ms() - 5000, served=1000))])
    page.driver.get(url)
    page.wait_for("#token-form", "A token is needed")
    page.press(TOKEN, "\n")
    page.wait_for("#state", "Live")
    page.wait_for("#chosen", "wine")
    page.wait_for("#serving", "partitioned-join 1/2, partitioned-join 2/2")
    recent = Recent(seconds=1, served=500, served_per_s=500)
    told = stats(updated_ms=now_ms(), served=1500, recent=recent)
    before = ServingStats(data_type="wine", rejected={"MALFORMED": 5}, updated_ms=now_ms())
    deliver([stats_message(told), stats_message(before)])
    wait_until(lambda: page.figure("Served in all") == "1,500", LIMIT_S)
    wait_until(lambda: page.figure("Rejected in all") == "5", LIMIT_S)
    wait_until(lambda: page.figure("Served per second") == "500", LIMIT_S)
    deliver([rejected_message(rejected("no bytes of mine", now_ms(), data_type="wine"))])
    page.wait_for("#sample", "no bytes of mine")
    deliver([serving("2", 1, 2), serving("2", 2, 3)])
    page.wait_for("#announcements", "wine: tree 2 took over at")
    page.wait_for("#serving td", "2")
    drift = event(EventKind.DRIFT, "2", now_ms(), instance="statistics", detail="pH has shifted")
    failed = event(EventKind.LOAD_FAILED, "3", now_ms(), reason=Reason.UNLOADABLE, instance="partitioned-join 1/2")
    deliver([event_message(drift, 4), event_message(failed, 5)])
    page.wait_for("#events", "pH has shifted")
    page.wait_for("#versions", "LOAD_FAILED")

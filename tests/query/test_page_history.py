"""The last ten minutes on the live page: they do not begin when the page is opened. In a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.query.page_answers import answers, history, rejections, stats
from tests.query.page_browser import LIMIT_S, Page
from tests.query.page_service import PageService
from tests.waiting import wait_until


@pytest.fixture
def service() -> Iterator[PageService]:
    with PageService(answers()) as running:
        yield running


def test_the_last_minutes_are_there_when_the_page_opens(page: Page, service: PageService) -> None:
    service.answers["/api/history/wine"] = history(
        "wine", stats("wine", "forest", "2", 50_000, age_ms=60_000), rejections("wine", {"MALFORMED": 1}, age_ms=60_000)
    )
    service.answers["/api/history/colour"] = history("colour", stats("colour", "glm", "7", 9000, age_ms=120_000))

    def told(chart: str, *parts: str) -> None:
        label = f"#{chart}-chart"
        wait_until(
            lambda: all(part in page.attribute(label, "aria-label") for part in parts),
            LIMIT_S,
            lambda: page.attribute(label, "aria-label"),
        )

    page.open(f"{service.url}#type=wine")
    told("latency", "14 and p99 42 ms")
    told("rates", "served 1,000 and rejected 10 per second")
    page.run("location.hash = '#type=colour'")
    told("rates", "served 1,000 and rejected 0 per second")
    page.driver.refresh()
    page.wait_for("#state", "Live")
    told("latency", "14 and p99 42 ms")


def test_what_was_missed_is_in_the_charts_again(page: Page, service: PageService) -> None:
    page.expected = ["ERR_", "503"]
    page.open(f"{service.url}#type=wine")
    service.problem = "12 messages are still to be read"
    service.break_streams()
    page.wait_for("#state", "Reconnecting")
    service.answers["/api/history/wine"] = history("wine", stats("wine", "forest", "2", 50_000, age_ms=60_000))
    service.problem = ""
    page.wait_for("#state", "Live")
    wait_until(lambda: "14 and p99 42 ms" in page.attribute("#latency-chart", "aria-label"), LIMIT_S)

"""The live page, in a real browser, against a service that answers what a test says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from selenium.webdriver.common.keys import Keys

from tests.query.page_answers import (
    all_stats,
    answers,
    event,
    model,
    now_ms,
    rejections,
    sample,
    stats,
    totals,
)
from tests.query.page_browser import LIMIT_S, Page
from tests.query.page_service import PageService
from tests.waiting import wait_until

KNOWN = (("tree", "1", 20_000), ("forest", "2", 50_000))
HOSTILE = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>\u202egnp.exe'


@pytest.fixture
def service() -> Iterator[PageService]:
    with PageService(answers()) as running:
        yield running


def test_shows_what_serves_and_what_is_told_of_it(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=wine")
    page.wait_for("#serving", "partitioned-join 1/2, partitioned-join 2/2")
    assert "forest" in page.text("#serving")
    assert page.figure("Served in all") == "70,000"
    assert page.figure("Rejected in all") == "100"
    assert "PSI" in page.text("#drift")
    assert "alcohol" in page.text("#drift")
    assert not page.text("#drift-mark")
    assert "tree" in page.text("#versions")
    assert "ADMITTED" in page.text("#events")
    assert "MISSING_FEATURE" in page.text("#record-reasons")
    assert "7.4;0.7;oops" in page.text("#sample")
    page.wait_for("#list", "forest 2")


def test_all_data_types_together(page: Page, service: PageService) -> None:
    page.open(service.url)
    page.wait_for("#model-reasons", "UNLOADABLE")
    assert page.text("#chosen") == "All data types"
    assert page.figure("Data types") == "2"
    assert page.figure("Served in all") == "79,000"
    assert not page.text("#serving-heading")


def test_the_only_data_type_is_shown_at_once(page: Page, service: PageService) -> None:
    service.answers["/api/stats"] = all_stats(stats("wine", "forest", "2", 50_000))
    service.answers["/api/models"] = {"data_types": [model("wine", ("forest", "2"))]}
    page.open(service.url)
    page.wait_for("#chosen", "wine")


def test_updates_arrive(page: Page, service: PageService) -> None:
    page.freeze_clock()
    at_ms = now_ms()
    before = [stats("wine", name, version, served, 60_000) for name, version, served in KNOWN]
    service.answers["/api/stats"] = all_stats(*before) | {"at_ms": at_ms}
    page.open(f"{service.url}#type=wine")
    lately = {"updated_ms": at_ms - 2001}
    forest = stats("wine", "forest", "2", 51_234) | lately
    rejected = rejections("wine", {"MALFORMED": 75, "MISSING_FEATURE": 30}) | lately
    service.push("stats", forest)
    service.push("stats", rejected)
    service.push("totals", totals(before[0], forest, rejected))
    wait_until(lambda: page.figure("Served in all") == "71,234", LIMIT_S)
    wait_until(lambda: page.figure("Served per second") == "1,000", LIMIT_S)
    wait_until(lambda: page.figure("Rejected per second") == "10", LIMIT_S)
    assert page.figure("Rejected in all") == "105"
    assert page.figure("Latency p99") == "42 ms"
    assert "14 and p99 42 ms" in page.attribute("#latency-chart", "aria-label")
    page.run("document.querySelector('#minutes').closest('details').open = true")
    page.wait_for("#minutes", "42 ms")
    assert page.count("#rates-chart canvas") == 1


def test_it_is_said_what_a_figure_is_of(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=wine")
    spans = """return Object.fromEntries([...document.querySelectorAll("#figures > div")]
      .map((each) => [...each.children].map((part) => part.textContent)).map(([term, , span]) => [term, span]))"""
    found = page.run(spans)
    assert found["Latency p99"] == found["Served per second"] == "in the last seconds"
    assert found["Score time p99"] == "since this version began"
    assert found["Served in all"] == found["Rejected in all"] == "since the job began"


def test_versions_that_were_added_up_are_forgotten(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=wine")
    page.wait_for("#scores-words", "Previous: tree 1")
    forgotten = stats("wine", "tree", "1", 20_000)
    service.push("stats", stats("wine", "(earlier versions)", "part 0", 20_000))
    gone = {name: forgotten[name] for name in ("data_type", "name", "model_version", "model_sha256")}

    def previous_is_gone() -> bool:
        service.push("gone", gone)  # again, if an answer of before comes only now
        return "Previous: none" in page.text("#scores-words")

    wait_until(previous_is_gone, LIMIT_S)
    assert page.figure("Served in all") == "70,000"
    assert "forest 2" in page.text("#scores-words")


def test_versions_of_long_ago_are_asked_for_with_their_data_type(page: Page, service: PageService) -> None:
    tree, forest, *others = service.answers["/api/stats"]["stats"]
    service.answers["/api/stats?data_type=wine"] = all_stats(tree, forest)
    service.answers["/api/stats"]["stats"] = [forest, *others]
    page.open(service.url)
    wait_until(lambda: page.figure("Served in all") == "79,000", LIMIT_S, lambda: page.text("#figures"))
    page.run("location.hash = '#type=wine'")
    page.wait_for("#versions", "20,000")
    page.wait_for("#scores-words", "Previous: tree 1")
    assert page.figure("Served in all") == "70,000"


def test_of_a_change_only_its_data_type_is_asked_for(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=wine")
    service.asked.clear()
    for number in range(3):
        service.push("model", event("LOADING", "wine", "net", str(number), 20 + number))
    wait_until(lambda: "/api/models/wine" in service.asked, LIMIT_S)
    service.push("model", event("SERVING", "colour", "net", "9", 30))
    wait_until(lambda: "/api/models/colour" in service.asked, LIMIT_S)
    assert "/api/models" not in service.asked


def test_an_older_update_does_not_replace_a_newer_one(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=wine")
    older, newer = stats("wine", "forest", "2", 40_000, age_ms=30_000), stats("wine", "tree", "1", 20_001)
    for each in (older, newer):
        service.push("stats", each)
    for served, of in ((60_001, older), (70_001, newer), (60_001, older)):
        service.push("totals", totals(of) | {"served": served})
    page.wait_for("#versions", "20,001")
    wait_until(lambda: page.figure("Served in all") == "70,001", LIMIT_S)
    assert "50,000" in page.text("#versions")


def test_a_swap_is_marked_and_announced(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=wine")
    page.wait_for("#latency-chart .swap", "forest 2")
    before = page.count("#latency-chart .swap")
    service.answers["/api/models"] = {"data_types": [model("wine", ("tree", "1"), ("forest", "2"), ("net", "3"))]}
    for instance, offset in (("partitioned-join 1/2", 10), ("partitioned-join 2/2", 11)):
        service.push("model", event("SERVING", "wine", "net", "3", offset, instance=instance))
    page.wait_for("#announcements", "wine: net 3 took over at")
    wait_until(lambda: page.count("#latency-chart .swap") == before + 1, LIMIT_S)
    assert page.text("#rates-chart .swap") == "net 3"
    assert "net 3 took over at" in page.attribute("#rates-chart", "aria-label")
    page.wait_for("#serving", "net")
    page.wait_for("#events", "SERVING")


def test_a_swap_of_another_data_type_is_not_announced(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=wine")
    service.push("model", event("SERVING", "colour", "net", "3", 10))
    service.push("model", event("SERVING", "wine", "net", "4", 11))
    page.wait_for("#announcements", "wine: net 4")


def test_scores_of_the_current_and_the_previous_version(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=wine")
    page.wait_for("#scores-words", "Current: forest 2, 100 scores. Previous: tree 1, 100 scores.")
    assert "most often from 5 to 6, 40 %" in page.attribute("#scores-chart", "aria-label")
    assert page.count("#scores-chart canvas") == 1
    assert not page.text("#labels")
    page.run("location.hash = '#type=colour'")
    page.wait_for("#labels", "60 %")
    assert not page.text("#scores-numbers")


def test_drift_is_marked_in_words(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=wine")
    drift = stats("wine", "forest", "2", 50_000)["drift"] | {"drifted": True, "score_psi": 0.4}
    service.push("stats", stats("wine", "forest", "2", 60_000, drift=drift))
    page.wait_for("#drift-mark", "Drift")
    page.wait_for("#drift-words", "an index went above the limit")
    page.wait_for("#list", "drift")


def test_drift_of_records_of_long_ago_is_not_marked(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=wine")
    drift = stats("wine", "forest", "2", 50_000)["drift"] | {"drifted": True, "score_psi": 0.4}
    before = stats("wine", "forest", "2", 60_000, drift=drift)
    service.push("stats", before)
    page.wait_for("#drift-mark", "Drift")
    service.answers["/api/stats"] = all_stats(before | {"updated_ms": now_ms() - 301_000})
    page.driver.refresh()
    page.wait_for("#drift-words", "when the last records came")
    assert not page.text("#drift-mark")


def test_newly_rejected_records_of_the_chosen_data_type_are_asked_for(page: Page, service: PageService) -> None:
    forest = stats("wine", "forest", "2", 50_000)
    page.open(f"{service.url}#type=wine")
    page.wait_for("#chosen", "wine")
    ours = service.answers["/api/rejected"] | {"sample": [sample("MALFORMED", "not streamed", b"x", 99)]}
    service.answers["/api/rejected?limit=50&data_type=wine"] = ours
    service.push("totals", totals(forest, rejections("wine", {"MALFORMED": 500})))
    page.wait_for("#sample", "not streamed")


def test_a_rejected_model_is_counted_even_if_it_is_not_in_the_sample(page: Page, service: PageService) -> None:
    page.open(service.url)
    page.wait_for("#state", "Live")
    service.answers["/api/rejected"] = {"models": {"total": 4321, "by_reason": {"UNSAFE": 4321}}, "sample": []}
    service.push("model", event("REJECTED", "wine", "forest", "9", 9, reason="UNSAFE"))
    page.wait_for("#model-reasons", "4,321")


def test_a_change_that_the_detector_found_is_marked_for_five_minutes(page: Page, service: PageService) -> None:
    page.freeze_clock()
    page.open(f"{service.url}#type=wine")
    page.wait_for("#list", "forest 2")
    at_ms = service.answers["/api/stats"]["at_ms"]
    drift = stats("wine", "forest", "2", 50_000)["drift"]

    def marked() -> bool:
        return "drift" in page.text("#list li:last-child .bad")

    for number, (ago_ms, whether) in enumerate(((290_000, True), (310_000, False), (0, True))):
        changed = drift | {"changed_ms": at_ms - ago_ms}
        service.push("stats", stats("wine", "forest", "2", 60_000, drift=changed, updated_ms=at_ms + number))
        page.wait_for("#drift-words", "The mean of the scores last changed at")
        wait_until(marked if whether else lambda: not marked(), LIMIT_S, lambda: page.text("#list"))
        assert bool(page.text("#drift-mark")) == whether


def test_hostile_text_is_shown_and_does_nothing(page: Page, service: PageService) -> None:
    service.answers["/api/stats"] = all_stats(stats(HOSTILE, HOSTILE, HOSTILE, 5))
    service.answers["/api/models"] = {"data_types": [model(HOSTILE, (HOSTILE, HOSTILE))]}
    page.open(service.url)
    record = sample(HOSTILE, HOSTILE, HOSTILE.encode(), 5, data_type=HOSTILE, topic=HOSTILE)
    service.push("rejected", record)
    service.push("rejected", sample("MALFORMED", "no text", b"\xff\xfe\x00", 6, data_type=HOSTILE, original_bytes=9999))
    service.push("model", event("SERVING", HOSTILE, HOSTILE, "new", 9, detail=HOSTILE))
    page.wait_for("#events", "<script>")
    page.wait_for("#sample", "<img")
    assert "\\u202egnp.exe" in page.text("#sample")
    assert "ff fe 00… (9,999 bytes)" in page.text("#sample")
    page.wait_for("#announcements", "<script>")
    assert page.count("img, body script") == 0
    assert page.run("return window.hacked ?? null") is None
    assert "\u202e" not in page.text("body")


def test_asks_for_a_token(page: Page, service: PageService) -> None:
    page.expected = ["401"]
    service.token = "open-sesame"  # noqa: S105
    page.driver.get(f"{service.url}#type=wine")
    page.wait_for("#token-form", "A token is needed")
    assert not page.text("#columns")
    page.press("wrong", Keys.ENTER)
    page.wait_for("#token-error", "did not accept")
    page.press("open-sesame", Keys.ENTER)
    page.wait_for("#state", "Live")
    page.wait_for("#serving", "forest")
    assert not page.text("#token-form")
    page.driver.refresh()
    page.wait_for("#serving", "forest")
    assert page.run("return localStorage.length") == 0


def test_a_page_that_nobody_sees_holds_no_connection(page: Page, service: PageService) -> None:
    """Browsers have six for a service, however many pages of it are open."""
    page.open(f"{service.url}#type=wine")
    page.wait_for("#state", "Live")
    hide = "Object.defineProperty(document, 'hidden', {configurable: true, get: () => true});"
    turn = "document.dispatchEvent(new Event('visibilitychange'));"
    page.run(hide + turn)
    service.answers["/api/stats"] = all_stats(stats("wine", "forest", "2", 77_000))
    asked = len(service.asked)
    page.run(f"delete document.hidden; {turn}")
    wait_until(lambda: page.figure("Served in all") == "77,000", LIMIT_S)
    page.wait_for("#state", "Live")
    assert "/api/stream" in service.asked[asked:]


def test_connects_again_and_loads_what_it_missed(page: Page, service: PageService) -> None:
    page.expected = ["503", "ERR_"]
    page.open(f"{service.url}#type=wine")
    service.problem = "12 messages are still to be read"
    service.break_streams()
    page.wait_for("#state", "Reconnecting")
    page.wait_for("#freshness", "as of")
    page.wait_for("#freshness", "12 messages are still to be read")
    assert page.text("#serving"), "what was known stays"
    service.answers["/api/stats"] = all_stats(stats("wine", "forest", "2", 77_000))
    service.problem = ""
    page.wait_for("#state", "Live")
    wait_until(lambda: page.figure("Served in all") == "77,000", LIMIT_S)
    service.push("totals", totals(stats("wine", "forest", "2", 78_000)))
    wait_until(lambda: page.figure("Served in all") == "78,000", LIMIT_S)


def test_a_service_that_does_not_hear_the_broker_is_stale(page: Page, service: PageService) -> None:
    page.expected = ["503"]
    page.open(service.url)
    service.problem = "the broker has not answered for 31 s"
    page.wait_for("#state", "Stale")
    page.wait_for("#freshness", "the broker has not answered for 31 s")
    service.problem = ""
    page.wait_for("#state", "Live")


def test_thousands_of_data_types(page: Page, service: PageService) -> None:
    names = [f"type-{number:04}" for number in range(3000)]
    service.answers["/api/stats"] = all_stats(*(stats(name, "glm", "1", 10) for name in names))
    service.answers["/api/models"] = {"data_types": [model(name, ("glm", "1"), instances=1) for name in names]}
    page.open(service.url)
    page.wait_for("#list-count", "100 of 3,000 shown")
    assert page.count("#list li") == 100
    page.run("document.querySelector('#filter').focus()")
    page.press("2987")
    page.wait_for("#list-count", "1 of 3,000")
    assert page.text("#list .name") == "type-2987"
    page.run("document.querySelector('#list a').click()")
    page.wait_for("#chosen", "type-2987")


def test_the_list_in_other_orders(page: Page, service: PageService) -> None:
    page.open(service.url)
    page.wait_for("#list li:first-child .name", "colour")
    service.push("stats", rejections("wine", {"MALFORMED": 75}))
    page.run("const order = document.querySelector('#order'); order.focus()")
    page.press("drift")
    page.wait_for("#list li:first-child .name", "wine")
    page.wait_for("#list li:first-child .bad", "10/s rejected")

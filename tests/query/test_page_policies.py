"""What the live page shows of a data type that has a policy, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.query.page_answers import answers, history, model, now_ms, policy, stats, voter
from tests.query.page_browser import LIMIT_S, Page
from tests.query.page_service import PageService
from tests.query.test_page_layout import LEAST_CONTRAST
from tests.waiting import wait_until

LONG = "a-model-without-any-space-in-its-name-" * 3
ROW = """return [...document.querySelectorAll(`#${arguments[0]} tr`)]
  .map((row) => [...row.cells].map((cell) => cell.textContent))
  .find(([first]) => first === arguments[1]) ?? []"""


@pytest.fixture
def service() -> Iterator[PageService]:
    """Of `wine` a policy decides; of `colour` one model."""
    given = answers()
    told = policy("wine", 50_000, age_ms=3000)
    given["/api/policies"]["policies"] = [told]
    given["/api/history/wine"] = history("wine", policies=[told])
    given["/api/models"]["data_types"][0] = model("wine", ("smart", "1"), ("fast", "2"))
    with PageService(given) as running:
        yield running


def open_wine(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=wine")
    page.wait_for("#policy-words", "COMBINED, 2 of 3 must agree, within 50 ms.")


def row(page: Page, table: str, name: str) -> list[str]:
    """The cells of the row of this name."""
    found: list[str] = page.run(ROW, table, name)
    return found


def test_what_is_asked_for_and_what_was_decided(page: Page, service: PageService) -> None:
    open_wine(page, service)
    words = page.text("#policy-words")
    assert "Models, the most trusted first: smart, middling, fast." in words
    assert "Challengers: next; 10 % in the shadow." in words
    assert row(page, "decision-reasons", "QUORUM")[1:] == ["enough models agree", "90 %", "40,000", "80 %"]
    assert row(page, "decision-reasons", "NO QUORUM")[2:] == ["0 %", "5,000", "10 %"]
    assert page.figure("Decided in all") == "50,000"
    assert page.figure("At the deadline in all") == "5,000, 10 %"
    assert page.figure("Late in all") == "500, 1 %"
    assert page.figure("Late answers in all") == "500"
    assert page.figure("Rejected in all") == "100"
    wait_until(lambda: page.figure("Decided per second") == "1,000", LIMIT_S)
    assert page.figure("At the deadline per second") == "100"


def test_how_the_models_vote(page: Page, service: PageService) -> None:
    open_wine(page, service)
    smart = row(page, "voters", "smart")
    assert smart == ["smart", "decides", "50,000", "89 %", "45 %", "500", "100 ms", "300 ms", smart[-1]]
    assert smart[-1] == "SHED 20, FAILED 3, not come 4,977"
    assert row(page, "voters", "next")[1] == "challenger"
    assert row(page, "voters", "earlier")[1] == "no longer named"


def test_who_agrees_with_whom(page: Page, service: PageService) -> None:
    open_wine(page, service)
    assert row(page, "agreement", "Model") == ["Model", "smart", "middling", "fast", "next"]
    assert row(page, "agreement", "fast") == [
        *("fast", "83.3 % of 45,000", "90 % of 50,000", "", "25 % of 5,000"),
    ]
    assert row(page, "agreement", "next")[1:3] == ["\N{EN DASH}"] * 2
    assert page.count("#agreement thead th[scope=col]") == 5
    assert page.count("#agreement tbody th[scope=row]") == 4
    shades = page.run("""return [...document.querySelectorAll("#agreement .shade")]
      .map((each) => getComputedStyle(each).backgroundImage)""")
    assert len(set(shades)) == 4, "the colour tells the share"


def test_the_matrix_follows_the_policy(page: Page, service: PageService) -> None:
    open_wine(page, service)
    changed = policy("wine", 60_000)
    changed["terms"] |= {"models": ["fast", "smart"], "challengers": []}
    changed["models"] = [voter("fast", 60_000, 60_000, 1.0), voter("smart", 60_000, 60_000, 100.0)]
    service.push("policy", changed)
    wait_until(lambda: row(page, "agreement", "Model") == ["Model", "fast", "smart"], LIMIT_S)
    assert row(page, "agreement", "fast") == ["fast", "", "83.3 % of 54,000"]
    assert "Challengers" not in page.text("#policy-words")


def test_decision_times_and_deadline_misses_over_time(page: Page, service: PageService) -> None:
    open_wine(page, service)
    wait_until(lambda: "p50 15 and p99 45 ms" in page.attribute("#decision-time-chart", "aria-label"), LIMIT_S)
    wait_until(
        lambda: "decided 1,000 and at the deadline 100 per second" in page.attribute("#deadlines-chart", "aria-label"),
        LIMIT_S,
    )
    assert "fast 2 took over" in page.attribute("#decision-time-chart", "aria-label")
    page.wait_for("#decision-time-chart .swap", "fast 2")
    page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.wait_for("#decision-minutes", "1,000")
    assert not page.text("#latency-heading"), "no latency of records is known where models vote"


def test_updates_arrive(page: Page, service: PageService) -> None:
    open_wine(page, service)
    service.push("policy", policy("wine", 51_000))
    wait_until(lambda: page.figure("Decided in all") == "51,000", LIMIT_S)
    service.push("policy", policy("wine", 40_000, age_ms=60_000))  # older, so it is no news
    service.push("policy", policy("wine", 52_000))
    wait_until(lambda: page.figure("Decided in all") == "52,000", LIMIT_S)


def test_a_data_type_without_a_policy_is_shown_as_ever(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=colour")
    page.wait_for("#latency-heading", "Latency")
    assert page.figure("Served in all") == "9,000"
    assert not page.text("#policy-heading")
    assert not page.text("#agreement-heading")
    page.open(service.url)
    page.wait_for("#chosen", "All data types")
    assert not page.text("#policy-heading")
    assert page.figure("Served in all") == "59,000", "records that were decided, not the votes on them"


def test_a_policy_may_come_and_go(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=colour")
    page.wait_for("#latency-heading", "Latency")
    service.push("policy", policy("colour", 10))
    page.wait_for("#policy-words", "COMBINED")
    service.break_streams()
    page.wait_for("#latency-heading", "Latency")


def test_a_policy_that_has_decided_nothing_yet(page: Page, service: PageService) -> None:
    new = policy("wine", 0) | {"why": {}, "models": [], "agreement": []}
    service.answers["/api/policies"] = {"at_ms": now_ms(), "policies": [new]}
    open_wine(page, service)
    assert page.text("#decision-reasons") == page.text("#voters") == page.text("#agreement") == ""
    assert "Nothing was decided yet." in page.text("main")


def test_a_model_that_serves_and_has_drifted_is_marked(page: Page, service: PageService) -> None:
    drifted = stats("wine", "smart", "1", 10)
    drifted["drift"]["drifted"] = True
    given = answers()
    given["/api/stats"]["stats"].append(drifted)
    given["/api/models"]["data_types"][0] = model("wine", ("fast", "2"), ("smart", "1"))
    service.answers |= {path: given[path] for path in ("/api/stats", "/api/models")}
    open_wine(page, service)
    page.wait_for("#drift-mark", "Drift")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_also_from_the_colours_of_the_matrix(page: Page, service: PageService, scheme: str) -> None:
    page.prefer(scheme)
    open_wine(page, service)
    assert page.run(LEAST_CONTRAST) >= 4.5
    # The strongest colour that a cell of the matrix can have, as a ground.
    page.run("""document.querySelectorAll("#agreement td")
      .forEach((each) => { each.style.backgroundColor = "var(--tint)"; })""")
    assert page.run(LEAST_CONTRAST) >= 4.5


def test_no_layout_is_wider_than_the_screen(page: Page, service: PageService) -> None:
    told = policy("wine", 50_000)
    service.answers["/api/policies"] = {"at_ms": now_ms(), "policies": [told]}
    told["terms"]["challengers"] += [LONG]
    told["models"] += [voter(LONG, 10, 5, 1.0, missing={LONG: 5})]
    told["agreement"] += [{"first": LONG, "second": "smart", "compared": 5, "agreed": 5}]
    told["why"] |= {LONG: 7}
    open_wine(page, service)
    page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    for width in (2560, 360, 1280, 320):
        page.resize(width, 900)
        assert page.run("return document.documentElement.scrollWidth") <= width


def test_a_screen_reader_has_names_for_everything(page: Page, service: PageService) -> None:
    open_wine(page, service)
    page.wait_for("#agreement", "83.3 %")
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    assert [role for role, name in named if role in {"table", "image", "heading"} and not name] == []
    assert ("columnheader", "smart") in named
    assert ("rowheader", "smart") in named

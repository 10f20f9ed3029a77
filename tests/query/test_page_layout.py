"""The live page for every screen, and for those who do not point or do not see."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from selenium.webdriver.common.keys import Keys

from tests.query.page_answers import all_stats, answers, event, model, sample, stats
from tests.query.page_browser import LIMIT_S, Page
from tests.query.page_service import PageService
from tests.waiting import wait_until

FIRST = {"light": "1f5fbf", "dark": "7fb5ff"}
"""The first line's colour."""
LONG = "a-name-without-any-space-in-it-" * 5

LEAST_CONTRAST = """
const channels = (text) => text.match(/[\\d.]+/g).map(Number);
const luminance = (text) => channels(text).slice(0, 3)
  .map((each) => each / 255)
  .map((each) => (each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4))
  .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
const ground = (node) => {
  for (; node; node = node.parentElement) {
    const colour = getComputedStyle(node).backgroundColor;
    if (channels(colour)[3] !== 0) return colour;
  }
};
const contrast = (node) => {
  const [dark, light] = [getComputedStyle(node).color, ground(node)].map(luminance).sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
};
const texts = [...document.querySelectorAll("body *")].filter((each) =>
  each.checkVisibility() && [...each.childNodes].some((child) => child.nodeType === 3 && child.data.trim()));
return Math.min(...texts.map(contrast));
"""


@pytest.fixture
def service() -> Iterator[PageService]:
    given = answers()
    given["/api/stats"] = all_stats(*given["/api/stats"]["stats"], stats(LONG, LONG, LONG, 10))
    given["/api/models"]["data_types"] += [model(LONG, (LONG, LONG))]
    given["/api/events"]["events"] += [event("LOAD_FAILED", LONG, LONG, LONG, 1, detail=LONG)]
    given["/api/rejected"]["sample"] += [sample("MALFORMED", LONG, LONG.encode(), 9, data_type=LONG)]
    with PageService(given) as running:
        yield running


@pytest.mark.parametrize("hash_part", ["#all", "#type=wine", f"#type={LONG}"], ids=["all", "wine", "long"])
def test_no_layout_is_wider_than_the_screen(page: Page, service: PageService, hash_part: str) -> None:
    page.open(f"{service.url}{hash_part}")
    page.run("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    page.wait_for("#sample", "MALFORMED")
    charts = """return [...document.querySelectorAll(".uplot")]
      .every((each) => each.offsetWidth === each.parentElement.clientWidth)"""
    for width in (2560, 360, 1600, 320, 1280, 768):  # wider and narrower by turns
        page.resize(width, 900)
        wait_until(lambda: page.run(charts), LIMIT_S, lambda: "charts are not as wide as their place")
        assert page.run("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(page: Page, service: PageService, scheme: str) -> None:
    page.prefer(scheme)
    page.open(f"{service.url}#type=wine")
    page.wait_for("#sample", "MALFORMED")
    assert page.run(LEAST_CONTRAST) >= 4.5


def test_charts_follow_from_light_to_dark(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=wine")
    # A chart that nobody fills again: the page's own are drawn anew each second anyway.
    page.run("""
      document.querySelector("#main").insertAdjacentHTML("afterbegin", "<p id=x-chart></p><p id=x-readout></p>");
      const { Chart } = await import("/static/chart.js");
      const chart = new Chart("x", {
        x: { time: false }, xLabels: (plot, splits) => splits.map(String), read: String,
      });
      chart.show([[1, 2], [3, 4], [5, 6]], "a chart");
    """)
    has = """
      const canvas = document.querySelector("#x-chart canvas");
      if (!canvas) return false;
      const wanted = arguments[0].match(/\\w\\w/g).map((each) => parseInt(each, 16));
      const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
      for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] === 255 && wanted.every((each, part) => data[at + part] === each)) return true;
      }
      return false;
    """

    def drawn_in(colour: str) -> bool:
        return bool(page.driver.execute_script(has, colour))

    wait_until(lambda: drawn_in(FIRST["light"]), LIMIT_S)
    assert not drawn_in(FIRST["dark"])
    page.prefer("dark")
    wait_until(lambda: drawn_in(FIRST["dark"]), LIMIT_S)
    assert not drawn_in(FIRST["light"])


def test_everything_is_reached_with_the_keyboard(page: Page, service: PageService) -> None:
    page.open(service.url)
    page.wait_for("#list", "wine")
    focus = "const at = document.activeElement; return at.id || at.href || at.className || at.textContent"
    seen = []
    for _ in range(30):
        page.press(Keys.TAB)
        seen.append(page.run(focus))
        outlined = page.run("return getComputedStyle(document.activeElement).outlineStyle !== 'none'")
        assert outlined or seen[-1] == "", f"the focus on {seen[-1]} cannot be seen"
        if str(seen[-1]).endswith("#type=wine"):
            break
    assert seen[0] == "skip"
    assert [each for each in seen if each in {"all-link", "filter", "order"}] == ["all-link", "filter", "order"]
    page.press(Keys.ENTER)
    page.wait_for("#chosen", "wine")
    assert page.run("return document.activeElement.id") == "chosen"
    assert page.attribute('#list a[href="#type=wine"]', "aria-current") == "page"


def test_the_skip_link_leads_to_the_figures(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=wine")
    page.wait_for("#chosen", "wine")
    page.press(Keys.TAB, Keys.ENTER)
    wait_until(lambda: page.run("return document.activeElement.id") == "main", LIMIT_S)
    assert page.text("#chosen") == "wine"


def test_a_screen_reader_has_names_for_everything(page: Page, service: PageService) -> None:
    page.open(f"{service.url}#type=wine")
    page.wait_for("#sample", "MALFORMED")
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]
    need_names = {"navigation", "table", "image", "link", "button", "searchbox", "combobox", "heading"}
    assert [role for role, name in named if role in need_names and not name] == []
    roles = [role for role, _ in named]
    assert {"banner", "navigation", "main", "status", "table", "image"} <= set(roles)
    levels = page.run("""return [...document.querySelectorAll("h1, h2, h3")]
      .filter((each) => each.checkVisibility()).map((each) => Number(each.tagName[1]))""")
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))

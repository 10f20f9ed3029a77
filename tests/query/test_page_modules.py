"""Parts of the live page that a test can ask by themselves, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.query.page_answers import answers
from tests.query.page_browser import Page
from tests.query.page_service import PageService

HISTORY = """
const { History, pointOf } = await import("/static/history.js");
const history = new History();
const T = 1_000_000_000; // the beginning of a step of two seconds
const told = (at, served) => pointOf({
  updated_ms: at, recent: { seconds: 1, served, rejected: 0, latency_ms: { count: served, p50: 2, p99: served / 100 } },
});
const add = (at, served, version = "1") => history.add("wine", version, [told(at, served)]);
"""


@pytest.fixture
def loaded(page: Page) -> Iterator[Page]:
    with PageService(answers()) as service:
        page.open(service.url)
        yield page


def test_events_come_out_however_the_stream_was_cut(loaded: Page) -> None:
    received = loaded.run("""
      const { parser } = await import("/static/stream.js");
      const stream = ': hi\\n\\nevent: stats\\r\\ndata: {"a":1}\\r\\n\\r\\n'
        + 'id: 7\\nevent:model\\ndata: [1,\\ndata: 2]\\n\\n';
      const results = [];
      for (const size of [1, 2, 7, stream.length]) {
        const got = [];
        const feed = parser((name, data) => got.push([name, data]));
        for (let at = 0; at < stream.length; at += size) feed(stream.slice(at, at + size));
        results.push(got);
      }
      return results;
    """)
    assert received == [[["stats", {"a": 1}], ["model", [1, 2]]]] * 4


@pytest.mark.parametrize(("body", "message"), [("", "has ended"), ("new ReadableStream()", "is silent")])
def test_a_stream_that_ends_or_is_silent_is_an_error(loaded: Page, body: str, message: str) -> None:
    said = loaded.run(f"""
      const {{ readStream }} = await import("/static/stream.js");
      const response = new Response({body or "''"});
      return readStream(response, () => {{}}, () => {{}}, 50).catch((error) => error.message);
    """)
    assert message in said


SWAPS = """
const { swaps } = await import("/static/swaps.js");
const served = (at, instance, version) => ({
  kind: "SERVING", at_ms: at, instance: `join ${instance}`, model_name: "m", model_version: version, model_sha256: "",
});
const view = (events) => ({ eventsOf: () => events, models: new Map() });
const marked = (...events) => swaps(view(events), "wine").map((each) => [each.at, each.label]);
"""


@pytest.mark.parametrize(
    ("events", "marks"),
    [
        ([(1, "1/2", "a"), (2, "2/2", "a"), (3, "1/2", "b"), (4, "2/2", "b")], [[1, "m a"], [3, "m b"]]),
        ([(1, "1/2", "a"), (2, "1/2", "b"), (3, "2/2", "a"), (4, "2/2", "b")], [[1, "m a"], [2, "m b"]]),
        (
            [(1, "1/2", "a"), (2, "2/2", "a"), (3, "1/2", "b"), (4, "2/2", "a"), (5, "2/2", "b")],
            [[1, "m a"], [3, "m b"]],
        ),
        (
            [(1, "1/2", "a"), (2, "2/2", "a"), (3, "1/2", "b"), (4, "1/2", "a"), (5, "2/2", "b"), (6, "2/2", "a")],
            [[1, "m a"], [3, "m b"], [4, "m a"]],
        ),
        ([(1, "1/2", "a"), (2, "1/2", "b"), (3, "1/4", "b"), (4, "1/4", "a")], [[1, "m a"], [2, "m b"], [4, "m a"]]),
    ],
    ids=["one after the other", "one starts late", "one restarts", "a rollback", "after a rescale"],
)
def test_a_swap_is_marked_once(loaded: Page, events: list[tuple[int, str, str]], marks: list[list[object]]) -> None:
    told = ", ".join(f"served({at}, '{instance}', '{version}')" for at, instance, version in events)
    assert loaded.run(f"{SWAPS} return marked({told})") == marks


def test_a_swap_does_not_double_the_rate(loaded: Page) -> None:
    one_after_the_other = (
        "add(T + 1000, 500); add(T + 2000 - 1, 500, '2'); return history.latest('wine', T + 2100).served"
    )
    assert loaded.run(HISTORY + one_after_the_other) == pytest.approx(500, rel=0.01)
    side_by_side = "add(T + 1000, 500); add(T + 1010, 500, '2'); return history.latest('wine', T + 2100).served"
    assert loaded.run(HISTORY + side_by_side) == pytest.approx(1000, rel=0.02)


def test_the_slower_of_two_seconds_is_shown(loaded: Page) -> None:
    slower = "add(T + 900, 500); add(T + 1900, 800); return history.latest('wine', T + 2100).p99"
    assert loaded.run(HISTORY + slower) == pytest.approx(8)


def test_after_a_rest_there_is_nothing_and_else_it_is_not_known(loaded: Page) -> None:
    rest = "add(T + 900, 500); add(T + 2900, 0); add(T + 60_900, 500);"
    shown = "return history.points('wine', T + 63_000).map((each) => [(each.at - T) / 1000, each.served, each.p50])"
    expected = [[0, 500, 2], [2, 0, None], [4, 0, None], [58, 0, None], [60, 500, 2]]
    assert loaded.run(HISTORY + rest + shown) == expected
    silent = "add(T + 900, 500); add(T + 60_900, 500);"
    assert loaded.run(HISTORY + silent + shown) == [[0, 500, 2], [2, None, None], [58, None, None], [60, 500, 2]]


def test_what_was_kept_and_what_is_streamed_overlap_and_nothing_counts_twice(loaded: Page) -> None:
    kept = "history.add('wine', '1', [900, 2900, 4900, 6900].map((at) => told(T + at, 500)));"
    streamed = "add(T + 4900, 500); add(T + 6900, 500); add(T + 8900, 500);"
    shown = "return history.points('wine', T + 11_000).map((each) => [(each.at - T) / 1000, each.served])"
    expected = [[0, 500], [2, 500], [4, 500], [6, 500], [8, 500]]
    assert loaded.run(HISTORY + streamed + kept + kept + shown) == expected
    assert loaded.run(HISTORY + kept + streamed + shown) == expected
    other = "history.add('wine', '2', [told(T + 900, 500)]);"
    assert loaded.run(HISTORY + streamed + other + kept + shown)[0] == [0, 1000]
    anew = "history.begin(); add(T + 8900, 500);"
    assert loaded.run(HISTORY + streamed + anew + shown) == expected[-1:]
    assert loaded.run(HISTORY + streamed + anew + kept + shown) == expected


def test_what_is_older_than_ten_minutes_is_forgotten(loaded: Page) -> None:
    old = "add(T + 900, 500); add(T + 700_900, 500); return history.points('wine', T + 703_000).length"
    assert loaded.run(HISTORY + old) == 1
    assert loaded.run(HISTORY + "add(T + 900, 500); return history.latest('wine', T + 60_000)") is None

"""Tables in terminals of every width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from modelserving.cli.fitting import Column, FittingTable
from modelserving.cli.policy_table import policies_table
from modelserving.cli.tables import events_table, models_table, stats_table
from tests.query.page_answers import answers, event, now_ms, rejections, stats

NOW_MS = 1_700_000_000_000

COLUMNS = (Column("name", 0), Column("at", 1, "date"), Column("count", 2, "number"), Column("why", 3))
ROW = ("a name", "2023-11-14 22:13:20Z", "12345", "words " * 10)


def printed(table: FittingTable, width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width).print(table)
    return file.getvalue().splitlines()


def table_of(*rows: tuple[str, ...]) -> FittingTable:
    table = FittingTable(COLUMNS)
    for row in rows:
        table.add_row(*row)
    return table


def test_where_there_is_room_all_is_shown_in_a_line() -> None:
    head, row = printed(table_of(ROW), 120)
    assert head.split() == ["name", "at", "count", "why"]
    assert "2023-11-14 22:13:20Z" in row


def test_texts_are_folded_and_dates_shortened_before_anything_is_left_out() -> None:
    lines = printed(table_of(ROW), 50)
    assert lines[0].split() == ["name", "at", "count", "why"]
    assert "  11-14 22:13:20Z  " in lines[1]
    assert len(lines) > 3


@pytest.mark.parametrize(
    ("width", "shown", "left_out"),
    [(32, ["name", "at", "count"], "why"), (25, ["name", "at"], "count, why"), (8, ["name"], "at, count, why")],
)
def test_the_least_important_goes_first_and_that_is_told(width: int, shown: list[str], left_out: str) -> None:
    lines = printed(table_of(ROW), width)
    assert lines[0].split() == shown
    told = "".join(line.strip() + " " for line in lines[2:]).replace(" ", "")
    assert told == f"not shown, for want of width: {left_out}".replace(" ", "")


def test_columns_without_content_go_first_and_are_not_missed() -> None:
    lines = printed(table_of(("a name", "", "12345", "words")), 20)
    assert lines[0].split() == ["name", "count", "why"]
    assert len(lines) == 2


def test_a_name_that_is_too_long_is_folded() -> None:
    lines = printed(table_of(("n" * 30, "", "1", "")), 20)
    assert "".join(line.split()[0] for line in lines[1:3]) == "n" * 30


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 132, 200])
def test_no_line_is_too_long_and_no_number_is_folded(width: int) -> None:
    told = answers()
    long = stats("a-data-type-with-a-long-name", "a-model-with-a-long-name", "2023-11-14T22:13:20", 123_456_789)
    served = [*told["/api/stats"]["stats"], long, rejections("wine", {"MALFORMED": 70, "MISSING_FEATURE": 30})]
    events = [event("LOAD_FAILED", "wine", "forest", "3", 1, detail="the file is not there: " * 10)]
    for table in (stats_table(served, now_ms()), models_table(told["/api/models"]["data_types"]), events_table(events)):
        assert all(len(line) <= width for line in printed(table, width))
    if width >= 80:
        assert any("123456789" in line for line in printed(stats_table(served, now_ms()), width))


@pytest.mark.parametrize(("width", "shown"), [(40, "answered"), (80, "p99 ms"), (250, "agrees with")])
def test_also_within_another_table(width: int, shown: str) -> None:
    quantiles = {"count": 1000, "p50": 20.5, "p99": 50.5}
    model = {"asked": 1000, "answered": 950, "late": 40, "counted": 900, "taken_ms": quantiles, "missing": {"SHED": 7}}
    policy = {
        "data_type": "wine",
        "terms": {
            "decider": "",
            "rule": "CONSENSUS",
            "quorum": 2,
            "timeout_ms": 50,
            "models": ["a"],
            "challengers": [],
        },
        "decision_ms": quantiles,
        "why": {"QUORUM": 900},
        "decided": 1000,
        "recent": {"decided_per_s": 600.0},
        "updated_ms": NOW_MS,
        "at_deadline": 3,
        "late": 4,
        "models": [{"model": "a", **model}, {"model": "b", **model}],
        "agreement": [{"first": "a", "second": "b", "agreed": 700, "compared": 800}],
    }
    file = io.StringIO()
    Console(file=file, width=width).print(policies_table([policy], NOW_MS))
    assert all(len(line) <= width for line in file.getvalue().splitlines())
    assert shown in file.getvalue()
    assert "900 QUORUM" in file.getvalue()


def test_what_is_told_no_more_has_no_present_rate_and_has_not_drifted() -> None:
    drift = stats("wine", "forest", "2", 1)["drift"] | {"score_psi": 0.4, "drifted": True}
    told = stats("wine", "forest", "2", 5000, drift=drift) | {"updated_ms": NOW_MS}
    told["recent"] |= {"served_per_s": 617.0}

    def shown(age_ms: int) -> str:
        return "".join(printed(stats_table([told], NOW_MS + age_ms), 250))

    assert "617" in shown(9_000)
    assert "drifted" in shown(299_000)
    assert "617" not in shown(11_000)
    assert "drifted" not in shown(301_000)

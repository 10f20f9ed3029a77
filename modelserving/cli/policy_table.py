"""Policies for the terminal, made of their JSON forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from modelserving.cli.fitting import Column, FittingTable
from modelserving.cli.text import printable
from modelserving.query.staleness import STALE_MS

_COLUMNS = (
    Column("model", 0),
    Column("asked", 3, "number"),
    Column("answered", 1, "number"),
    Column("late", 6, "number"),
    Column("counted", 2, "number"),
    Column("p50 ms", 8, "number"),
    Column("p99 ms", 5, "number"),
    Column("no answer", 4),
    Column("agrees with", 7),
)


def policies_table(policies: Iterable[Mapping[str, Any]], now_ms: int) -> Table:
    """For each data type what was decided, in some lines, and a table of the models that were asked."""
    whole = Table.grid()
    for each in policies:
        for style, line in zip(("bold", "", ""), _lines(each, now_ms), strict=True):
            whole.add_row(Text(printable(line), style))
        models = FittingTable(_COLUMNS)
        for model in each["models"]:
            models.add_row(*_cells(each, model))
        whole.add_row(models)
        whole.add_row("")
    return whole


def _lines(each: Mapping[str, Any], now_ms: int) -> tuple[str, str, str]:
    terms, times = each["terms"], each["decision_ms"]
    quorum = f" {terms['quorum']} of {len(terms['models'])}" if terms["quorum"] else ""
    whys = sorted(each["why"].items(), key=lambda why: -why[1])
    took = f", in {_ms(times, 'p50')} ms p50, {_ms(times, 'p99')} ms p99" if times["count"] else ""
    rate = f", {each['recent']['decided_per_s']:.0f} per s" if now_ms - each["updated_ms"] < STALE_MS else ""
    return (
        f"{each['data_type']}: {terms['decider'] or terms['rule']}{quorum}, within {terms['timeout_ms']} ms",
        f"{each['decided']} decided{rate}{took}; {each['at_deadline']} at the deadline, {each['late']} late",
        ", ".join(f"{count} {why}" for why, count in whys),
    )


def _cells(each: Mapping[str, Any], model: Mapping[str, Any]) -> tuple[str, ...]:
    name, taken = model["model"], model["taken_ms"]
    missing = [f"{count} {state}" for state, count in sorted(model["missing"].items())]
    others = {
        pair["second"] if pair["first"] == name else pair["first"]: pair["agreed"] / max(1, pair["compared"])
        for pair in each["agreement"]
        if name in (pair["first"], pair["second"])
    }
    return (
        f"{name} (challenger)" if name in each["terms"]["challengers"] else name,
        *(str(model[count]) for count in ("asked", "answered", "late", "counted")),
        _ms(taken, "p50"),
        _ms(taken, "p99"),
        ", ".join(missing),
        ", ".join(f"{other} {share:.1%}" for other, share in others.items()),
    )


def _ms(times: Mapping[str, Any], quantile: str) -> str:
    return f"{times[quantile]:.1f}" if times["count"] else ""

"""Tables of statistics, models and events for the terminal, made of their JSON forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from modelserving.cli.text import printable

_SHORT_SHA = 12


def stats_table(stats: Iterable[Mapping[str, Any]]) -> Table:
    """What was served, a row for each data type and model version."""
    table = new_table(
        ("data type", "model", "version", "type", "since", "served", "per s", "errors", "rejected", "p50 ms", "p99 ms")
    )
    table.add_column("µs each", justify="right")
    table.add_column("drift")
    for each in stats:
        latency, recent, drift = each["latency_ms"], each["recent"], each["drift"]
        asked = bool(each["name"])
        rejected = ", ".join(f"{count} {reason}" for reason, count in sorted(each["rejected"].items()))
        shift = max([drift["score_psi"], *drift["feature_psi"].values()])
        add_row(
            table,
            each["data_type"] or "(unknown)",
            each["name"] if asked else "(none asked)",
            each["model_version"],
            each["modelType"] if asked else "",
            _time(each["since"]),
            str(each["served"]),
            f"{recent['served_per_s']:.0f}",
            str(each["errors"]),
            rejected,
            f"{latency['p50']:.0f}" if latency["count"] else "",
            f"{latency['p99']:.0f}" if latency["count"] else "",
            f"{each['score_time_us']['p50']:.1f}" if each["score_time_us"]["count"] else "",
            f"PSI {shift:.2f}{', drifted' if drift['drifted'] else ''}" if drift["current_records"] else "",
        )
    return table


def models_table(data_types: Iterable[Mapping[str, Any]]) -> Table:
    """Every version that was seen, newest first, and which instances serve it."""
    table = new_table(
        ("data type", "model", "version", "sha256", "state", "at", "serving since", "instances", "engine")
    )
    table.add_column("why")
    for data_type in data_types:
        for version in data_type["versions"]:
            add_row(
                table,
                data_type["data_type"],
                version["name"],
                version["version"],
                version["sha256"][:_SHORT_SHA],
                version["state"],
                _time(version["state_at_ms"]),
                _time(version["serving_since_ms"]),
                ", ".join(version["instances"]),
                version["engine"],
                ": ".join(filter(None, (version["reason"], version["detail"])))
                if version["state"] in ("REJECTED", "LOAD_FAILED")
                else "",
            )
    return table


def events_table(events: Iterable[Mapping[str, Any]]) -> Table:
    """What happened, newest first."""
    table = new_table(("at", "event", "data type", "model", "version", "instance", "detail"))
    for event in events:
        add_row(
            table,
            _time(event["at_ms"]),
            event["kind"],
            event["data_type"],
            event["model_name"],
            event["model_version"],
            event["instance"],
            ": ".join(filter(None, (event["reason"], event["detail"]))),
        )
    return table


_NUMBERS = ("served", "per s", "errors", "p50 ms", "p99 ms")


def new_table(columns: Iterable[str], numbers: Iterable[str] = _NUMBERS) -> Table:
    """A table with these columns, the `numbers` among them to the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    return table


def add_row(table: Table, *cells: str) -> None:
    """Add what others wrote, harmless."""
    # As text, which knows no markup.
    table.add_row(*(Text(printable(cell)) for cell in cells))


def _time(milliseconds: int | None) -> str:
    if not milliseconds:
        return ""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds} ms"

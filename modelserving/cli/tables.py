"""Tables of statistics, models and events for the terminal, made of their JSON forms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from modelserving.cli.fitting import Column, FittingTable
from modelserving.query.staleness import DRIFT_STALE_MS, STALE_MS

_SHORT_SHA = 12


def stats_table(stats: Iterable[Mapping[str, Any]], now_ms: int) -> FittingTable:
    """What was served, a row for each data type and model version."""
    table = FittingTable(
        (
            Column("data type", 0),
            Column("model", 1),
            Column("version", 2),
            Column("type", 12),
            Column("since", 10, "date"),
            Column("served", 3, "number"),
            Column("per s", 4, "number"),
            Column("errors", 9, "number"),
            Column("rejected", 6),
            Column("p50 ms", 8, "number"),
            Column("p99 ms", 5, "number"),
            Column("µs each", 11, "number"),
            Column("drift", 7),
        )
    )
    for each in stats:
        latency, recent = each["latency_ms"], each["recent"]
        asked = bool(each["name"])
        rejected = ", ".join(f"{count} {reason}" for reason, count in sorted(each["rejected"].items()))
        table.add_row(
            each["data_type"] or "(unknown)",
            each["name"] if asked else "(none asked)",
            each["model_version"],
            each["modelType"] if asked else "",
            _time(each["since"]),
            str(each["served"]),
            f"{recent['served_per_s']:.0f}" if now_ms - each["updated_ms"] < STALE_MS else "",
            str(each["errors"]),
            rejected,
            f"{latency['p50']:.0f}" if latency["count"] else "",
            f"{latency['p99']:.0f}" if latency["count"] else "",
            f"{each['score_time_us']['p50']:.1f}" if each["score_time_us"]["count"] else "",
            _drift(each["drift"], now_ms - each["updated_ms"]),
        )
    return table


def models_table(data_types: Iterable[Mapping[str, Any]]) -> FittingTable:
    """Every version that was seen, newest first, and which instances serve it."""
    table = FittingTable(
        (
            Column("data type", 0),
            Column("model", 1),
            Column("version", 2),
            Column("sha256", 8),
            Column("state", 3),
            Column("at", 7, "date"),
            Column("serving since", 5, "date"),
            Column("instances", 4),
            Column("engine", 9),
            Column("why", 6),
        )
    )
    for data_type in data_types:
        for version in data_type["versions"]:
            table.add_row(
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


def events_table(events: Iterable[Mapping[str, Any]]) -> FittingTable:
    """What happened, newest first."""
    table = FittingTable(
        (
            Column("at", 4, "date"),
            Column("event", 0),
            Column("data type", 1),
            Column("model", 2),
            Column("version", 3),
            Column("instance", 6),
            Column("detail", 5),
        )
    )
    for event in events:
        table.add_row(
            _time(event["at_ms"]),
            event["kind"],
            event["data_type"],
            event["model_name"],
            event["model_version"],
            event["instance"],
            ": ".join(filter(None, (event["reason"], event["detail"]))),
        )
    return table


def _drift(drift: Mapping[str, Any], age_ms: int) -> str:
    """The greatest index, whether it is too great, and when the mean of the scores last changed."""
    if not (drift["score_psi"] or drift["feature_psi"]):
        return "not compared" if drift["current_records"] else ""
    shift = max([drift["score_psi"], *drift["feature_psi"].values()])
    drifted = ", drifted" if drift["drifted"] and age_ms < DRIFT_STALE_MS else ""
    changed = f", mean changed {_time(drift['changed_ms'])}" if drift["changed_ms"] else ""
    return f"PSI {shift:.2f}{drifted}{changed}"


def _time(milliseconds: int | None) -> str:
    if not milliseconds:
        return ""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds} ms"

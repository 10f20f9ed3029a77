"""What a query service might answer: a data type `wine` that `forest 2` serves, after `tree 1`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any
from zlib import crc32

JSON = dict[str, Any]


def now_ms() -> int:
    """Epoch milliseconds."""
    return time.time_ns() // 1_000_000


def quantiles(count: int, p50: float) -> JSON:
    """Of something around `p50`."""
    return {"count": count, "min": p50 / 4, "p50": p50, "p90": 2 * p50, "p99": 3 * p50, "p999": 4 * p50, "max": 5 * p50}


def stats(data_type: str, name: str, version: str, served: int, age_ms: int = 0, **more: object) -> JSON:
    """Statistics of a version that served `served` records, 1000 of them in the second that ended `age_ms` ago."""
    at_ms = now_ms() - age_ms
    return {
        "name": name,
        "description": "",
        "modelType": "PMML",
        "since": at_ms - 3_600_000,
        "usage": served,
        "duration": 2.0 * served,
        "min": 1,
        "max": 90,
        "data_type": data_type,
        "model_version": version,
        "model_sha256": _sha256(name, version),
        "served": served,
        "errors": 0,
        "rejected": {},
        "last_served_ms": at_ms,
        "score_time_us": quantiles(served, 2.0),
        "latency_ms": quantiles(served, 12.0),
        "recent": {
            "seconds": 1.0,
            "served": 1000,
            "rejected": 0,
            "served_per_s": 1000.0,
            "rejected_per_s": 0.0,
            "score_time_us": quantiles(1000, 2.0),
            "latency_ms": quantiles(1000, 14.0),
        },
        "scores": {"labels": {}, "edges": [3.0, 4.0, 5.0, 6.0, 7.0], "counts": [2, 8, 30, 40, 18, 2]},
        "drift": {
            "score_psi": 0.04,
            "feature_psi": {"alcohol": 0.08, "pH": 0.01},
            "drifted": False,
            "reference_records": 1000,
            "current_records": 2400,
            "changed_ms": 0,
        },
        "updated_ms": at_ms,
        **more,
    }


def rejections(data_type: str, reasons: dict[str, int], age_ms: int = 0) -> JSON:
    """Statistics of the records that were rejected before a model was asked, 10 of them in the last second."""
    nothing = quantiles(0, 0.0)
    recent = {
        "seconds": 1.0,
        "served": 0,
        "rejected": 10,
        "served_per_s": 0.0,
        "rejected_per_s": 10.0,
        "score_time_us": nothing,
        "latency_ms": nothing,
    }
    return stats(data_type, "", "", 0, age_ms) | {
        "modelType": "",
        "rejected": reasons,
        "last_served_ms": 0,
        "recent": recent,
        "scores": {"labels": {}, "edges": [], "counts": []},
    }


def totals(*rows: JSON) -> JSON:
    """The sums over all statistics of a data type."""
    rejected: Counter[str] = Counter()
    for row in rows:
        rejected.update(row["rejected"])
    sums = {name: sum(row[name] for row in rows) for name in ("served", "errors")}
    updated_ms = max(row["updated_ms"] for row in rows)
    return {"data_type": rows[0]["data_type"], **sums, "rejected": dict(rejected), "updated_ms": updated_ms}


def all_stats(*rows: JSON) -> JSON:
    """The answer to `/api/stats`."""
    by_type: dict[str, list[JSON]] = {}
    for row in rows:
        by_type.setdefault(row["data_type"], []).append(row)
    return {"at_ms": now_ms(), "stats": [*rows], "totals": [totals(*of_type) for of_type in by_type.values()]}


def history(data_type: str, *rows: JSON, policies: Sequence[JSON] = ()) -> JSON:
    """What the service has kept of a data type, if it was told no more than this."""

    def second(row: JSON, counts: tuple[str, str], latency: str) -> JSON:
        recent = row["recent"]
        quantiles = {name: recent[latency][name] if recent[latency]["count"] else None for name in ("p50", "p99")}
        of = {name: recent[name] for name in ("seconds", *counts)}
        return {"updated_ms": row["updated_ms"], **of, **quantiles}

    names = ("name", "model_version", "model_sha256")
    versions = [
        {name: row[name] for name in names} | {"points": [second(row, ("served", "rejected"), "latency_ms")]}
        for row in rows
    ]
    decisions = [second(row, ("decided", "at_deadline"), "decision_ms") for row in policies]
    return {"at_ms": now_ms(), "data_type": data_type, "versions": versions, "decisions": decisions}


def policy(data_type: str, decided: int, age_ms: int = 0, **more: object) -> JSON:
    """What a policy decided: 1000 records in the second that ended `age_ms` ago, 100 of them at the deadline."""
    at_ms = now_ms() - age_ms
    late = decided // 100
    return {
        "data_type": data_type,
        "terms": {
            "rule": "COMBINED",
            "quorum": 2,
            "decider": "",
            "timeout_ms": 50,
            "models": ["smart", "middling", "fast"],
            "challengers": ["next"],
            "shadow": 0.1,
            "canary": 0.0,
        },
        "since": at_ms - 3_600_000,
        "last_decided_ms": at_ms,
        "decided": decided,
        "why": {"QUORUM": decided * 8 // 10, "DEADLINE": decided // 10, "NO_QUORUM": decided // 10},
        "at_deadline": decided // 10,
        "late": late,
        "decision_ms": quantiles(decided, 17.0),
        "late_ms": quantiles(late, 1.0),
        "models": [
            voter("smart", decided, decided * 9 // 10, 100.0, late=late, missing={"SHED": 20, "FAILED": 3}),
            voter("middling", decided, decided, 12.0),
            voter("fast", decided, decided, 1.0),
            voter("next", decided // 10, decided // 10, 2.0, counted=0, shadow=decided // 10),
            voter("earlier", 70, 70, 2.0),
        ],
        "agreement": [
            {"first": "fast", "second": "middling", "compared": decided, "agreed": decided * 9 // 10},
            {"first": "fast", "second": "smart", "compared": decided * 9 // 10, "agreed": decided * 3 // 4},
            {"first": "middling", "second": "smart", "compared": decided * 9 // 10, "agreed": decided * 17 // 20},
            {"first": "fast", "second": "next", "compared": decided // 10, "agreed": decided // 40},
        ],
        "recent": {
            "seconds": 1.0,
            "decided": 1000,
            "decided_per_s": 1000.0,
            "why": {"QUORUM": 900, "DEADLINE": 100},
            "at_deadline": 100,
            "late": 7,
            "decision_ms": quantiles(1000, 15.0),
            "counted": {"smart": 700, "fast": 950},
            "late_answers": {"smart": 90},
        },
        "updated_ms": at_ms,
        **more,
    }


def voter(model: str, asked: int, answered: int, takes_ms: float, **more: object) -> JSON:
    """How a model voted."""
    return {
        "model": model,
        "asked": asked,
        "shadow": 0,
        "answered": answered,
        "late": 0,
        "counted": answered // 2,
        "missing": {},
        "taken_ms": quantiles(answered, takes_ms),
        "last_asked_ms": now_ms(),
        **more,
    }


def model(data_type: str, *versions: tuple[str, str], instances: int = 2) -> JSON:
    """A data type whose versions have served, the last of them now."""
    begin = now_ms() - 60_000 * len(versions)
    times = [begin + 60_000 * at for at in range(len(versions))]
    name, version = versions[-1]
    return {
        "data_type": data_type,
        "serving": [
            {
                "instance": f"partitioned-join {at + 1}/{instances}",
                "name": name,
                "version": version,
                "sha256": _sha256(name, version),
                "since_ms": times[-1],
            }
            for at in range(instances)
        ],
        "versions": [
            {
                "name": name,
                "version": version,
                "sha256": _sha256(name, version),
                "state": "SERVING" if (name, version) == versions[-1] else "REPLACED",
                "state_at_ms": at_ms,
                "received_ms": at_ms - 900,
                "admitted_ms": at_ms - 400,
                "serving_since_ms": at_ms,
                "reason": "",
                "detail": "",
                "engine": "pmml",
                "instances": [],
                "model_log_offset": at,
            }
            for at, ((name, version), at_ms) in enumerate(zip(versions, times, strict=True))
        ],
    }


def event(kind: str, data_type: str, name: str, version: str, offset: int, **more: object) -> JSON:
    """An event of now."""
    return {
        "kind": kind,
        "data_type": data_type,
        "model_name": name,
        "model_version": version,
        "model_sha256": _sha256(name, version),
        "at_ms": now_ms(),
        "instance": "partitioned-join 1/2",
        "reason": "",
        "detail": "",
        "offset": offset,
        "event_partition": 0,
        "event_offset": crc32(f"{kind} {data_type} {name} {version} {offset}".encode()),
        **more,
    }


def sample(reason: str, detail: str, original: bytes, offset: int, **more: object) -> JSON:
    """A rejected record of `wine`."""
    return {
        "kind": "record",
        "reason": reason,
        "detail": detail,
        "data_type": "wine",
        "model_name": "",
        "model_version": "",
        "topic": "records",
        "partition": 1,
        "offset": offset,
        "rejected_at_ms": now_ms(),
        "original_hex": original.hex(),
        "original_bytes": len(original),
        **more,
    }


def answers() -> dict[str, Any]:
    """Of all paths that the page asks."""
    labels = {"scores": {"labels": {"red": 600, "white": 400}, "edges": [], "counts": []}}
    return {
        "/api/stats": all_stats(
            stats("wine", "tree", "1", 20_000, age_ms=60_000),
            stats("wine", "forest", "2", 50_000, age_ms=3000),
            rejections("wine", {"MALFORMED": 70, "MISSING_FEATURE": 30}, age_ms=3000),
            stats("colour", "glm", "7", 9000, age_ms=3000, **labels),
        ),
        "/api/policies": {"at_ms": now_ms(), "policies": []},
        "/api/models": {"data_types": [model("wine", ("tree", "1"), ("forest", "2")), model("colour", ("glm", "7"))]},
        "/api/events": {
            "events": [
                event("SERVING", "wine", "forest", "2", 3) | {"at_ms": now_ms() - 60_000},
                event("ADMITTED", "wine", "forest", "2", 2) | {"at_ms": now_ms() - 61_000, "instance": "admission"},
            ]
        },
        "/api/rejected": {
            "records": {"total": 100, "by_reason": {"MALFORMED": 70, "MISSING_FEATURE": 30}},
            "models": {"total": 1, "by_reason": {"UNLOADABLE": 1}},
            "sample": [sample("MALFORMED", "not JSON: line 1 column 1", b"7.4;0.7;oops", 812)],
        },
    }


def _sha256(name: str, version: str) -> str:
    return f"{name}{version}".encode().hex().ljust(64, "0")[:64]

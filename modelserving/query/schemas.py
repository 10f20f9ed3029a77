"""The JSON schemas of the answers."""

from __future__ import annotations

from typing import Any

from modelserving.query.plain import schema
from modelserving.wire.serving_pb2 import EventKind, LogPosition
from modelserving.wire.stats_pb2 import PolicyStats, Quantiles, ServingStats

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_INTEGER: Schema = {"type": "integer"}
_REAL: Schema = {"type": ["number", "null"]}
_MS: Schema = {"type": "integer", "description": "Milliseconds since 1970-01-01 UTC."}
_MS_OR_NONE: Schema = {**_MS, "type": ["integer", "null"]}
_STATES = [name for name in EventKind.keys() if name not in ("EVENT_UNSPECIFIED", "DRIFT")]  # noqa: SIM118 - an enum


def _object(properties: Schema, optional: tuple[str, ...] = ()) -> Schema:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "required": required, "properties": properties}


def _list(name: str) -> Schema:
    return {"type": "array", "items": ref(name)}


def _map(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def ref(name: str) -> Schema:
    """A reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


_COUNTS = _object({"total": _INTEGER, "by_reason": _map(_INTEGER)})
_NAMED: Schema = {"name": _TEXT, "version": _TEXT, "sha256": _TEXT}
_MODEL: Schema = {"data_type": _TEXT, "model_name": _TEXT, "model_version": _TEXT}


def _point(*counts: str) -> Schema:
    """What was told of a second or so."""
    latency = {**_REAL, "description": "Of the latency, in ms; null if there is none."}
    return _object(
        {
            "updated_ms": _MS,
            "seconds": {**_REAL, "description": "Before `updated_ms`: what the counts are of."},
            **dict.fromkeys(counts, _INTEGER),
            "p50": latency,
            "p99": latency,
        }
    )


SCHEMAS: dict[str, Schema] = {
    "Problem": _object({"error": _TEXT, "remedy": _TEXT}),
    "Status": _object({"status": _TEXT}),
    "ServingStats": {**schema(ServingStats.DESCRIPTOR), "description": "Totals of a data type and model version."},
    "Quantiles": schema(Quantiles.DESCRIPTOR),
    "Totals": {
        **_object(
            {"data_type": _TEXT, "served": _INTEGER, "errors": _INTEGER, "rejected": _map(_INTEGER), "updated_ms": _MS}
        ),
        "description": "The sums over all versions of a data type, and what was rejected before a model was asked.",
    },
    "Stats": _object({"at_ms": _MS, "stats": _list("ServingStats"), "totals": _list("Totals")}),
    "ModelStats": _object(
        {
            "data_type": _TEXT,
            "model": _TEXT,
            "versions": _list("ServingStats"),
            "latency_ms": {**ref("Quantiles"), "description": "Of all versions together."},
            "score_time_us": ref("Quantiles"),
        }
    ),
    "History": _object(
        {
            "at_ms": _MS,
            "data_type": _TEXT,
            "versions": _list("HistoryOfVersion"),
            "decisions": {"type": "array", "items": _point("decided", "at_deadline")},
        }
    ),
    "HistoryOfVersion": _object(
        {
            "name": _TEXT,
            "model_version": _TEXT,
            "model_sha256": _TEXT,
            "points": {"type": "array", "items": _point("served", "rejected")},
        }
    ),
    "PolicyStats": {**schema(PolicyStats.DESCRIPTOR), "description": "What a data type's policy decided."},
    "Policies": _object({"at_ms": _MS, "policies": _list("PolicyStats")}),
    "Serving": _object({"instance": _TEXT, **_NAMED, "since_ms": _MS}),
    "Version": _object(
        {
            **_NAMED,
            "state": {"type": "string", "enum": ["", *_STATES], "description": "The kind of its last event."},
            "state_at_ms": _MS,
            "received_ms": _MS_OR_NONE,
            "admitted_ms": _MS_OR_NONE,
            "serving_since_ms": {**_MS_OR_NONE, "description": "Of the instance that has served it longest."},
            "reason": _TEXT,
            "detail": _TEXT,
            "engine": _TEXT,
            "instances": {"type": "array", "items": _TEXT, "description": "Those that serve it now."},
            "model_log_offset": {"type": ["integer", "null"]},
        }
    ),
    "DataTypeModels": _object({"data_type": _TEXT, "serving": _list("Serving"), "versions": _list("Version")}),
    "Models": _object({"data_types": _list("DataTypeModels")}),
    "Event": _object(
        {
            "kind": _TEXT,
            **_MODEL,
            "model_sha256": _TEXT,
            "at_ms": _MS,
            "instance": _TEXT,
            "reason": _TEXT,
            "detail": _TEXT,
            "offset": {"type": "integer", "description": "Of the model's message on the model log."},
            "event_partition": {"type": "integer", "description": "With `event_offset`: the event's own place."},
            "event_offset": _INTEGER,
        }
    ),
    "Events": _object({"events": _list("Event")}),
    "Rejection": _object(
        {
            "kind": {"type": "string", "enum": ["record", "model"]},
            "reason": _TEXT,
            "detail": _TEXT,
            **_MODEL,
            "topic": _TEXT,
            "partition": _INTEGER,
            "offset": _INTEGER,
            "rejected_at_ms": _MS,
            "original_hex": {"type": "string", "description": "The first 64 bytes."},
            "original_bytes": _INTEGER,
        }
    ),
    "Rejected": _object({"records": _COUNTS, "models": _COUNTS, "sample": _list("Rejection")}),
    "Result": _object(
        {
            **_MODEL,
            "model_sha256": _TEXT,
            "number": _REAL,
            "label": _TEXT,
            "probabilities": _map(_REAL),
            "outputs": {"type": "array", "items": _REAL},
            "record": schema(LogPosition.DESCRIPTOR),
            "scored_at_ms": _MS,
            "latency_us": _INTEGER,
        },
        optional=("number", "label"),
    ),
    "Results": _object({"results": _list("Result")}),
}

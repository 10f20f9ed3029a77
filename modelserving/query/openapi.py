"""The description of the service, as an OpenAPI 3.1 document."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from modelserving.query.data_type_stats import MOST_LATELY
from modelserving.query.parameters import DEFAULT_LIMIT, LONGEST_NAME, MOST
from modelserving.query.problems import JSON
from modelserving.query.schemas import SCHEMAS, ref

_NAME: dict[str, Any] = {"type": "string", "maxLength": LONGEST_NAME}
_LIMIT = {
    "name": "limit",
    "in": "query",
    "description": "How many elements, at most.",
    "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT},
}
_OF_DATA_TYPE = {"name": "data_type", "in": "query", "description": "Only of this data type.", "schema": _NAME}
_PROBLEMS = {
    400: "A query parameter is wrong.",
    401: "The token is missing or wrong.",
    403: "The service has no token, and was not asked for as localhost.",
    404: "There is nothing of that name.",
    413: "The request has a body.",
    414: "The request is too long.",
    429: "This client asks too often; the header Retry-After tells when to ask again.",
    503: "The topics are not read yet, or cannot be; the header Retry-After tells when to ask again.",
}
_EVERYWHERE = (400, 403, 413, 414, 429)


def document(*, needs_token: bool) -> dict[str, Any]:
    """The document; `needs_token`: whether the service was started with one."""
    paths = {
        "/api/stats": _get(
            "stats",
            "Statistics, by data type and since when: of each data type those of the versions that serve, of the "
            f"{MOST_LATELY} that were told of last, and of those before that were added up; with the parameter, of all "
            "versions of that data type. And the totals of each data type, over all of its versions.",
            "Stats",
            _OF_DATA_TYPE,
        ),
        "/api/stats/{data_type}/{model}": _get(
            "statsOfModel",
            "The statistics of a model: its versions, and quantiles over all of them.",
            "ModelStats",
            _path("data_type"),
            _path("model"),
        ),
        "/api/history/{data_type}": _get(
            "historyOfDataType",
            "What was told of each second of the last ten minutes: of its versions, those told of last first, and of "
            "what its policy decided. After a restart of the service, what of it the topic still has.",
            "History",
            _path("data_type"),
            _LIMIT,
        ),
        "/api/policies": _get(
            "policies",
            "What each data type's policy decided, in speculative serving, and how its models vote.",
            "Policies",
        ),
        "/api/policies/{data_type}": _get("policyOfDataType", "The same of one.", "PolicyStats", _path("data_type")),
        "/api/models": _get("models", "Every version that was seen, and which one serves where.", "Models"),
        "/api/models/{data_type}": _get("modelsOfDataType", "The same of one.", "DataTypeModels", _path("data_type")),
        "/api/events": _get("events", "Life-cycle events, newest first.", "Events", _LIMIT, _OF_DATA_TYPE),
        "/api/rejected": _get(
            "rejected",
            "What was turned away: totals, and a sample of each data type and reason, newest first.",
            "Rejected",
            _LIMIT,
            _OF_DATA_TYPE,
        ),
        "/api/results": _get("results", "A sample of results, newest first.", "Results", _LIMIT),
        "/api/stream": _stream(),
        "/metrics": _operation(
            "metrics", "All figures, for Prometheus.", {"text/plain": {"schema": {"type": "string"}}}
        ),
        "/healthz": _get("healthz", "Whether the service lives.", "Status"),
        "/readyz": _get("readyz", "Whether it has read what there is, and hears from the broker.", "Status"),
        "/openapi.json": _operation("openapi", "This document.", {JSON: {"schema": {"type": "object"}}}),
    }
    described: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "modelserving query service",
            "version": version("modelserving"),
            "description": "What the topics of the serving job tell. It only reads.",
        },
        "paths": {path: {"get": _secured(operation, path, needs_token)} for path, operation in paths.items()},
        "components": {"schemas": SCHEMAS},
    }
    if needs_token:
        described["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    return described


def _get(name: str, summary: str, answer: str, *parameters: dict[str, Any]) -> dict[str, Any]:
    return _operation(name, summary, {JSON: {"schema": ref(answer)}}, *parameters)


def _stream() -> dict[str, Any]:
    text = (
        "Server-sent events, first what /api/stats and /api/policies answer, then what changes: `stats` (a "
        "ServingStats), `totals` (a Totals), `gone` (what a version was named by whose ServingStats are no longer "
        "there), `policy` (a PolicyStats), `model` (an Event), `rejected` (a Rejection; a sample of a few a second). "
        "A comment every 15 s is a sign of life. A client that comes again with the header `Last-Event-ID` gets what "
        "it missed, or, if that is not kept any more, the event `reload` and all from the beginning."
    )
    last = {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The id of the last event that the client has.",
        "schema": {"type": "string"},
    }
    return _operation("stream", text, {"text/event-stream": {"schema": {"type": "string"}}}, last)


def _operation(name: str, summary: str, content: dict[str, Any], *parameters: dict[str, Any]) -> dict[str, Any]:
    problem = {"content": {JSON: {"schema": ref("Problem")}}}
    statuses = [*_EVERYWHERE, 503]
    if any(parameter["in"] == "path" for parameter in parameters):
        statuses.append(404)
    return {
        "operationId": name,
        "summary": summary,
        **({"parameters": list(parameters)} if parameters else {}),
        "responses": {
            "200": {"description": "The answer.", "content": content},
            **{str(status): {"description": _PROBLEMS[status], **problem} for status in sorted(statuses)},
        },
    }


def _secured(operation: dict[str, Any], path: str, needs_token: bool) -> dict[str, Any]:
    if not needs_token or not path.startswith(("/api/", "/metrics")):
        return operation
    refused = {"description": _PROBLEMS[401], "content": {JSON: {"schema": ref("Problem")}}}
    responses = {**operation["responses"], "401": refused}
    return {**operation, "security": [{"bearer": []}], "responses": responses}


def _path(name: str) -> dict[str, Any]:
    text = "With slashes percent-encoded."
    return {"name": name, "in": "path", "description": text, "required": True, "schema": {**_NAME, "minLength": 1}}

"""The service keeps to its description: requests that are made of it, good ones and bad ones."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case, GenerationMode

from modelserving.query.app import application
from modelserving.query.encoding import encode
from modelserving.query.messages import result as plain_result
from modelserving.query.openapi import document
from modelserving.query.rate import Rate
from tests.query.cases import TOKEN, FakeResults, client_of, result, service_of

STREAM = "/api/stream"
BASE_URL = "http://localhost"


def app_of(token: str | None) -> Any:
    results = FakeResults([encode(plain_result(result(1, label="5"))), encode(plain_result(result(2, number=0.5)))])
    return application(service_of(results=results), token, Rate(1e9, 1e9))


# The stream has no end; it has tests of its own.
secured = schemathesis.openapi.from_asgi("/openapi.json", app_of(TOKEN)).exclude(path=STREAM)
unsecured = schemathesis.openapi.from_asgi("/openapi.json", app_of(None), headers={"Host": "localhost"}).exclude(
    path=STREAM
)


# The token is always shown here, so a request that is bad for lack of it cannot be made.
secured.config.generation.update(modes=[GenerationMode.POSITIVE])


@secured.parametrize()
@settings(max_examples=20, derandomize=True, suppress_health_check=list(HealthCheck))
def test_with_a_token(case: Case[Any]) -> None:
    case.call_and_validate(BASE_URL, headers={"Authorization": f"Bearer {TOKEN}"})


@unsecured.parametrize()
@settings(max_examples=60, derandomize=True, suppress_health_check=list(HealthCheck))
def test_without_a_token(case: Case[Any]) -> None:
    case.call_and_validate(BASE_URL)


def test_every_route_is_described_and_no_other() -> None:
    served = {
        route.path.replace(":path}", "}") for route in app_of(None)._app.routes if route.path not in ("/", "/static")
    }
    assert set(document(needs_token=False)["paths"]) == served


@pytest.mark.parametrize("needs_token", [True, False])
def test_the_description_is_what_is_served(needs_token: bool) -> None:
    with client_of(service_of(), TOKEN if needs_token else None) as client:
        served = client.get("/openapi.json").json()
    assert served == document(needs_token=needs_token)
    secured = {path for path, item in served["paths"].items() if item["get"].get("security")}
    guarded = {path for path in served["paths"] if path.startswith("/api/") or path == "/metrics"}
    assert secured == (guarded if needs_token else set())


def test_answers_hold_something_of_each_kind() -> None:
    with client_of(service_of()) as client:
        for path in ("/api/stats", "/api/models", "/api/events"):
            lists = [value for value in client.get(path).json().values() if isinstance(value, list)]
            assert lists, path
            assert all(lists), path
        assert client.get("/api/rejected").json()["sample"]

"""Who may ask, how much and how often; and what every answer says to browsers."""

from __future__ import annotations

import orjson
import pytest

from modelserving.query import rate as rate_module
from modelserving.query.guard import MOST_TARGET_BYTES
from modelserving.query.rate import BURST, RATE_PER_S, Rate
from tests.query.cases import TOKEN, client_of, service_of

GUARDED = ("/api/stats", "/api/stats/wine/tree", "/api/events", "/api/results", "/metrics")
OPEN = ("/healthz", "/readyz", "/openapi.json", "/")


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer ünïcode"],
)
def test_without_the_token_nothing_is_told(path: str, header: str | None) -> None:
    with client_of(service_of(), TOKEN, host="elsewhere.example") as client:
        answer = client.get(path, headers={} if header is None else {b"Authorization": header.encode()})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "Authorization: Bearer" in orjson.loads(answer.content)["remedy"]


@pytest.mark.parametrize("path", [*GUARDED, *OPEN])
def test_with_the_token_everything_is(path: str) -> None:
    with client_of(service_of(), TOKEN, host="elsewhere.example") as client:
        assert client.get(path, headers={"Authorization": f"bearer {TOKEN}"}).status_code == 200


@pytest.mark.parametrize("path", OPEN)
def test_what_holds_no_data_needs_no_token(path: str) -> None:
    with client_of(service_of(), TOKEN, host="elsewhere.example") as client:
        assert client.get(path).status_code == 200


def test_the_token_is_no_parameter() -> None:
    with client_of(service_of(), TOKEN) as client:
        assert client.get("/api/stats", params={"token": TOKEN}).status_code == 401


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080"])
def test_names_of_this_machine_are_answered_to(host: str) -> None:
    with client_of(service_of()) as client:
        assert client.get("/api/stats", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "192.0.2.1:8080", "[::1", "0x7f.1"])
def test_a_name_that_leads_here_from_elsewhere_is_not(host: str) -> None:
    with client_of(service_of()) as client:
        answer = client.get("/api/stats", headers={"Host": host})
        assert answer.status_code == 403
        assert "localhost" in orjson.loads(answer.content)["remedy"]


@pytest.mark.parametrize("path", ["/", "/api/stats", "/api/nothing", "/metrics"])
def test_every_answer_tells_browsers_to_be_strict(path: str) -> None:
    with client_of(service_of()) as client:
        headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == ("no-cache" if path == "/" else "no-store")
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("headers", [{"Content-Length": "1"}, {"Transfer-Encoding": "chunked"}])
def test_bodies_are_refused_unread(headers: dict[str, str]) -> None:
    with client_of(service_of()) as client:
        assert client.get("/api/stats", headers=headers).status_code == 413


@pytest.mark.parametrize("target", ["/api/events?data_type=", "/api/models/"])
def test_long_targets_are_refused(target: str) -> None:
    with client_of(service_of()) as client:
        assert client.get(target + "x" * MOST_TARGET_BYTES).status_code == 414


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_who_asks_too_often_is_told_when_to_ask_again() -> None:
    clock = Clock()
    with client_of(service_of(), TOKEN, Rate(per_s=0.25, burst=2, clock_s=clock)) as client:
        # Guessing tokens counts too.
        assert [client.get("/api/stats").status_code for _ in range(3)] == [401, 401, 429]
        answer = client.get("/healthz")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "4")
        clock.now_s = 4.0
        assert [client.get("/healthz").status_code for _ in range(2)] == [200, 429]


def test_tokens_come_back_up_to_a_burst() -> None:
    clock = Clock()
    rate = Rate(per_s=10, burst=5, clock_s=clock)
    assert [rate.take("a") > 0 for _ in range(6)] == [False] * 5 + [True]
    clock.now_s = 0.25
    assert [rate.take("a") > 0 for _ in range(3)] == [False, False, True]
    clock.now_s = 1000.0
    assert [rate.take("a") > 0 for _ in range(6)] == [False] * 5 + [True]


def test_clients_have_buckets_of_their_own() -> None:
    rate = Rate(per_s=1, burst=1, clock_s=lambda: 0.0)
    assert rate.take("192.0.2.1") == 0
    assert rate.take("192.0.2.2") == 0
    assert rate.take("192.0.2.1") == 1.0
    assert rate.take("2001:db8::1") == 0
    assert rate.take("2001:db8::ffff") == 1.0, "the same network"
    assert rate.take("2001:db8:0:1::1") == 0


def test_buckets_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_module, "MOST_CLIENTS", 2)
    rate = Rate(per_s=1, burst=1, clock_s=lambda: 0.0)
    assert [rate.take(client) for client in "abca"] == [0, 0, 0, 0]
    assert [rate.take(client) for client in "ca"] == [1.0, 1.0]


def test_200_clients_at_one_address_that_ask_once_a_second_pass() -> None:
    clock = Clock()
    rate = Rate(RATE_PER_S, BURST, clock)
    for second in range(60):
        clock.now_s = float(second)
        assert not any(rate.take("192.0.2.1") for _ in range(200))

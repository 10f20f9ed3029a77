"""`modelserving query` as a process: it starts, answers, ends, and refuses what would not be safe."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner, Result

from modelserving import topics as topics_module
from modelserving.cli.main import main
from modelserving.cli.query import query
from modelserving.errors import ConfigurationError
from modelserving.local.broker import LocalBroker, free_port
from modelserving.query.server import TOKEN_VARIABLE, is_loopback, listen, need_token, read_token, url_of
from modelserving.topics import Topics
from modelserving.wire.serving_pb2 import EventKind, Reason
from tests.kafka_client import produce
from tests.query.cases import NOW_MS, TOKEN, event, rejected, result, stats, stats_message
from tests.query.test_stream import told
from tests.waiting import LIMIT_S, wait_until


class Command:
    """A running `modelserving query`."""

    def __init__(self, broker: LocalBroker, topics: Topics, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-m", "modelserving.cli.main", "query", "--port", "0", *arguments]
        command += ["--bootstrap-servers", broker.bootstrap_servers, "--topic-prefix", topics.prefix]
        self.process = subprocess.Popen(
            command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        address = urlsplit(self.line.split()[-1] if self.line else "")
        self.host, self.port = address.hostname or "", address.port or 0

    def ask(self, path: str, headers: dict[str, str] | None = None) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=LIMIT_S)
        connection.request("GET", path, headers=headers or {})
        return connection.getresponse()

    def get(self, path: str) -> Any:
        answer = self.ask(path)
        body = answer.read()
        assert answer.status == 200, body
        return json.loads(body)

    def wait_until_ready(self) -> None:
        wait_until(lambda: self.ask("/readyz").status == 200)

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[int, str]:
        """Its exit code and stderr."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=LIMIT_S)
        return self.process.returncode, errors


Start = Callable[..., Command]


@pytest.fixture
def start(broker: LocalBroker, topics: Topics) -> Iterator[Start]:
    """Start the command; it is ended after the test."""
    started: list[Command] = []

    def begin(*arguments: str, at: LocalBroker = broker, of: Topics = topics, **environment: str) -> Command:
        started.append(Command(at, of, *arguments, **environment))
        return started[-1]

    yield begin
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
            command.process.communicate()


def fill(broker: LocalBroker, topics: Topics) -> None:
    """Something of each kind."""
    servers = broker.bootstrap_servers
    totals = stats_message(stats(served=3, rejected={"MALFORMED": 4}))
    produce(servers, topics.serving_stats, [(totals.key, b"old garbage \xff"), (totals.key, totals.value)])
    events = [
        event(EventKind.SERVING, instance="keyed-join 1/1"),
        event(EventKind.REJECTED, "2", NOW_MS + 1, reason=Reason.CONFLICT),
    ]
    produce(servers, topics.model_events, [(b"wine", each.SerializeToString()) for each in events])
    produce(servers, topics.model_events, [(b"wine", b"\xff\xff"), (None, None)])
    produce(servers, topics.rejected_records, [(None, rejected().SerializeToString())])
    produce(servers, topics.results, [(None, result(5, label="6").SerializeToString())])


def shown(command: Command) -> dict[str, Any]:
    """What it tells, but for the time of telling."""
    paths = ("/api/stats", "/api/stats/wine/tree", "/api/models", "/api/events", "/api/rejected", "/api/results")
    return {path: {name: value for name, value in command.get(path).items() if name != "at_ms"} for path in paths}


def test_what_is_on_the_topics_is_told_again_after_a_restart(start: Start, broker: LocalBroker, topics: Topics) -> None:
    fill(broker, topics)
    command = start()
    assert command.line == f"query service at http://127.0.0.1:{command.port}/\n"
    command.wait_until_ready()
    before = shown(command)
    assert [one["served"] for one in before["/api/stats"]["stats"]] == [3]
    assert [each["version"] for each in before["/api/models"]["data_types"][0]["serving"]] == ["1"]
    assert before["/api/rejected"]["records"] == {"total": 4, "by_reason": {"MALFORMED": 4}}
    assert before["/api/rejected"]["models"] == {"total": 1, "by_reason": {"CONFLICT": 1}}
    assert [one["label"] for one in before["/api/results"]["results"]] == ["6"]
    metrics = command.ask("/metrics").read().decode()
    assert f'modelserving_query_undecodable_total{{topic="{topics.model_events}"}} 2.0' in metrics
    code, errors = command.end(signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert "Traceback" not in errors
    again = start()
    again.wait_until_ready()
    assert shown(again) == before


def test_what_comes_is_told_at_once(start: Start, broker: LocalBroker, topics: Topics) -> None:
    command = start()
    command.wait_until_ready()
    stream = command.ask("/api/stream")
    assert stream.getheader("content-type") == "text/event-stream; charset=utf-8"
    fill(broker, topics)
    text = ""
    while len({name for name, _ in told(text)}) < 3:
        line = stream.readline().decode()
        assert line, "the stream has ended"
        text += line
    totals = next(data for name, data in told(text) if name == "stats")
    assert (totals["name"], totals["served"]) == ("tree", 3)
    assert command.get("/api/stats")["stats"] == [totals]
    wait_until(lambda: len(command.get("/api/events")["events"]) == 2)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_well_though_somebody_listens(start: Start, number: signal.Signals) -> None:
    command = start()
    command.wait_until_ready()
    stream = command.ask("/api/stream")
    assert stream.readline()
    code, errors = command.end(number)
    assert code == (0 if number == signal.SIGINT else -signal.SIGTERM)
    assert errors == ""
    assert b"data:" not in stream.read()


def test_a_token_is_needed_once_there_is_one(start: Start, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    command = start("--token-file", str(file), "--host", "0.0.0.0")  # noqa: S104
    command.wait_until_ready()
    for path in ("/api/stats", "/api/stream", "/metrics"):
        assert command.ask(path).status == 401
        assert command.ask(path, {"Authorization": f"Bearer {TOKEN}"}).status == 200
    other = start(**{TOKEN_VARIABLE: TOKEN})
    other.wait_until_ready()
    assert other.ask("/api/stats").status == 401


@pytest.mark.usefixtures("kafka_ready")
def test_it_outlasts_its_broker(start: Start, tmp_path: Path) -> None:
    topics = Topics()
    with LocalBroker(tmp_path, free_port()) as broker:
        topics_module.create(broker.bootstrap_servers, topics, 2)
        fill(broker, topics)
        command = start(at=broker, of=topics)
        command.wait_until_ready()
        before = shown(command)
        broker.stop()
        assert command.get("/api/stats")["stats"] == before["/api/stats"]["stats"]
        assert command.ask("/healthz").status == 200
        answer = command.ask("/api/results")
        while answer.status == 200:  # what was sampled a moment ago
            answer.read()
            answer = command.ask("/api/results")
        assert answer.status == 503
        assert "Kafka at" in json.loads(answer.read())["error"]
        broker.start()
        produce(
            broker.bootstrap_servers, topics.model_events, [(b"wine", event(EventKind.LOADING).SerializeToString())]
        )
        wait_until(lambda: len(command.get("/api/events")["events"]) == 3)
        wait_until(lambda: command.ask("/api/results").status == 200)
        assert command.get("/api/results") == before["/api/results"]


# --- Refusals


def run(broker: LocalBroker, topics: Topics, *arguments: str, **environment: str) -> Result:
    everywhere = ["query", "--bootstrap-servers", broker.bootstrap_servers, "--topic-prefix", topics.prefix]
    return CliRunner().invoke(main, [*everywhere, *arguments], env=environment)


def refusal(done: Result) -> str:
    assert done.exit_code == 1, done.output
    assert len(done.stderr.splitlines()) == 1
    return str(done.stderr)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104
def test_without_a_token_other_machines_may_not_ask(host: str, broker: LocalBroker, topics: Topics) -> None:
    told = refusal(run(broker, topics, "--host", host, **{TOKEN_VARIABLE: ""}))
    assert f"{host} can be reached from other machines: give a token with --token-file" in told


def test_a_port_that_is_taken_is_told(broker: LocalBroker, topics: Topics) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = refusal(run(broker, topics, "--port", str(port)))
    assert f"127.0.0.1 port {port} cannot be used" in told
    assert "--port" in told


def test_missing_topics_are_told(broker: LocalBroker) -> None:
    assert "none-serving-stats" in refusal(run(broker, Topics("none-")))


def test_a_broker_that_cannot_be_reached_is_told(tmp_path: Path) -> None:
    absent = LocalBroker(tmp_path, free_port())
    assert f"Kafka at {absent.bootstrap_servers}" in refusal(run(absent, Topics()))


@pytest.mark.parametrize("text", ["", "short", "with a blank in between", "ü" * 20, "x" * 501])
def test_bad_tokens_are_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="16 to 500 printable ASCII characters") as caught:
        read_token(file, {})
    assert not text or text not in str(caught.value)


def test_a_token_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="none cannot be read"):
        read_token(tmp_path / "none", {})


def test_where_the_token_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f" {TOKEN}\n")
    assert read_token(file, {TOKEN_VARIABLE: "x" * 20}) == TOKEN
    assert read_token(None, {TOKEN_VARIABLE: "x" * 20}) == "x" * 20
    assert read_token(None, {TOKEN_VARIABLE: ""}) is read_token(None, {}) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    need_token(host, None)


def test_the_address_is_one_to_click_on() -> None:
    with listen("127.0.0.1", 0) as listening:
        assert url_of(listening) == f"http://127.0.0.1:{listening.getsockname()[1]}/"
    if socket.has_ipv6:
        with listen("::1", 0) as listening:
            assert url_of(listening) == f"http://[::1]:{listening.getsockname()[1]}/"


def test_options_are_those_of_the_command() -> None:
    assert {option.name for option in query.params} == {"host", "port", "token_file", "bootstrap_servers", "topics"}


def test_an_answer_does_not_wait_for_its_first_part_to_be_acknowledged() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        connection, _ = listening.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

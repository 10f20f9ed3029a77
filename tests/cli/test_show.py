"""`stats`, `policies`, `models` and `events` show what the job told, as tables and as the query service's JSON."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from uuid import uuid4

import pytest

from modelserving.cli import following, show
from modelserving.local.broker import LocalBroker
from modelserving.statistics.keys import policy_key
from modelserving.topics import Topics, admin_client
from modelserving.wire.model_pb2 import ModelType
from modelserving.wire.serving_pb2 import EventKind, LogPosition, ModelEvent
from modelserving.wire.speculative_pb2 import Rule
from modelserving.wire.stats_pb2 import (
    Drift,
    ModelAgreement,
    PolicyModel,
    PolicyStats,
    PolicyTerms,
    Quantiles,
    Recent,
    RecentDecisions,
    ServingStats,
)
from tests.cli.conftest import Run
from tests.kafka_client import produce

STATS = ServingStats(
    data_type="wine",
    name="forest",
    model_version="3",
    modelType=ModelType.PMML,
    since=1_700_000_000_000,
    served=1234,
    usage=1234,
    errors=5,
    rejected={"MODEL_FAILED": 5},
    recent=Recent(served_per_s=617),
    latency_ms=Quantiles(count=1234, p50=21, p99=42),
    drift=Drift(current_records=400, score_psi=0.3, drifted=True, changed_ms=1_700_000_000_000),
)
EVENT = ModelEvent(
    kind=EventKind.SERVING,
    data_type="wine",
    model_name="forest",
    model_version="3",
    model_sha256="ab" * 32,
    at_ms=1_700_000_000_000,
    instance="keyed-join 1/2",
    detail="evaluated by vectorised-2",
    position=LogPosition(topic="models", offset=3),
)
POLICY = PolicyStats(
    data_type="wine",
    terms=PolicyTerms(rule=Rule.CONSENSUS, quorum=2, timeout_ms=50, models=["smart", "fast"], challengers=["next"]),
    decided=1000,
    why={"QUORUM": 900, "NO_ANSWER": 100},
    at_deadline=90,
    late=3,
    decision_ms=Quantiles(count=1000, p50=21, p99=50.5),
    models=[
        PolicyModel(model="smart", asked=1000, answered=950, late=40, counted=900, missing={"SHED": 7}),
        PolicyModel(model="next\x1b[2J", asked=10),
        PolicyModel(model="next", asked=20, shadow=20),
    ],
    agreement=[ModelAgreement(first="fast", second="smart", compared=800, agreed=700)],
    recent=RecentDecisions(decided_per_s=617),
)
HOSTILE = ModelEvent(
    kind=EventKind.REJECTED, data_type="wine", model_name="[red]\x1b[2J", at_ms=1, instance="admission", detail="\x07"
)


@pytest.fixture(autouse=True)
def told(broker: LocalBroker, topics: Topics) -> None:
    servers = broker.bootstrap_servers
    produce(servers, topics.serving_stats, [(b"k", ServingStats(data_type="wine", served=1).SerializeToString())], 0)
    for key, told in ((b"k", STATS), (policy_key("wine"), POLICY)):
        # By a clock that is ahead, so that it is of the present for long enough.
        told.updated_ms = time.time_ns() // 1_000_000 + 60_000
        produce(servers, topics.serving_stats, [(key, told.SerializeToString())], 0)
    produce(
        servers, topics.model_events, [(b"wine", HOSTILE.SerializeToString()), (b"wine", EVENT.SerializeToString())]
    )


def test_stats(run: Run) -> None:
    shown = run("stats").stdout
    drift = "PSI 0.30, drifted, mean changed 2023-11-14 22:13:20Z"
    for text in ("wine", "forest", "PMML", "1234", "617", "5 MODEL_FAILED", drift):
        assert text in shown
    assert len(shown.splitlines()) == 2


def test_stats_as_json(run: Run) -> None:
    (stats,) = json.loads(run("stats", "--json").stdout)["stats"]
    assert (stats["served"], stats["modelType"], stats["rejected"]) == (1234, "PMML", {"MODEL_FAILED": 5})


def test_policies(run: Run) -> None:
    shown = run("policies").stdout
    for text in (
        "wine: CONSENSUS 2 of 2, within 50 ms",
        "1000 decided, 617 per s, in 21.0 ms p50, 50.5 ms p99; 90 at the deadline, 3 late",
        "900 QUORUM, 100 NO_ANSWER",
        "next (challenger)",
        "7 SHED",
        "fast 87.5%",
    ):
        assert text in shown
    assert "\x1b" not in shown


def test_policies_as_json(run: Run) -> None:
    (policy,) = json.loads(run("policies", "--json").stdout)["policies"]
    assert (policy["decided"], policy["why"], policy["terms"]["rule"]) == (
        1000,
        {"QUORUM": 900, "NO_ANSWER": 100},
        "CONSENSUS",
    )


def test_models(run: Run) -> None:
    shown = run("models").stdout
    for text in ("forest", "SERVING", "abababababab", "keyed-join 1/2", "vectorised-2"):
        assert text in shown
    (data_type,) = json.loads(run("models", "--json").stdout)["data_types"]
    assert [serving["instance"] for serving in data_type["serving"]] == ["keyed-join 1/2"]


def test_events_are_newest_first_and_harmless(run: Run) -> None:
    shown = run("events").stdout
    assert shown.index("SERVING") < shown.index("REJECTED")
    assert "\x1b" not in shown
    assert "\x07" not in shown
    assert "[red]" in shown
    assert len(json.loads(run("events", "--json", "--limit", "1").stdout)["events"]) == 1


def test_watch_tells_each_change(broker: LocalBroker, topics: Topics) -> None:
    command = [sys.executable, "-m", "modelserving.cli.main", "stats", "--watch", "--json"]
    command += ["--bootstrap-servers", broker.bootstrap_servers, "--topic-prefix", topics.prefix]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert [each["served"] for each in json.loads(process.stdout.readline())["stats"]] == [1234]
        later = ServingStats(data_type="wine", name="forest", served=2000).SerializeToString()
        produce(broker.bootstrap_servers, topics.serving_stats, [(b"k", later)], 0)
        assert [each["served"] for each in json.loads(process.stdout.readline())["stats"]] == [2000]
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_watch_tells_nothing_where_nothing_changes(monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    """Other topics bring news all the time."""

    class Followed:
        fault = None

        def __init__(self) -> None:
            self.answers = iter([[b'"a"'], [b'"a"'], [b'"b"'], [b'"b"']])

        def read(self, _: object) -> list[bytes]:
            for answer in self.answers:
                return answer
            raise KeyboardInterrupt

    monkeypatch.setattr(following, "following", lambda *_: nullcontext(Followed()))
    monkeypatch.setattr(show, "LOOK_EVERY_S", 0.0)
    told = run("models", "--watch", "--json").stdout.splitlines()
    assert [json.loads(line) for line in told] == [{"data_types": ["a"]}, {"data_types": ["b"]}]


def test_only_what_is_read_must_be_there(run: Run, broker: LocalBroker) -> None:
    others = Topics(f"told-{uuid4().hex}-")
    with admin_client(broker.bootstrap_servers) as admin:
        admin.create_topics({name: {"num_partitions": 1} for name in others.told}, wait_for_metadata=True)
    done = run("policies", "--json", "--topic-prefix", others.prefix)
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"policies": []})


def test_a_broker_that_is_away(run: Run) -> None:
    result = run("stats", "--bootstrap-servers", "127.0.0.1:9")
    assert result.exit_code == 1
    assert "127.0.0.1:9" in result.stderr

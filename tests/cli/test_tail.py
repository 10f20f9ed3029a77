"""`modelserving tail` shows what is on a topic, whatever it is, and ends well."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
from confluent_kafka import Producer
from google.protobuf.message import Message

from modelserving.local.broker import LocalBroker
from modelserving.statistics.keys import policy_key
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import EventKind, LogPosition, ModelEvent, Reason, Rejected, ServingResult
from modelserving.wire.stats_pb2 import PolicyStats, ServingStats
from tests.cli.conftest import Run
from tests.kafka_client import produce

RESULT = ServingResult(
    data_type="wine",
    model_name="tree",
    model_version="7",
    label="5",
    probabilities={"5": 0.75, "6": 0.25},
    record=LogPosition(topic="records", partition=0, offset=0, timestamp_ms=1),
    latency_us=250,
)
VECTOR = ServingResult(data_type="wine", model_name="net", model_version="1", label="1", outputs=[0.25, 0.5])
NUMBER = ServingResult(data_type="wine", model_name="line", model_version="1", number=5.5)
REJECTED = Rejected(
    reason=Reason.MALFORMED,
    detail="not a WineRecord",
    original=bytes(range(40)),
    position=LogPosition(topic="records", partition=2, offset=17),
)
TOMBSTONE = Rejected(reason=Reason.MALFORMED, detail="empty", position=LogPosition(topic="records"))
MODEL = ModelDescriptor(name="tree", dataType="wine", modeltype=ModelType.PMML, data=b"x" * 100, version="7")
RETIREMENT = ModelDescriptor(name="tree", dataType="wine", retire=True)
RETIREMENT_OF_ONE = ModelDescriptor(name="tree", dataType="wine", version="7", retire=True)
SERVING = ModelEvent(
    kind=EventKind.SERVING,
    data_type="wine",
    model_name="tree",
    model_version="7",
    at_ms=1_700_000_000_000,
    instance="keyed-join 1/2",
    position=LogPosition(topic="models", offset=3),
)
REJECTION = ModelEvent(
    kind=EventKind.REJECTED,
    data_type="wine",
    model_name="tree",
    at_ms=1_700_000_000_000,
    instance="admission",
    reason=Reason.CONFLICT,
    detail="known with other bytes",
    position=LogPosition(topic="models", offset=4),
)
NEWER = ModelEvent(kind=99, reason=98, data_type="wine")  # type: ignore[arg-type]


def put(broker: LocalBroker, topic: str, *values: bytes, transaction: str = "", commit: bool = True) -> None:
    settings = {"bootstrap.servers": broker.bootstrap_servers}
    producer = Producer(settings | ({"transactional.id": transaction} if transaction else {}))
    if transaction:
        producer.init_transactions(30)
        producer.begin_transaction()
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(30) == 0
    if transaction:
        (producer.commit_transaction if commit else producer.abort_transaction)(30)


@pytest.mark.parametrize(
    ("what", "message", "line"),
    [
        ("results", RESULT, "records-0@0  wine: label 5 (probability 0.75)  by tree 7, 250 µs"),
        ("results", VECTOR, "-0@0  wine: label 1 [0.25, 0.5]  by net 1, 0 µs"),
        ("results", NUMBER, "-0@0  wine: number 5.5  by line 1, 0 µs"),
        (
            "rejected-records",
            REJECTED,
            "records-2@17  MALFORMED: not a WineRecord  original: 000102030405060708090a0b0c0d0e0f… (40 bytes)",
        ),
        ("rejected-models", TOMBSTONE, "records-0@0  MALFORMED: empty  original: empty (tombstone)"),
        ("models", MODEL, f"wine: tree 7, PMML  {'78' * 16}… (100 bytes)"),
        ("models", RETIREMENT, "wine: tree (all versions) retired"),
        ("models", RETIREMENT_OF_ONE, "wine: tree 7 retired"),
        ("model-events", SERVING, "models-0@3  2023-11-14T22:13:20+00:00  keyed-join 1/2  wine: tree 7 SERVING"),
        (
            "model-events",
            REJECTION,
            "models-0@4  2023-11-14T22:13:20+00:00  admission  wine: tree REJECTED CONFLICT: known with other bytes",
        ),
        ("model-events", NEWER, "-0@0  1970-01-01T00:00:00+00:00    wine:  99"),
    ],
    ids=[
        "label",
        "vector",
        "number",
        "rejected record",
        "tombstone",
        "model",
        "retirement",
        "retirement of a version",
        "serving",
        "rejected model",
        "event of a later release",
    ],
)
def test_plain_line(run: Run, broker: LocalBroker, topics: Topics, what: str, message: Message, line: str) -> None:
    put(broker, f"{topics.prefix}{what}", message.SerializeToString())
    done = run("tail", what, "--from-beginning", "--max", "1")
    assert done.exit_code == 0, done.output
    assert done.stdout == f"0@0  {line}\n"


def test_policies_are_told_apart_from_versions(run: Run, broker: LocalBroker, topics: Topics) -> None:
    version = ServingStats(data_type="wine", name="tree", served=7).SerializeToString()
    policy = PolicyStats(data_type="wine", decided=9, why={"QUORUM": 8, "DEFAULT": 1}, late=1).SerializeToString()
    told = [(b"wine\0tree\0\0", version), (policy_key("wine"), policy)]
    produce(broker.bootstrap_servers, topics.serving_stats, told, 0)
    done = run("tail", "serving-stats", "--from-beginning", "--max", "2")
    assert done.stdout.splitlines() == [
        "0@0  1970-01-01T00:00:00+00:00  wine: tree  7 served",
        "0@1  1970-01-01T00:00:00+00:00  wine: policy  9 decided; 1 DEFAULT, 8 QUORUM; 0 at the deadline; 1 late",
    ]
    done = run("tail", "serving-stats", "--from-beginning", "--max", "2", "--json")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["served"], second["decided"], second["why"]) == ("7", "9", {"QUORUM": "8", "DEFAULT": "1"})


def test_versions_that_are_forgotten(run: Run, broker: LocalBroker, topics: Topics) -> None:
    produce(broker.bootstrap_servers, topics.serving_stats, [(b"wine\0tree\x001\0ab", None)], 0)
    assert run("tail", "serving-stats", "--from-beginning", "--max", "1").stdout == "0@0  wine tree 1 ab  forgotten\n"
    done = run("tail", "serving-stats", "--from-beginning", "--max", "1", "--json")
    assert json.loads(done.stdout) == {"forgotten": ["wine", "tree", "1", "ab"]}


def test_json_holds_everything(run: Run, broker: LocalBroker, topics: Topics) -> None:
    put(broker, topics.results, RESULT.SerializeToString(), b"\xff\xff")
    done = run("tail", "results", "--from-beginning", "--max", "2", "--json")
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["probabilities"] == {"5": 0.75, "6": 0.25}
    assert first["record"] == {"topic": "records", "partition": 0, "offset": "0", "timestamp_ms": "1"}
    assert second == {"undecodable": "ffff"}


def test_message_cannot_forge_lines(run: Run, broker: LocalBroker, topics: Topics) -> None:
    forged = ModelDescriptor(name="a\n0@1  wine: b\x1b[2K", dataType="wine")
    put(broker, topics.models, forged.SerializeToString(), b"\xff")
    done = run("tail", "models", "--from-beginning", "--max", "2")
    assert done.stdout.splitlines() == [
        "0@0  wine: a\ufffd0@1  wine: b\ufffd[2K, TENSORFLOW  (0 bytes)",
        "0@1  not a ModelDescriptor: ff (1 bytes)",
    ]


def test_only_committed_messages_are_shown(run: Run, broker: LocalBroker, topics: Topics) -> None:
    put(broker, topics.results, VECTOR.SerializeToString(), transaction=f"{topics.prefix}a", commit=False)
    put(broker, topics.results, NUMBER.SerializeToString(), transaction=f"{topics.prefix}b")
    done = run("tail", "results", "--from-beginning", "--max", "1")
    assert "number 5.5" in done.stdout


def follow(broker: LocalBroker, topics: Topics, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "modelserving.cli.main", "tail", "results", *arguments]
    command += ["--bootstrap-servers", broker.bootstrap_servers, "--topic-prefix", topics.prefix]
    # Where the tests themselves run in the background, SIGINT is ignored, and children inherit that.
    command = ["env", "--default-signal=INT", *command]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_ctrl_c_ends_it_cleanly(broker: LocalBroker, topics: Topics) -> None:
    put(broker, topics.results, NUMBER.SerializeToString())
    with follow(broker, topics, "--from-beginning") as process:
        assert process.stdout is not None
        assert "number 5.5" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (0, "", "")


def test_reader_that_has_seen_enough_ends_it_cleanly(broker: LocalBroker, topics: Topics) -> None:
    put(broker, topics.results, *[NUMBER.SerializeToString()] * 1000)
    with follow(broker, topics, "--from-beginning") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "number 5.5" in process.stdout.readline()
        process.stdout.close()
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == ""


def test_new_messages_only_unless_asked_for_the_old(broker: LocalBroker, topics: Topics) -> None:
    put(broker, topics.results, VECTOR.SerializeToString())
    with follow(broker, topics, "--max", "1") as process:
        # It does not say when it has begun to listen, so new messages are sent until it has seen one.
        while process.poll() is None:
            put(broker, topics.results, NUMBER.SerializeToString())
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert "number 5.5" in out

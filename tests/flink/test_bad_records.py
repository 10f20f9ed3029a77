"""Bad records, each by name, in a running job: rejected once, and the rest of their batch is scored."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelType
from modelserving.wire.serving_pb2 import Reason, Rejected, ServingResult
from modelserving.wire.wine_pb2 import WineRecord
from tests.core.cases import TICKETS
from tests.flink.conftest import StartJob
from tests.flink.messages import example_model, model, wine_record, wine_table
from tests.kafka_client import TopicReader, produce
from tests.runtimes.pmml_samples import AMOUNT, document, schema
from tests.waiting import wait_until

Position = tuple[int, int]

JSON_TYPES = """
[data_types.gauge]
codec = "json"
route = { by = "key" }
features = [{ name = "pressure" }]

[data_types.late]
codec = "json"
route = { by = "key" }
features = [{ name = "amount" }, { name = "product", kind = "string" }]
"""
"""Two more data types: the model of gauge is fragile, that of late comes late."""

GOOD_WINE = wine_record(0)
GOOD_TICKET = b'{"amount": 2.5, "product": "train"}'
GOOD_GAUGE = b'{"pressure": 7}'
PADDING = b"\xa2\x06" + b"\x80\x80\x80\x05" + bytes(10 * 1024 * 1024)  # field 100, unknown to the message


def odd(feature: str, value: float) -> bytes:
    """The good wine record with another value in a field."""
    record = WineRecord.FromString(GOOD_WINE)
    setattr(record, feature, value)
    return record.SerializeToString()


def ticket(**members: Any) -> bytes:
    return json.dumps({"amount": 2.5, "product": "train", **members}).encode()


@dataclass(frozen=True)
class Case:
    """A record, and the reason of its rejection or, where it is scored, `scored`."""

    key: bytes | None
    value: bytes | None
    outcome: str


CASES: dict[str, Case] = {
    **{
        f"wine: {name}": Case(key, value, reason)
        for name, key, value, reason in (
            ("not decodable", b"k", b"\xff\xff\xff", "MALFORMED"),
            ("truncated", b"k", GOOD_WINE[:-1], "MALFORMED"),
            ("a length beyond all memory", b"k", b"\x62" + b"\xff" * 9 + b"\x01", "MALFORMED"),
            ("JSON where protobuf is due", b"k", GOOD_TICKET, "MALFORMED"),
            ("groups nested 10,000 deep", b"k", GOOD_WINE + b"\x7b" * 10_000 + b"\x7c" * 10_000, "MALFORMED"),
            ("empty value (tombstone)", b"k", None, "MALFORMED"),
            ("tombstone without a key", None, None, "MALFORMED"),
            ("empty message", b"k", b"", "MALFORMED"),
            ("10 MB, not decodable", b"k", b"\x00" + PADDING, "MALFORMED"),
            ("unknown data type", b"k", wine_record(0, "beer"), "UNKNOWN_DATA_TYPE"),
            ("no data type", b"k", wine_record(0, ""), "UNKNOWN_DATA_TYPE"),
            ("NaN", b"k", odd("alcohol", math.nan), "INVALID_VALUE"),
            ("Infinity", b"k", odd("alcohol", math.inf), "INVALID_VALUE"),
            ("-Infinity", b"k", odd("alcohol", -math.inf), "INVALID_VALUE"),
            ("1e308 that the model answers with infinity", b"k", odd("density", 1e308), "MODEL_FAILED"),
            ("1e308 that the model can take", b"k", odd("alcohol", 1e308), "scored"),
            ("-0", b"k", odd("alcohol", -0.0), "scored"),
            ("denormal", b"k", odd("alcohol", 5e-324), "scored"),
            ("10 MB, good", b"k", GOOD_WINE + PADDING, "scored"),
            ("no key", None, GOOD_WINE, "scored"),
            ("absent features are 0", b"k", WineRecord(dataType="wine").SerializeToString(), "scored"),
        )
    },
    **{
        f"ticket: {name}": Case(b"ticket", value, reason)
        for name, value, reason in (
            ("not decodable", b"\xff\xff\xff", "MALFORMED"),
            ("protobuf where JSON is due", GOOD_WINE, "MALFORMED"),
            ("nested 10,000 deep", b'{"amount":' + b"[" * 10_000 + b"]" * 10_000 + b"}", "MALFORMED"),
            ("NaN", ticket(amount=math.nan), "MALFORMED"),
            ("-Infinity", ticket(amount=-math.inf), "MALFORMED"),
            ("empty value (tombstone)", None, "MALFORMED"),
            ("empty message", b"", "MALFORMED"),
            ("missing feature", b'{"product": "train"}', "MISSING_FEATURE"),
            ("null feature", ticket(amount=None), "MISSING_FEATURE"),
            ("string for a number", ticket(amount="2.5"), "WRONG_TYPE"),
            ("boolean for a number", ticket(amount=True), "WRONG_TYPE"),
            ("number for a string", ticket(product=7), "WRONG_TYPE"),
            ("array for a number", ticket(amount=[1]), "WRONG_TYPE"),
            ("1e400", b'{"amount": 1e400, "product": "train"}', "INVALID_VALUE"),
            ("half of a surrogate pair", ticket(product="\ud800"), "INVALID_VALUE"),
            ("a category never seen", ticket(product="rocket"), "INVALID_VALUE"),
            ("an empty category", ticket(product=""), "INVALID_VALUE"),
            ("10 MB, string for a number", ticket(amount="x" * 10_000_000), "WRONG_TYPE"),
            ("10 MB, good", ticket(more="x" * 10_000_000), "scored"),
            ("a member twice", b'{"amount": 1, "product": "train", "amount": 2.5}', "scored"),
        )
    },
    **{
        f"gauge: {name}": Case(b"gauge", value, reason)
        for name, value, reason in (
            ("makes the model itself fail", b'{"pressure": 101}', "MODEL_FAILED"),
            ("1e308, beyond the model's float32", b'{"pressure": 1e308}', "INVALID_VALUE"),
            ("denormal", b'{"pressure": 5e-324}', "scored"),
        )
    },
    "late: no model yet": Case(b"late", GOOD_TICKET, "NO_MODEL"),
}
GOOD = (Case(b"k", GOOD_WINE, "scored"), Case(b"ticket", GOOD_TICKET, "scored"), Case(b"gauge", GOOD_GAUGE, "scored"))
NUMBERS: dict[tuple[str, bytes | None], float] = {
    ("ticket", GOOD_TICKET): 16.0,
    ("late", GOOD_TICKET): 16.0,
    ("gauge", GOOD_GAUGE): 7.0,
}
LATE = Case(b"late", GOOD_TICKET, "scored")


def ticket_model(data_type: str) -> bytes:
    """price = 1 + 2 amount + 10 by train, 20 by bus."""
    product = (
        '<DataField name="product" optype="categorical" dataType="string">'
        '<Value value="train"/><Value value="bus"/></DataField>'
    )
    price = '<DataField name="price" optype="continuous" dataType="double"/>'
    regression = (
        f'<RegressionModel functionName="regression">{schema("price", "amount", "product")}'
        '<RegressionTable intercept="1"><NumericPredictor name="amount" coefficient="2"/>'
        '<CategoricalPredictor name="product" value="train" coefficient="10"/>'
        '<CategoricalPredictor name="product" value="bus" coefficient="20"/></RegressionTable></RegressionModel>'
    )
    return model(document(regression, AMOUNT, product, price), ModelType.PMML, data_type, name="price")


def gauge_model() -> bytes:
    """A graph that answers with the pressure, and fails above 100."""
    with tf.Graph().as_default() as graph:
        pressure = tf.compat.v1.placeholder(tf.float32, (None, 1))
        with tf.control_dependencies([tf.debugging.assert_less(pressure, 100.0)]):
            tf.identity(pressure)
    return model(graph.as_graph_def().SerializeToString(), ModelType.TENSORFLOW, "gauge", name="gauge")


def test_bad_records(join: str, start_job: StartJob, broker: LocalBroker, topics: Topics, tmp_path: Path) -> None:
    servers = broker.bootstrap_servers
    configuration = tmp_path / "data-types.toml"
    configuration.write_text(wine_table("wine") + TICKETS + JSON_TYPES)
    models = [example_model("linear.pmml"), ticket_model("ticket"), gauge_model()]
    produce(servers, topics.models, [(None, message) for message in models])
    results = TopicReader(servers, topics.results)
    rejected = TopicReader(servers, topics.rejected_records)
    sent: dict[Position, tuple[str, Case]] = {}

    def send(cases: list[tuple[str, Case]]) -> None:
        positions = produce(servers, topics.records, [(case.key, case.value) for _, case in cases], partition=1)
        sent.update(zip(positions, cases, strict=True))
        wait_until(answered, describe=lambda: f"of {len(sent)} {len(results.messages)} scored")

    def answered() -> bool:
        return len(results.poll()) + len(rejected.poll()) >= len(sent)

    with start_job(join, "--data-types", str(configuration), parallelism=2) as job:
        # Between two bad records a good one of each data type.
        send([each for case in CASES.items() for each in [case, *(("good", good) for good in GOOD)]])
        assert faults(results.messages, rejected.messages, sent) == {}
        # A new data type's model may appear at any time.
        produce(servers, topics.models, [(None, ticket_model("late"))])
        scored = len(results.messages)
        while len(results.messages) == scored:
            send([("late", LATE)])
        early = faults(results.messages, rejected.messages, sent)
        assert len(early) < len([name for name, _ in sent.values() if name == "late"])
        assert all(name.startswith("late at") and "NO_MODEL" in became for name, (became,) in early.items()), early
        assert {case.outcome for case in CASES.values()} - {"scored"} == {
            Reason.Name(Rejected.FromString(message.value()).reason) for message in rejected.messages
        }
        assert job.restarts() == 0
    results.close()
    rejected.close()


def faults(
    results: Sequence[Any], rejected: Sequence[Any], sent: dict[Position, tuple[str, Case]]
) -> dict[str, list[str]]:
    """Case → what became of it, where that is not what is due."""
    became: dict[Position, list[Case]] = {position: [] for position in sent}
    for message in results:
        result = ServingResult.FromString(message.value())
        position = (result.record.partition, result.record.offset)
        value = sent[position][1].value  # a result does not repeat its record
        outcome = "scored" if math.isfinite(result.number) and result.WhichOneof("answer") == "number" else str(result)
        if result.number != NUMBERS.get((result.data_type, value), result.number):
            outcome = f"scored as {result.number}"
        became[position].append(Case(message.key(), value, outcome))
    for message in rejected:
        one = Rejected.FromString(message.value())
        original = one.original if one.HasField("original") else None
        became[one.position.partition, one.position.offset].append(
            Case(message.key(), original, Reason.Name(one.reason))
        )
    return {
        f"{name} at {position}": [shown(each) for each in became[position]]
        for position, (name, case) in sent.items()
        if became[position] != [case]
    }


def shown(case: Case) -> str:
    return f"{case.outcome} {case.key!r} {case.value and case.value[:50]!r}"

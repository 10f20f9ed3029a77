"""Fills the records topic with wine records, fast."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from modelserving.wire.wine_pb2 import WineRecord

TABLE = Path(__file__).resolve().parents[1] / "examples" / "winequality" / "winequality_red.csv"
FEATURES = [field.name for field in WineRecord.DESCRIPTOR.fields][:11]


def wine_messages() -> list[bytes]:
    """The rows of the wine table as encoded `WineRecord`s."""
    with TABLE.open(newline="") as table:
        rows = [[float(cell) for cell in row[:11]] for row in csv.reader(table, delimiter=";")]
    messages = []
    for row in rows:
        features: dict[str, Any] = dict(zip(FEATURES, row, strict=True))
        messages.append(WineRecord(**features, dataType="wine").SerializeToString())
    return messages


def fill(bootstrap_servers: str, topic: str, count: int) -> None:
    """Produce `count` wine records, spread over the topic's partitions."""
    messages = wine_messages()
    queue = {"linger.ms": 20, "queue.buffering.max.messages": 200_000}
    producer = Producer({"bootstrap.servers": bootstrap_servers, **queue})
    for number in range(count):
        while True:
            try:
                producer.produce(topic, messages[number % len(messages)], key=b"%d" % number)
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()

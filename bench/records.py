"""Fills the records topic with wine records, fast."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from modelserving.wire.wine_pb2 import WineRecord

TABLE = Path(__file__).resolve().parents[1] / "examples" / "winequality" / "winequality_red.csv"
FEATURES = [field.name for field in WineRecord.DESCRIPTOR.fields][:11]


def wine_messages(data_type: str = "wine") -> list[bytes]:
    """The rows of the wine table as encoded `WineRecord`s."""
    with TABLE.open(newline="") as table:
        rows = [[float(cell) for cell in row[:11]] for row in csv.reader(table, delimiter=";")]
    messages = []
    for row in rows:
        features: dict[str, Any] = dict(zip(FEATURES, row, strict=True))
        messages.append(WineRecord(**features, dataType=data_type).SerializeToString())
    return messages


def fill(bootstrap_servers: str, topic: str, count: int, data_types: Sequence[str] = ("wine",)) -> None:
    """Produce `count` wine records, of the data types in turn, spread over the topic's partitions."""
    by_type = [wine_messages(data_type) for data_type in data_types]
    rows = len(by_type[0])
    messages = [by_type[number % len(by_type)][number % rows] for number in range(math.lcm(rows, len(by_type)))]
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

"""`modelserving tail`: see what is on a topic, and what arrives."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message
from kafka import KafkaConsumer, TopicPartition

from modelserving import topics as topics_module
from modelserving.cli.options import BOOTSTRAP_SERVERS, TOPICS
from modelserving.cli.text import printable
from modelserving.statistics.keys import is_of_policy
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import EventKind, LogPosition, ModelEvent, Reason, Rejected, ServingResult
from modelserving.wire.stats_pb2 import PolicyStats, ServingStats

WHAT = ("results", "rejected-records", "rejected-models", "models", "model-events", "serving-stats")
POLL_MS = 500
BYTES_SHOWN = 16


@click.command()
@click.argument("what", type=click.Choice(WHAT))
@click.option("--max", "limit", type=click.IntRange(min=1), help="End after so many messages.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, whole, instead of a summary.")
@click.option("--from-beginning", is_flag=True, help="Start with the oldest message, not with the next one to come.")
@BOOTSTRAP_SERVERS
@TOPICS
def tail(
    *, what: str, limit: int | None, as_json: bool, from_beginning: bool, bootstrap_servers: str, topics: Topics
) -> None:
    """Print the messages of a topic as they come, committed ones only, until Ctrl-C."""
    topics_module.check(bootstrap_servers, topics)
    try:
        with topics_module.translated_errors(bootstrap_servers):
            messages = _messages(bootstrap_servers, f"{topics.prefix}{what}", from_beginning)
            for count, record in enumerate(messages, start=1):
                _print(_json_line(what, record) if as_json else _line(what, record))
                if count == limit:
                    break
    except KeyboardInterrupt:
        pass


def _messages(bootstrap_servers: str, topic: str, from_beginning: bool) -> Iterator[Any]:
    """The consumer records of all partitions, without end."""
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        bootstrap_timeout_ms=topics_module.CONNECT_LIMIT_MS,
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    try:
        partitions = [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
        consumer.assign(partitions)
        offsets = consumer.beginning_offsets if from_beginning else consumer.end_offsets
        for partition, offset in offsets(partitions).items():
            consumer.seek(partition, offset)
        while True:
            for records in consumer.poll(timeout_ms=POLL_MS).values():
                yield from records
    finally:
        consumer.close()


def _print(line: str) -> None:
    try:
        click.echo(line)
    except BrokenPipeError:
        # The reader has seen enough. Python flushes stdout once more at its end: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(0) from None


def _parse(kind: type[Message], value: bytes | None) -> Message | None:
    try:
        return kind.FromString(value or b"")
    except DecodeError:
        return None


def _json_line(what: str, record: Any) -> str:
    if _is_forgotten(what, record):
        return json.dumps({"forgotten": _names(record.key)})
    message = _parse(_kind(what, record)[0], record.value)
    if message is None:
        return json.dumps({"undecodable": (record.value or b"").hex()})
    return json.dumps(
        MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    )


def _is_forgotten(what: str, record: Any) -> bool:
    """Whether it says that a version's totals are kept no longer, but added up with others."""
    return what == "serving-stats" and not record.value


def _names(key: bytes | None) -> list[str]:
    return (key or b"").decode("utf-8", "replace").split("\0")


def _line(what: str, record: Any) -> str:
    if _is_forgotten(what, record):
        return f"{record.partition}@{record.offset}  {printable(' '.join(_names(record.key)))}  forgotten"
    kind, summary = _kind(what, record)
    message = _parse(kind, record.value)
    text = summary(message) if message is not None else f"not a {kind.__name__}: {_shortened(record.value or b'')}"
    return f"{record.partition}@{record.offset}  {printable(text)}"


def _result(message: Any) -> str:
    answer = message.WhichOneof("answer")
    parts = [f"{answer} {getattr(message, answer)}"] if answer else []
    if message.label in message.probabilities:
        parts.append(f"(probability {message.probabilities[message.label]:.4g})")
    if message.outputs:
        parts.append(f"[{', '.join(f'{value:.4g}' for value in message.outputs)}]")
    model = f"by {message.model_name} {message.model_version}"
    return f"{_position(message.record)}  {message.data_type}: {' '.join(parts)}  {model}, {message.latency_us} µs"


def _rejected(message: Any) -> str:
    reason = Reason.Name(message.reason) if message.reason in Reason.values() else str(message.reason)
    names = " ".join(filter(None, (message.data_type, message.model_name, message.model_version)))
    original = _shortened(message.original) if message.HasField("original") else "empty (tombstone)"
    about = f"{reason} ({names})" if names else reason
    return f"{_position(message.position)}  {about}: {message.detail}  original: {original}"


def _event(message: Any) -> str:
    kind = EventKind.Name(message.kind) if message.kind in EventKind.values() else str(message.kind)
    name = " ".join(filter(None, (message.model_name, message.model_version)))
    reason = f" {Reason.Name(message.reason)}" if message.reason in Reason.values() and message.reason else ""
    detail = f": {message.detail}" if message.detail else ""
    where = f"{_time(message.at_ms)}  {message.instance}"
    return f"{_position(message.position)}  {where}  {message.data_type}: {name} {kind}{reason}{detail}"


def _model(message: Any) -> str:
    if message.retire:
        return f"{message.dataType}: {message.name} {message.version or '(all versions)'} retired"
    kind = ModelType.Name(message.modeltype) if message.modeltype in ModelType.values() else str(message.modeltype)
    model = message.location if message.WhichOneof("model") == "location" else _shortened(message.data)
    name = " ".join(filter(None, (message.name, message.version, message.description and f"({message.description})")))
    created = f", made {_time(message.created_at_ms)}" if message.created_at_ms else ""
    return f"{message.dataType}: {name}, {kind}{created}  {model}"


def _stats(message: Any) -> str:
    name = " ".join(filter(None, (message.name, message.model_version))) or "(no model)"
    rejected = ", ".join(f"{count} {reason}" for reason, count in sorted(message.rejected.items()))
    latency = message.latency_ms
    parts = [f"{message.served} served"]
    if latency.count:
        parts.append(f"latency p50 {latency.p50:.4g} ms, p99 {latency.p99:.4g} ms")
    if rejected:
        parts.append(f"rejected: {rejected}")
    return f"{_time(message.updated_ms)}  {message.data_type or '(unknown)'}: {name}  {'; '.join(parts)}"


def _policy(message: Any) -> str:
    whys = ", ".join(f"{count} {why}" for why, count in sorted(message.why.items()))
    parts = [f"{message.decided} decided", whys, f"{message.at_deadline} at the deadline", f"{message.late} late"]
    return f"{_time(message.updated_ms)}  {message.data_type}: policy  {'; '.join(filter(None, parts))}"


_Kind = tuple[type[Message], Callable[[Any], str]]

_KINDS: dict[str, _Kind] = {
    "results": (ServingResult, _result),
    "rejected-records": (Rejected, _rejected),
    "rejected-models": (Rejected, _rejected),
    "models": (ModelDescriptor, _model),
    "model-events": (ModelEvent, _event),
    "serving-stats": (ServingStats, _stats),
}


def _kind(what: str, record: Any) -> _Kind:
    """What a message of a topic is, and its summary."""
    is_policy = what == "serving-stats" and is_of_policy(record.key)
    return (PolicyStats, _policy) if is_policy else _KINDS[what]


def _position(position: LogPosition) -> str:
    return f"{position.topic}-{position.partition}@{position.offset}"


def _time(milliseconds: int) -> str:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds} ms"


def _shortened(data: bytes) -> str:
    return f"{data[:BYTES_SHOWN].hex()}{'…' if len(data) > BYTES_SHOWN else ''} ({len(data)} bytes)".lstrip()

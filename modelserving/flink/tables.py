"""The Kafka tables of the job, as SQL."""

from __future__ import annotations

from collections.abc import Sequence

from modelserving.flink.options import JobOptions
from modelserving.topics import MAX_REJECTED_BYTES

_STARTUP_MODES = {"committed": "group-offsets", "earliest": "earliest-offset", "latest": "latest-offset"}
# The broker's maximum by default. Flink's own default, one hour, is refused by such a broker.
_TRANSACTION_TIMEOUT_MS = 15 * 60 * 1000
RAW_KEY_AND_VALUE = {
    "key.format": "raw",
    "key.fields": "record_key",
    "value.format": "raw",
    "value.fields-include": "EXCEPT_KEY",
}


def records_table(options: JobOptions) -> str:
    """The DDL of `record_log`: the records with their place on the log."""
    columns = (
        "record_key BYTES",
        "record_value BYTES",
        "log_partition INT METADATA FROM 'partition' VIRTUAL",
        "log_offset BIGINT METADATA FROM 'offset' VIRTUAL",
        "log_timestamp TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL",
        "processing_time AS PROCTIME()",
    )
    start = {"scan.startup.mode": _STARTUP_MODES[options.start], "properties.group.id": options.name}
    if options.start == "committed":
        # A group's first start finds no committed offsets.
        start["properties.auto.offset.reset"] = "earliest"
    source = _source(options, options.topics.records)
    return _create_table("record_log", columns, source | start | RAW_KEY_AND_VALUE)


def models_table(options: JobOptions) -> str:
    """The DDL of `model_log`: always read whole, since the log is the truth about models."""
    return _single_log("model_log", options, options.topics.models, f"{options.name}-models")


def control_table(options: JobOptions) -> str:
    """The DDL of `control_log`: always read whole, since the log is the truth about policies."""
    return _single_log("control_log", options, options.topics.speculative_control, f"{options.name}-control")


def _single_log(name: str, options: JobOptions, topic: str, group: str) -> str:
    columns = (
        "record_value BYTES",
        "log_offset BIGINT METADATA FROM 'offset' VIRTUAL",
        "log_timestamp TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL",
    )
    start = {
        "scan.startup.mode": "earliest-offset",
        "properties.group.id": group,
        # One partition: more subtasks would idle, and messages would not be read in one order.
        "scan.parallelism": "1",
        "format": "raw",
    }
    return _create_table(name, columns, _source(options, topic) | start)


def outputs_table(options: JobOptions) -> str:
    """The DDL of `outputs`: one sink, so one transaction, for all topics that the job writes."""
    columns = ("topic STRING METADATA", "record_key BYTES", "record_value BYTES")
    sink = {
        "connector": "kafka",
        "topic": ";".join(options.written),
        "properties.bootstrap.servers": options.bootstrap_servers,
        "properties.max.request.size": str(MAX_REJECTED_BYTES),
        "properties.linger.ms": "2",
        "properties.batch.size": "131072",
        "properties.transaction.timeout.ms": str(_TRANSACTION_TIMEOUT_MS),
        "sink.delivery-guarantee": options.delivery,
        "sink.transactional-id-prefix": options.name,
    }
    return _create_table("outputs", columns, sink | RAW_KEY_AND_VALUE)


def epoch_ms(column: str) -> str:
    """SQL for a TIMESTAMP_LTZ as epoch milliseconds; it does not cast to BIGINT."""
    return f"EXTRACT(EPOCH FROM {column}) * 1000 + EXTRACT(MILLISECOND FROM {column})"


def _source(options: JobOptions, topic: str) -> dict[str, str]:
    return {
        "connector": "kafka",
        "topic": topic,
        "properties.bootstrap.servers": options.bootstrap_servers,
        "properties.isolation.level": "read_committed",
    }


def _create_table(name: str, columns: Sequence[str], options: dict[str, str]) -> str:
    """A CREATE TABLE statement; quotes in option values are doubled, as SQL wants."""
    settings = ", ".join(f"'{key}' = '{value.replace(chr(39), chr(39) * 2)}'" for key, value in options.items())
    return f"CREATE TEMPORARY TABLE {name} ({', '.join(columns)}) WITH ({settings})"

"""The rows that cross between Flink and Python, and their types."""

from __future__ import annotations

from typing import Any

from pyflink.common import Row, Types

from modelserving.outgoing import Outgoing
from modelserving.packing import pack_messages
from modelserving.topics import Topics

BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())

STATS_DELTAS = ""
"""What stands in the place of a topic for deltas, which stay in the job."""


OUT = "out"
"""The target of messages for topics."""


def batch_type() -> Any:
    """One decoded batch: data type, Arrow IPC message."""
    return Types.ROW([Types.STRING(), BYTES])


def decision_type() -> Any:
    """One decision of admission: data type, encoded `Decision`."""
    return Types.ROW([Types.STRING(), BYTES])


def addressed_type() -> Any:
    """What a function emits for several others: target, key, value; `dataflow.take_for` gives each its own.

    Key and value are those of a row of `batch_type`, `decision_type` or, for the target `OUT`, of `outgoing_type`.
    """
    return Types.ROW([Types.STRING(), Types.STRING(), BYTES])


def keyed_type() -> Any:
    """Key and value of a row of `addressed_type`."""
    return Types.ROW([Types.STRING(), BYTES])


def outgoing_type() -> Any:
    """Messages for one topic, packed: a row a message would cross one by one."""
    return Types.ROW_NAMED(["topic", "messages"], [Types.STRING(), BYTES])


def outgoing_row(outgoing: Outgoing, topics: Topics) -> Row:
    """A row of `outgoing_type`."""
    return Row(_topic(outgoing, topics), pack_messages(outgoing))


def addressed_outgoing(outgoing: Outgoing, topics: Topics) -> Row:
    """A row of `addressed_type` for the target `OUT`."""
    return Row(OUT, _topic(outgoing, topics), pack_messages(outgoing))


def _topic(outgoing: Outgoing, topics: Topics) -> str:
    return STATS_DELTAS if outgoing.role == "stats-deltas" else getattr(topics, outgoing.role.replace("-", "_"))

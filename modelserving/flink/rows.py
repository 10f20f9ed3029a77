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


def batch_type() -> Any:
    """One decoded batch: data type, Arrow IPC message."""
    return Types.ROW([Types.STRING(), BYTES])


def decision_type() -> Any:
    """One decision of admission: data type, encoded `Decision`."""
    return Types.ROW([Types.STRING(), BYTES])


def outgoing_type() -> Any:
    """Messages for one topic, packed: a row a message would cross one by one."""
    return Types.ROW_NAMED(["topic", "messages"], [Types.STRING(), BYTES])


def outgoing_row(outgoing: Outgoing, topics: Topics) -> Row:
    """A row of `outgoing_type`."""
    topic = STATS_DELTAS if outgoing.role == "stats-deltas" else getattr(topics, outgoing.role.replace("-", "_"))
    return Row(topic, pack_messages(outgoing))

"""What leaves the core for Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from modelserving.arrow import byte_strings

Role = Literal[
    "results",
    "rejected-records",
    "rejected-models",
    "model-events",
    "serving-stats",
    "stats-deltas",
    "speculative-control",
    "decisions",
    "late-answers",
]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """n messages for one topic."""

    role: Role
    """Which topic: its name without prefix; but `stats-deltas` go to the job's own aggregator."""
    keys: pa.Array
    """(n,) binary; null for no key."""
    values: pa.Array
    """(n,) binary, without the prefix; null has the topic forget the key, if it is compacted."""
    prefix: bytes = b""
    """What each value begins with."""

    @staticmethod
    def of(role: Role, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> Outgoing:
        """Messages that are there one by one."""
        return Outgoing(role, pa.array(keys, pa.binary()), pa.array(values, pa.binary()))

    @property
    def messages(self) -> list[tuple[bytes | None, Any]]:
        """Key and value of each message; a value is bytes, or None."""
        values = (None if value is None else self.prefix + value for value in byte_strings(self.values))
        return list(zip(byte_strings(self.keys), values, strict=True))

"""What leaves the core for Kafka."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["results", "rejected-records", "rejected-models", "model-events"]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Messages for one topic; `keys` and `values` have the same length."""

    role: Role
    """Which topic: its name without prefix."""
    keys: list[bytes | None]
    values: list[bytes]

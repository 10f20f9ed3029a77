"""Checkpointed state: maps of our own versioned messages, never pickles of our classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.common import Types
from pyflink.datastream.state import MapStateDescriptor

from modelserving.flink.rows import BYTES


def models_descriptor() -> MapStateDescriptor:
    """The models of a join: data type → `ServingState`; and the pieces of large ones (`pieces.py`).

    Made anew for each use: a used one cannot be pickled.
    """
    return MapStateDescriptor("models", Types.STRING(), BYTES)


def admission_descriptor() -> MapStateDescriptor:
    """What admission keeps: data type → `AdmissionState`."""
    return MapStateDescriptor("admission", Types.STRING(), BYTES)


def pending_descriptor() -> MapStateDescriptor:
    """What admission has yet to judge: offset on the model log → `PendingMessage`."""
    return MapStateDescriptor("pending", Types.LONG(), BYTES)


def scheduled_descriptor() -> MapStateDescriptor:
    """What admission has let pass for a later time: offset on the model log → `AdmittedModel`."""
    return MapStateDescriptor("scheduled", Types.LONG(), BYTES)


def statistics_descriptor() -> MapStateDescriptor:
    """What the aggregator of statistics keeps: data type and model version → `StatsState`."""
    return MapStateDescriptor("statistics", Types.STRING(), BYTES)


def policies_descriptor() -> MapStateDescriptor:
    """The policies that hold: data type → `HeldPolicy`."""
    return MapStateDescriptor("policies", Types.STRING(), BYTES)


def requests_descriptor() -> MapStateDescriptor:
    """What the collector keeps of a request, by the names of `collecting.py`."""
    return MapStateDescriptor("requests", Types.STRING(), BYTES)


def rollouts_descriptor() -> MapStateDescriptor:
    """What is kept of rollouts: data type → `RolloutWatch`."""
    return MapStateDescriptor("rollouts", Types.STRING(), BYTES)


class MapModelStore:
    """`ModelStore` or `RequestStore` over a Flink map state: keyed, broadcast, or its read-only view."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def get(self, name: str) -> bytes | None:
        """What is kept under a name, or None."""
        return bytes(self._state.get(name)) if self._state.contains(name) else None

    def put(self, name: str, value: bytes) -> None:
        """Keep `value`."""
        self._state.put(name, value)

    def remove(self, name: str) -> None:
        """Keep it no longer."""
        self._state.remove(name)

    def items(self) -> Iterator[tuple[str, bytes]]:
        """All names, with what is kept under them."""
        for name, value in self._state.items():
            yield name, bytes(value)

    def clear(self) -> None:
        """Keep nothing."""
        self._state.clear()

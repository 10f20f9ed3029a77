"""Checkpointed state: maps of our own versioned messages, never pickles of our classes."""

from __future__ import annotations

from typing import Any

from pyflink.common import Types
from pyflink.datastream.state import MapStateDescriptor

from modelserving.flink.rows import BYTES


def models_descriptor() -> MapStateDescriptor:
    """The models of a join: data type → `ServingState`. Made anew for each use: a used one cannot be pickled."""
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


class MapModelStore:
    """`ModelStore` over a Flink map state: keyed, broadcast, or its read-only view."""

    def __init__(self, state: Any) -> None:
        self._state = state

    def get(self, data_type: str) -> bytes | None:
        """The state of a data type, or None."""
        return bytes(self._state.get(data_type)) if self._state.contains(data_type) else None

    def put(self, data_type: str, state: bytes) -> None:
        """Keep the state of a data type."""
        self._state.put(data_type, state)

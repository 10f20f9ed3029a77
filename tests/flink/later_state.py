"""The serving job of a later release: its join has one more state, and its state messages have a further field."""

from __future__ import annotations

import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyflink.common import Types
from pyflink.datastream import DataStream
from pyflink.datastream.state import MapStateDescriptor

from modelserving.flink import dataflow, topology
from modelserving.flink.admission import AdmissionFunction
from modelserving.flink.broadcast_host import BroadcastHost
from modelserving.flink.keyed import KeyedJoin
from modelserving.flink.state import MapModelStore, models_descriptor

JOB = Path(__file__).resolve().parents[2] / "jobs" / "model_serving.py"
FIELD = b"\xc2\x3e\x05later"
"""Field 1000 of a message, a text."""
broadcast = DataStream.broadcast


def notes_descriptor() -> MapStateDescriptor:
    """The state that this release does not have."""
    return MapStateDescriptor("notes", Types.STRING(), Types.STRING())


class LaterStore(MapModelStore):
    """Writes the further field."""

    def put(self, name: str, value: bytes) -> None:
        super().put(name, value + FIELD)


class LaterAdmission(AdmissionFunction):
    """Writes it too."""

    def _write(self, data_type: str, state: Any) -> None:
        super()._write(data_type, state)
        self._state.put(data_type, bytes(self._state.get(data_type)) + FIELD)


class LaterKeyedJoin(KeyedJoin):
    """Notes each decision."""

    def open(self, runtime_context: Any) -> None:
        super().open(runtime_context)
        self._store = LaterStore(runtime_context.get_map_state(models_descriptor()))
        self._notes = runtime_context.get_map_state(notes_descriptor())

    def process_element2(self, value: bytes, ctx: Any) -> Iterator[Any]:
        self._notes.put("decision", "taken")
        yield from super().process_element2(value, ctx)


class LaterBroadcastHost(BroadcastHost):
    """Notes each decision."""

    def process_broadcast_element(self, value: Any, ctx: Any) -> Iterator[Any]:
        ctx.get_broadcast_state(notes_descriptor()).put("decision", "taken")
        self._function.store = LaterStore(ctx.get_broadcast_state(self._descriptor))
        yield from self._function.flat_map2(value)


def broadcast_with_notes(stream: DataStream, *descriptors: MapStateDescriptor) -> Any:
    """The broadcast stream, with one more state where it has any."""
    return broadcast(stream, *descriptors, *([notes_descriptor()] if descriptors else []))


if __name__ == "__main__":
    DataStream.broadcast = broadcast_with_notes
    vars(dataflow).update(AdmissionFunction=LaterAdmission)
    vars(topology).update(KeyedJoin=LaterKeyedJoin, BroadcastHost=LaterBroadcastHost)
    runpy.run_path(str(JOB), run_name="__main__")

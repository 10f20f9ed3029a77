"""The history of a data type's models on the log, and what serves by it: admission's rules, replayed.

Which models pass the gate is found out only as far as the answer depends on it: loading is dear. So all are taken to
pass, those that prove decisive are tried, and if one does not pass, history is replayed without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from modelserving import descriptors, versions
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import LogPosition
from modelserving.wire.state_pb2 import AdmissionState, AdmittedModel, KnownVersion

Admit = Callable[[int], AdmittedModel | None]
"""The model at an offset of the log, if it passes all checks that need no history; else None."""


@dataclass(frozen=True, slots=True)
class NewestModel:
    """What serves a data type, by the log."""

    decided: int
    """Offset of the newest message about the data type."""
    model: AdmittedModel | None
    """None: no model on the log may serve."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """A message about a data type, without its model: a log may be larger than memory."""

    known: KnownVersion
    """Without sha256 if only the model at its location tells."""
    timestamp_ms: int
    activation_ms: int
    retire: bool


@dataclass(slots=True)
class ModelHistory:
    """All messages about one data type."""

    _entries: list[_Entry] = field(default_factory=list)

    def add(self, descriptor: ModelDescriptor, offset: int, timestamp_ms: int) -> None:
        """Append a parsed message, at its place on the log and with its timestamp in epoch milliseconds."""
        data = descriptor.data
        sha256 = hashlib.sha256(data).hexdigest() if data else descriptor.sha256.lower()
        settled = ModelDescriptor()
        settled.CopyFrom(descriptor)
        settled.ClearField("model")
        settled.sha256 = sha256
        if not descriptor.retire:
            settled.version = descriptor.version or sha256[: descriptors.VERSION_DIGITS]
        known = versions.known_version(settled, LogPosition(offset=offset, timestamp_ms=timestamp_ms))
        if not sha256:
            known.fingerprint = f"at {offset}"  # the same location may hold another model now
        self._entries.append(_Entry(known, timestamp_ms, descriptor.activation_ms, descriptor.retire))

    def newest(self, admit: Admit, now_ms: int) -> NewestModel:
        """What serves at `now_ms`, epoch milliseconds."""
        return NewestModel(self._entries[-1].known.offset, self._newest(admit, now_ms))

    def _newest(self, admit: Admit, now_ms: int) -> AdmittedModel | None:
        passed: set[int] = set()
        refused = self._fetch(admit)
        while True:
            state, decisive = self._replay(refused, now_ms)
            failed = _first_failure(decisive, admit, passed)
            if failed is None:
                serving = versions.serving(state)
                model = None if serving is None else admit(serving.offset)
                if serving is None or model is not None:
                    return model
                failed = serving.offset
            refused.add(failed)

    def _replay(self, refused: set[int], now_ms: int) -> tuple[AdmissionState, list[int]]:
        """What admission knows at `now_ms` if all but `refused` passed; offsets of those that kept others out."""
        state = AdmissionState(schema=versions.STATE_SCHEMA, last_good_offset=-1)
        decisive: list[int] = []
        for entry in self._entries:
            _activate_due(state, entry.timestamp_ms)
            known = entry.known
            if entry.retire:
                versions.retire(state, known.name, known.version)
            elif known.offset not in refused and not versions.repeats(state, known):
                rival = versions.conflicting(state, known, activation_ms=entry.activation_ms)
                if rival is not None:
                    decisive.append(rival.offset)
                    continue
                waits = entry.activation_ms > entry.timestamp_ms
                if (versions.schedule if waits else versions.activate)(state, known):
                    decisive.append(known.offset)
        _activate_due(state, now_ms)
        return state, decisive

    def _fetch(self, admit: Admit) -> set[int]:
        """Learn version and sha256 from models at locations where history needs them; offsets of the refused ones."""
        refused = set()
        for index, entry in enumerate(self._entries):
            if self._must_be_fetched(entry):
                admitted = admit(entry.known.offset)
                if admitted is None:
                    refused.add(entry.known.offset)
                    continue
                position = LogPosition(offset=entry.known.offset, timestamp_ms=entry.timestamp_ms)
                known = versions.known_version(admitted.descriptor, position)
                self._entries[index] = _Entry(known, entry.timestamp_ms, entry.activation_ms, entry.retire)
        return refused

    def _must_be_fetched(self, entry: _Entry) -> bool:
        """Whether sha256 is not known, and another message speaks of what may be the same version."""
        known = entry.known
        if entry.retire or known.sha256:
            return False
        others = (each.known for each in self._entries if each is not entry and each.known.name == known.name)
        return any(other.version != "" and known.version in ("", other.version) for other in others)


def _first_failure(offsets: list[int], admit: Admit, passed: set[int]) -> int | None:
    """The first of the models that does not pass; those that do are added to `passed`, and not tried again."""
    for offset in offsets:
        if offset not in passed:
            if admit(offset) is None:
                return offset
            passed.add(offset)
    return None


def _activate_due(state: AdmissionState, now_ms: int) -> None:
    while (version := versions.due(state, now_ms)) is not None:
        versions.activate(state, version)

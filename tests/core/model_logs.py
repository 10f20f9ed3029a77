"""A model log that is judged and taken in without Flink: what the operators around admission and the joins do."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelserving import serving_state
from modelserving.admission import Admission, Verdict, data_type_of
from modelserving.configuration import load_data_types
from modelserving.data_types import DataType, DataTypes, Feature
from modelserving.descriptors import ModelSources, complete
from modelserving.errors import ModelRejected
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import EventKind, LogPosition, ModelEvent, Reason
from modelserving.wire.state_pb2 import AdmissionState, AdmittedModel, Engine, ServingState
from tests.model_cases import changed

DATA_TYPES = DataTypes((*load_data_types(), DataType("beer", (Feature("alcohol"),))))
START_MS = 1_700_000_000_000
STEP_MS = 1_000


@dataclass
class FakeGate:
    """Lets pass any model but those whose bytes begin with `bad`; knows the models at some locations."""

    locations: dict[str, bytes] = field(default_factory=dict)
    checked: list[bytes] = field(default_factory=list)

    def fetch(self, descriptor: ModelDescriptor) -> ModelDescriptor:
        if descriptor.location not in self.locations:
            raise ModelRejected(Reason.LOCATION, f"location {descriptor.location!r} cannot be read")
        fetched = ModelDescriptor()
        fetched.CopyFrom(descriptor)
        fetched.data = self.locations[descriptor.location]
        return complete(fetched, ModelSources())

    def check(self, complete: ModelDescriptor) -> Engine:
        self.checked.append(complete.data)
        if complete.data.startswith(b"bad"):
            raise ModelRejected(Reason.UNLOADABLE, "this one is bad")
        return Engine(name="fake")


@dataclass
class Log:
    """A model log whose every message is judged at the time that it is sent, and whose decisions a join takes in."""

    gate: FakeGate = field(default_factory=FakeGate)
    now_ms: int = START_MS
    messages: list[bytes | None] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)
    deleted: set[int] = field(default_factory=set)
    states: dict[str, AdmissionState] = field(default_factory=dict)
    joins: dict[str, ServingState] = field(default_factory=dict)
    scheduled: dict[int, AdmittedModel] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.judge = Admission(DATA_TYPES, self.gate, self._reread, lambda: self.now_ms)

    def send(self, message: bytes | None, step_ms: int = STEP_MS) -> Verdict:
        """Append a message `step_ms` after the last one, and judge it."""
        self.advance(step_ms)
        self.messages.append(message)
        self.timestamps.append(self.now_ms)
        position = self.position(len(self.messages) - 1)
        verdict = self.judge.judge(message, position, self._state(data_type_of(message)))
        if verdict.scheduled is not None:
            self.scheduled[verdict.scheduled.offset] = verdict.scheduled
        self._take_in(verdict)
        return verdict

    def advance(self, step_ms: int) -> list[Verdict]:
        """Let time pass; the verdicts on the scheduled versions that are due by then."""
        self.now_ms += step_ms
        activated = []
        for state in self.states.values():
            while (verdict := self.judge.activate(state, self.scheduled.__getitem__, "models")) is not None:
                activated.append(verdict)
                self._take_in(verdict)
        return activated

    def position(self, offset: int) -> LogPosition:
        return LogPosition(topic="models", offset=offset, timestamp_ms=self.timestamps[offset])

    def serving(self, data_type: str = "wine") -> bytes | None:
        """The bytes of the model that a join serves."""
        join = self.joins.get(data_type, ServingState())
        return join.serving.descriptor.data if join.HasField("serving") else None

    def last_good(self, data_type: str = "wine") -> bytes | None:
        """The bytes of the last good model that a join keeps."""
        join = self.joins.get(data_type, ServingState())
        return join.last_good.descriptor.data if join.HasField("last_good") else None

    def _reread(self, offset: int) -> bytes | None:
        return None if offset in self.deleted else self.messages[offset]

    def _state(self, data_type: str) -> AdmissionState:
        # Through its encoding, as it goes into a checkpoint.
        state = AdmissionState.FromString(self.states.get(data_type, AdmissionState()).SerializeToString())
        self.states[data_type] = state
        return state

    def _take_in(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)
        decision = verdict.decision
        if decision is not None:
            before = self.joins.get(decision.data_type)
            self.joins[decision.data_type] = serving_state.after(before, decision)


def model(data: bytes, data_type: str = "wine", version: str = "", name: str = "good", **fields: object) -> bytes:
    """A message with a model."""
    return changed(dataType=data_type, data=data, version=version, name=name, **fields)


def retirement(name: str = "good", version: str = "", data_type: str = "wine") -> bytes:
    """A message that retires a model."""
    return ModelDescriptor(name=name, version=version, dataType=data_type, retire=True).SerializeToString()


def kinds(events: tuple[ModelEvent, ...]) -> list[str]:
    """The names of the events' kinds."""
    return [EventKind.Name(event.kind) for event in events]

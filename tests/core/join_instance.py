"""One parallel instance of a join without Flink, from its start on, and the state that it leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from modelserving.configuration import load_data_types
from modelserving.decoding import Decoder
from modelserving.join import Join
from modelserving.manager import ManagerLimits, ServableManager
from modelserving.model_history import NewestModel
from modelserving.outgoing import Outgoing
from modelserving.pieces import split
from modelserving.topics import Topics
from modelserving.wire.serving_pb2 import EventKind, ModelEvent
from modelserving.wire.state_pb2 import AdmittedModel, Decision, Retirement, ServingState
from tests.core.cases import (
    FIRST_OFFSET,
    RECEIVED_US,
    TOPIC,
    clock_us,
    raw,
    reasons,
    rejected_of,
    results_of,
    wine,
)
from tests.core.loads import Loads, admitted
from tests.waiting import wait_until

RECORDS = [wine(alcohol=9.0), wine(alcohol=10.0)]
INSTANCE = "partitioned-join 1/2"


@dataclass
class MemoryStore:
    """State in memory; read-only but while a decision is taken in, as broadcast state is."""

    states: dict[str, bytes] = field(default_factory=dict)
    writable: bool = False

    def get(self, name: str) -> bytes | None:
        return self.states.get(name)

    def put(self, name: str, value: bytes) -> None:
        assert self.writable
        self.states[name] = value

    def remove(self, name: str) -> None:
        assert self.writable
        del self.states[name]


@dataclass
class Instance:
    """One parallel instance, from its start on."""

    store: MemoryStore = field(default_factory=MemoryStore)
    log: Mapping[str, NewestModel] = field(default_factory=dict)
    loads: Loads = field(default_factory=Loads)
    memory_bytes: int = 1024**3
    log_reads: int = 0
    now_s: float = 1000.0
    events: list[ModelEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        limits = ManagerLimits(60.0, self.memory_bytes)
        self._join = Join(
            Topics(),
            INSTANCE,
            lambda on_event: ServableManager(self.loads, limits, on_event, lambda: self.now_s),
            self._read_log,
            clock_us,
        )
        self._decoder = Decoder(load_data_types(), TOPIC)

    def decide(self, offset: int, size: int = 5) -> None:
        """The model at `offset`, of so many bytes, serves from now on."""
        for part in split(decision(offset, size)):
            self.take_in(part)

    def retire(self, offset: int, serving: int, *versions: str, again: AdmittedModel | None = None) -> None:
        """A version is retired (all, if none is named), and the model at offset `serving` takes over; -1: none."""
        retired = Retirement(name="m", version="".join(versions), serving=serving)
        self.take_in(Decision(schema=2, data_type="wine", offset=offset, retired=retired, admitted=again))

    def tick(self) -> None:
        self.take_in(Decision(data_type="wine", tick=True))

    def take_in(self, decision: Decision) -> None:
        self.store.writable = True
        self._events_of(list(self._join.on_decision(decision.SerializeToString(), self.store)))
        self.store.writable = False

    def serving(self, data_type: str = "wine") -> str:
        """The version that scores a batch; every record of it must have a result."""
        outgoing = self._score(data_type)
        results = results_of(outgoing)
        assert not rejected_of(outgoing)
        assert [(result.record.offset, result.number) for result in results] == [
            (FIRST_OFFSET, 9.0),
            (FIRST_OFFSET + 1, 10.0),
        ]
        (version,) = {result.model_version for result in results}
        return version

    def wait_for(self, version: str) -> None:
        """Score batch after batch until the version does it."""
        wait_until(lambda: self.serving() == version, describe=lambda: f"{self.serving()} serves")

    def check_no_model(self) -> None:
        """Every record of a batch is rejected for want of a model."""
        outgoing = self._score()
        assert results_of(outgoing) == []
        turned_away = rejected_of(outgoing)
        assert reasons(turned_away) == ["NO_MODEL"] * 2
        assert [one.original for one in turned_away] == RECORDS
        assert [one.position.offset for one in turned_away] == [FIRST_OFFSET, FIRST_OFFSET + 1]
        assert {one.data_type for one in turned_away} == {"wine"}

    def event_names(self) -> list[tuple[str, str]]:
        return [(EventKind.Name(event.kind), event.model_version) for event in self.events]

    def close(self) -> None:
        self._join.close()

    def _score(self, data_type: str = "wine") -> list[Outgoing]:
        (batch,) = self._decoder.decode(raw(RECORDS), RECEIVED_US).batches
        outgoing = list(self._join.on_batch(replace(batch, data_type=data_type), self.store))
        self._events_of(outgoing)
        return outgoing

    def _events_of(self, outgoing: list[Outgoing]) -> None:
        for one in outgoing:
            if one.role == "model-events":
                events = [ModelEvent.FromString(value) for _, value in one.messages]
                assert one.keys.to_pylist() == [event.data_type.encode() for event in events]
                self.events += events

    def _read_log(self) -> Mapping[str, NewestModel]:
        self.log_reads += 1
        return self.log


def decision(offset: int, size: int = 5) -> Decision:
    return Decision(schema=2, data_type="wine", offset=offset, admitted=admitted(offset, size=size))


def newest(offset: int, decided: int | None = None) -> NewestModel:
    return NewestModel(offset if decided is None else decided, admitted(offset))


def kept(store: MemoryStore) -> tuple[int, int | None]:
    """Offsets of the serving and the last good model in the state."""
    state = ServingState.FromString(store.states["wine"])
    assert state.schema == 2
    return state.serving.offset, state.last_good.offset if state.HasField("last_good") else None

"""The join without Flink: decisions and batches in any order, a restore, a cold start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from modelserving.configuration import load_data_types
from modelserving.decoding import Decoder, TypedBatch
from modelserving.errors import ModelRejected, ModelServingError
from modelserving.join import Join
from modelserving.manager import ServableManager
from modelserving.servable import Servable
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import AdmittedModel, Decision, ServingState
from tests.core.cases import (
    FIRST_OFFSET,
    RECEIVED_US,
    TOPIC,
    FakeServable,
    clock_us,
    raw,
    reasons,
    rejected_of,
    results_of,
    wine,
)

RECORDS = [wine(alcohol=9.0), wine(alcohol=10.0)]


@dataclass
class MemoryStore:
    """State in memory; read-only but while a decision is taken in, as broadcast state is."""

    states: dict[str, bytes] = field(default_factory=dict)
    writable: bool = False

    def get(self, data_type: str) -> bytes | None:
        return self.states.get(data_type)

    def put(self, data_type: str, state: bytes) -> None:
        assert self.writable
        self.states[data_type] = state


@dataclass
class Instance:
    """One parallel instance, from its start on; versions in `failing` cannot be loaded in it."""

    store: MemoryStore = field(default_factory=MemoryStore)
    log: Mapping[str, AdmittedModel] = field(default_factory=dict)
    failing: set[str] = field(default_factory=set)
    loaded: list[str] = field(default_factory=list)
    log_reads: int = 0

    def __post_init__(self) -> None:
        self._join = Join(TOPIC, ServableManager(self._load), self._read_log, clock_us)
        self._decoder = Decoder(load_data_types(), TOPIC)

    def decide(self, offset: int) -> None:
        decision = Decision(schema=1, data_type="wine", admitted=admitted(offset)).SerializeToString()
        self.store.writable = True
        self._join.on_decision(decision, self.store)
        self.store.writable = False

    def serving(self) -> str:
        """The version that scores a batch; every record of it must have a result."""
        outgoing = list(self._join.on_batch(self.batch(), self.store))
        results = results_of(outgoing)
        assert not rejected_of(outgoing)
        assert [(result.record.offset, result.number) for result in results] == [
            (FIRST_OFFSET, 9.0),
            (FIRST_OFFSET + 1, 10.0),
        ]
        (version,) = {result.model_version for result in results}
        return version

    def check_no_model(self) -> None:
        """Every record of a batch is rejected for want of a model."""
        outgoing = list(self._join.on_batch(self.batch(), self.store))
        assert results_of(outgoing) == []
        turned_away = rejected_of(outgoing)
        assert reasons(turned_away) == ["NO_MODEL"] * 2
        assert [one.original for one in turned_away] == RECORDS
        assert [one.position.offset for one in turned_away] == [FIRST_OFFSET, FIRST_OFFSET + 1]
        assert {one.data_type for one in turned_away} == {"wine"}

    def batch(self) -> TypedBatch:
        (batch,) = self._decoder.decode(raw(RECORDS), RECEIVED_US).batches
        return batch

    def close(self) -> None:
        self._join.close()

    def _load(self, descriptor: ModelDescriptor) -> Servable:
        self.loaded.append(descriptor.version)
        if descriptor.version in self.failing:
            raise ModelRejected(Reason.UNLOADABLE, "no memory left")
        return FakeServable(load_data_types()["wine"].feature_names)

    def _read_log(self) -> Mapping[str, AdmittedModel]:
        self.log_reads += 1
        return self.log


def admitted(offset: int) -> AdmittedModel:
    descriptor = ModelDescriptor(name="m", dataType="wine", version=f"v{offset}", sha256="ab", data=b"model")
    return AdmittedModel(offset=offset, descriptor=descriptor)


def kept(store: MemoryStore) -> tuple[int, int | None]:
    """Offsets of the serving and the last good model in the state."""
    state = ServingState.FromString(store.states["wine"])
    assert state.schema == 1
    return state.serving.offset, state.last_good.offset if state.HasField("last_good") else None


def test_records_wait_for_no_model_but_the_first_one_serves_from_then_on() -> None:
    instance = Instance()
    instance.check_no_model()
    instance.decide(0)
    assert instance.serving() == "v0"


def test_a_decision_is_kept_and_serves_from_the_next_batch_on() -> None:
    instance = Instance()
    instance.decide(3)
    assert (instance.serving(), kept(instance.store)) == ("v3", (3, None))
    instance.decide(5)
    assert (instance.serving(), kept(instance.store)) == ("v5", (5, 3))
    assert instance.loaded == ["v3", "v5"]
    state = ServingState.FromString(instance.store.states["wine"])
    assert state.serving == admitted(5)


@pytest.mark.parametrize("offset", [4, 5], ids=["below", "at"])
def test_decisions_at_or_below_the_applied_offset_are_ignored(offset: int) -> None:
    instance = Instance()
    instance.decide(3)
    instance.decide(5)
    before = dict(instance.store.states)
    instance.decide(offset)
    assert instance.serving() == "v5"
    assert instance.store.states == before
    assert instance.loaded == ["v5"]


def test_a_model_that_this_instance_cannot_load_leaves_the_last_good_one() -> None:
    instance = Instance(failing={"v5"})
    instance.decide(3)
    assert instance.serving() == "v3"
    instance.decide(5)
    assert [instance.serving(), instance.serving()] == ["v3", "v3"]
    assert instance.loaded == ["v3", "v5"]
    instance.decide(6)
    assert instance.serving() == "v6"


class TestRestore:
    """An instance that starts with the state of another."""

    @pytest.fixture
    def store(self) -> MemoryStore:
        before = Instance()
        before.decide(3)
        before.decide(5)
        before.close()
        return before.store

    def test_the_state_is_enough(self, store: MemoryStore) -> None:
        instance = Instance(store, log={"wine": admitted(4)})
        assert instance.serving() == "v5"
        assert (instance.loaded, instance.log_reads) == (["v5"], 0)

    def test_a_decision_before_the_first_batch(self, store: MemoryStore) -> None:
        instance = Instance(store)
        instance.decide(6)
        assert instance.serving() == "v6"
        assert (instance.loaded, instance.log_reads) == (["v6"], 0)

    def test_a_replayed_decision_before_the_first_batch(self, store: MemoryStore) -> None:
        instance = Instance(store)
        instance.decide(5)
        assert instance.serving() == "v5"

    def test_the_last_good_model_serves_where_the_serving_one_cannot_be_loaded(self, store: MemoryStore) -> None:
        instance = Instance(store, failing={"v5"})
        assert [instance.serving(), instance.serving()] == ["v3", "v3"]
        assert instance.loaded == ["v5", "v3"]

    def test_the_last_good_model_serves_where_a_new_one_cannot_be_loaded(self, store: MemoryStore) -> None:
        instance = Instance(store, failing={"v6"})
        instance.decide(6)
        assert [instance.serving(), instance.serving()] == ["v5", "v5"]

    def test_no_model_can_be_loaded(self, store: MemoryStore) -> None:
        instance = Instance(store, failing={"v3", "v5"})
        instance.check_no_model()
        instance.failing.clear()
        assert instance.serving() == "v5"

    def test_state_of_a_newer_release(self) -> None:
        store = MemoryStore({"wine": ServingState(schema=2, serving=admitted(5)).SerializeToString()})
        with pytest.raises(ModelServingError, match="schema 2"):
            Instance(store).serving()


class TestColdStart:
    """No state, and a backlog of models: the newest of them serves from the first record on."""

    def test_records_come_first(self) -> None:
        instance = Instance(log={"wine": admitted(7)})
        assert instance.serving() == "v7"
        for offset in (2, 4, 7):
            instance.decide(offset)
            assert instance.serving() == "v7"
        assert instance.loaded == ["v7"]
        assert kept(instance.store) == (7, 4)

    def test_decisions_come_first(self) -> None:
        instance = Instance(log={"wine": admitted(7)})
        instance.decide(2)
        assert instance.serving() == "v7"
        for offset in (4, 7):
            instance.decide(offset)
            assert instance.serving() == "v7"
        assert instance.loaded == ["v7"]

    def test_a_model_that_came_after_the_log_was_read(self) -> None:
        instance = Instance(log={"wine": admitted(7)})
        instance.decide(9)
        assert instance.serving() == "v9"
        assert instance.loaded == ["v9"]

    def test_the_first_model_of_a_data_type_comes_later(self) -> None:
        instance = Instance(log={"beer": admitted(7)})
        instance.check_no_model()
        instance.decide(9)
        assert instance.serving() == "v9"

    def test_scoring_writes_no_state(self) -> None:
        instance = Instance(log={"wine": admitted(7)})
        assert instance.serving() == "v7"
        assert instance.store.states == {}

    def test_a_log_that_cannot_be_read_is_read_again(self) -> None:
        class Flaky(Instance):
            def _read_log(self) -> Mapping[str, AdmittedModel]:
                self.log_reads += 1
                if self.log_reads == 1:
                    raise ModelServingError("no broker")
                return self.log

        instance = Flaky(log={"wine": admitted(7)})
        with pytest.raises(ModelServingError):
            instance.serving()
        assert instance.serving() == "v7"

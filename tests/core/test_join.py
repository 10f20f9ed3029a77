"""The join without Flink: decisions and batches in any order, a restore, a cold start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from modelserving.errors import ModelServingError
from modelserving.live_models import memory_bytes
from modelserving.manager import RETRY_AFTER_S
from modelserving.model_history import NewestModel
from modelserving.pieces import PIECE_BYTES, split
from modelserving.wire.state_pb2 import Decision, Engine, ServingState
from tests.core.cases import (
    clock_us,
)
from tests.core.join_instance import INSTANCE, Instance, MemoryStore, decision, kept, newest
from tests.core.loads import Loads, admitted
from tests.waiting import wait_until


def test_records_wait_for_no_model_but_the_first_one_serves_from_then_on() -> None:
    instance = Instance()
    instance.check_no_model()
    instance.decide(0)
    assert instance.serving() == "wine-0"


def test_a_decision_is_kept_and_serves_as_soon_as_it_is_loaded() -> None:
    instance = Instance()
    instance.decide(3)
    assert (instance.serving(), kept(instance.store)) == ("wine-3", (3, None))
    instance.loads.hold("wine-5")
    instance.decide(5)
    assert ([instance.serving() for _ in range(20)], kept(instance.store)) == (["wine-3"] * 20, (5, 3))
    instance.loads.release()
    instance.wait_for("wine-5")
    assert instance.loads.begun == ["wine-3", "wine-5"]
    state = ServingState.FromString(instance.store.states["wine"])
    assert state.serving == admitted(5)


def test_an_idle_instance_swaps_at_a_tick() -> None:
    instance = Instance()
    instance.decide(3)
    before = dict(instance.store.states)

    def ticked() -> bool:
        instance.tick()
        return ("SERVING", "wine-3") in instance.event_names()

    wait_until(ticked)
    assert instance.store.states == before
    assert instance.loads.begun == ["wine-3"]


@pytest.mark.parametrize("offset", [4, 5], ids=["below", "at"])
def test_decisions_at_or_below_the_applied_offset_change_nothing(offset: int) -> None:
    instance = Instance()
    instance.decide(3)
    instance.decide(5)
    instance.wait_for("wine-5")
    before, begun = dict(instance.store.states), list(instance.loads.begun)
    instance.decide(offset)
    assert instance.serving() == "wine-5"
    assert instance.store.states == before
    assert instance.loads.begun == begun


def test_a_model_that_this_instance_cannot_load_leaves_the_last_good_one() -> None:
    instance = Instance(loads=Loads(failing={"wine-5"}))
    instance.decide(3)
    assert instance.serving() == "wine-3"
    instance.decide(5)
    wait_until(lambda: instance.serving() and ("LOAD_FAILED", "wine-5") in instance.event_names())
    assert [instance.serving(), instance.serving()] == ["wine-3", "wine-3"]
    instance.decide(6)
    instance.wait_for("wine-6")


class TestRetire:
    """A model that is taken out of service."""

    @pytest.fixture
    def instance(self) -> Iterator[Instance]:
        instance = Instance()
        instance.decide(3)
        assert instance.serving() == "wine-3"
        instance.decide(5)
        instance.wait_for("wine-5")
        yield instance
        instance.loads.release()
        instance.close()

    def test_the_last_good_takes_over(self, instance: Instance) -> None:
        instance.retire(7, 3, "wine-5")
        instance.wait_for("wine-3")
        assert kept(instance.store) == (3, None)
        wait_until(lambda: instance.loads.closed == ["wine-3", "wine-5"])

    def test_nothing_takes_over(self, instance: Instance) -> None:
        instance.retire(7, -1)
        instance.check_no_model()
        assert ("REPLACED", "wine-5") in instance.event_names()
        wait_until(lambda: instance.loads.closed == ["wine-3", "wine-5"])
        instance.decide(9)
        assert instance.serving() == "wine-9"

    def test_one_that_has_not_been_loaded_since_a_restart_is_told_to_serve_no_more(self, instance: Instance) -> None:
        restarted = Instance(store=instance.store)
        restarted.retire(7, -1)
        assert restarted.loads.begun == []
        assert restarted.event_names() == [("REPLACED", "wine-5")]

    def test_while_it_is_being_loaded_it_never_serves(self, instance: Instance) -> None:
        instance.loads.hold("wine-6")
        instance.decide(6)
        wait_until(lambda: "wine-6" in instance.loads.begun)
        instance.retire(7, 5, "wine-6")
        instance.loads.release()
        wait_until(lambda: instance.serving() == "wine-5" and "wine-6" in instance.loads.closed)
        assert instance.serving() == "wine-5"
        assert ("SERVING", "wine-6") not in instance.event_names()

    def test_it_scores_no_more_where_its_successor_cannot_be_loaded(self, instance: Instance) -> None:
        instance.decide(6)
        instance.wait_for("wine-6")
        instance.loads.failing = {"wine-5", "wine-3"}
        instance.retire(7, 5, "wine-6")

        def failed() -> bool:
            instance.tick()
            return ("LOAD_FAILED", "wine-5") in instance.event_names()

        wait_until(failed)
        instance.check_no_model()

    def test_of_another_one_does_not_touch_what_serves(self, instance: Instance) -> None:
        instance.retire(7, 5, "wine-3")
        instance.loads.failing = {"wine-8"}
        instance.decide(8)

        def failed() -> bool:
            instance.tick()
            return ("LOAD_FAILED", "wine-8") in instance.event_names()

        wait_until(failed)
        assert ("REPLACED", "wine-5") not in instance.event_names()
        assert instance.serving() == "wine-5"
        assert instance.loads.begun == ["wine-3", "wine-5", "wine-8"]

    def test_of_what_scores_in_place_of_one_that_could_not_be_loaded(self, instance: Instance) -> None:
        instance.loads.failing = {"wine-6"}
        instance.decide(6)
        wait_until(lambda: instance.serving() and ("LOAD_FAILED", "wine-6") in instance.event_names())
        instance.retire(7, 6, "wine-5")
        instance.check_no_model()

    def test_one_that_no_join_keeps_comes_with_the_decision(self, instance: Instance) -> None:
        instance.retire(7, 1, again=admitted(1))
        instance.wait_for("wine-1")
        assert kept(instance.store) == (1, None)

    def test_the_state_survives_it(self, instance: Instance) -> None:
        instance.retire(7, -1)
        other = Instance(instance.store, log={"wine": newest(5)})
        other.check_no_model()
        assert (other.loads.begun, other.log_reads) == ([], 0)


class TestEvents:
    """What the instance tells of its models."""

    def test_they_name_instance_model_and_place(self) -> None:
        instance = Instance()
        instance.decide(3)
        assert instance.serving() == "wine-3"
        assert instance.event_names() == [("LOADING", "wine-3"), ("SERVING", "wine-3")]
        for event in instance.events:
            assert (event.data_type, event.model_name, event.model_sha256) == ("wine", "m", "ab")
            assert (event.instance, event.at_ms) == (INSTANCE, clock_us() // 1000)
            assert (event.position.topic, event.position.offset) == ("models", 3)

    def test_each_is_told_once(self) -> None:
        instance = Instance()
        instance.decide(3)
        assert [instance.serving() for _ in range(3)] == ["wine-3"] * 3
        assert len(instance.events) == 2


class TestBoundedCache:
    """Room for one model."""

    def test_a_model_that_was_driven_out_is_loaded_from_the_state_when_it_is_needed(self) -> None:
        instance = Instance(memory_bytes=memory_bytes(admitted(0).descriptor))
        instance.decide(3)
        assert instance.serving() == "wine-3"
        instance.take_in(Decision(schema=2, data_type="beer", offset=4, admitted=admitted(4, "beer")))
        assert instance.loads.begun == ["wine-3"]
        assert instance.serving("beer") == "beer-4"
        wait_until(lambda: instance.loads.closed == ["wine-3"])
        assert instance.serving() == "wine-3"
        assert instance.loads.begun == ["wine-3", "beer-4", "wine-3"]


@pytest.mark.parametrize("size", [5, 2 * PIECE_BYTES], ids=["whole", "in pieces"])
def test_the_engine_found_at_admission_travels_to_the_loader_and_stays_in_the_state(size: int) -> None:
    decided = decision(3, size)
    decided.admitted.engine.CopyFrom(Engine(name="quick", reason="it answers alike"))
    first = Instance()
    for part in split(decided):
        first.take_in(part)
    restored = Instance(first.store)
    for instance in (first, restored):
        assert instance.serving() == "wine-3"
        assert instance.loads.engines == {"wine-3": decided.admitted.engine}
        assert instance.events[-1].detail == "evaluated by fake"


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
        instance = Instance(store, log={"wine": newest(4)})
        assert instance.serving() == "wine-5"
        assert (instance.loads.begun, instance.log_reads) == (["wine-5"], 0)

    def test_the_state_of_release_0_1_0(self) -> None:
        old = ServingState(schema=1, serving=admitted(5), last_good=admitted(3))
        instance = Instance(MemoryStore({"wine": old.SerializeToString()}))
        assert instance.serving() == "wine-5"
        instance.decide(5)
        instance.decide(7)
        instance.wait_for("wine-7")
        assert kept(instance.store) == (7, 5)

    def test_a_decision_before_the_first_batch(self, store: MemoryStore) -> None:
        instance = Instance(store)
        instance.decide(6)
        assert instance.serving() == "wine-6"
        assert (instance.loads.begun, instance.log_reads) == (["wine-6"], 0)

    def test_a_replayed_decision_before_the_first_batch(self, store: MemoryStore) -> None:
        instance = Instance(store)
        instance.decide(5)
        assert instance.serving() == "wine-5"
        assert kept(instance.store) == (5, 3)

    def test_the_last_good_model_serves_where_the_serving_one_cannot_be_loaded(self, store: MemoryStore) -> None:
        instance = Instance(store, loads=Loads(failing={"wine-5"}))
        assert [instance.serving(), instance.serving()] == ["wine-3", "wine-3"]
        assert instance.loads.begun == ["wine-5", "wine-3"]

    def test_the_last_good_model_serves_where_a_new_one_cannot_be_loaded(self, store: MemoryStore) -> None:
        instance = Instance(store, loads=Loads(failing={"wine-6"}))
        instance.decide(6)
        assert [instance.serving(), instance.serving()] == ["wine-5", "wine-5"]

    def test_no_model_can_be_loaded(self, store: MemoryStore) -> None:
        instance = Instance(store, loads=Loads(failing={"wine-3", "wine-5"}))
        for _ in range(3):
            instance.check_no_model()
        assert instance.loads.begun == ["wine-5", "wine-3"], "no batch waits for what failed just now"
        instance.loads.failing.clear()
        instance.now_s += RETRY_AFTER_S
        assert instance.serving() == "wine-5"

    def test_state_of_a_newer_release(self) -> None:
        store = MemoryStore({"wine": ServingState(schema=3, serving=admitted(5)).SerializeToString()})
        with pytest.raises(ModelServingError, match="schema 3"):
            Instance(store).serving()


class TestColdStart:
    """No state, and a backlog of models: what serves by the log serves from the first record on."""

    def test_records_come_first(self) -> None:
        instance = Instance(log={"wine": newest(7)})
        assert instance.serving() == "wine-7"
        for offset in (2, 4, 7):
            instance.decide(offset)
            assert instance.serving() == "wine-7"
        assert instance.loads.begun == ["wine-7"]
        assert kept(instance.store) == (7, 4)

    def test_decisions_come_first(self) -> None:
        instance = Instance(log={"wine": newest(7)})
        instance.decide(2)
        assert instance.serving() == "wine-7"
        for offset in (4, 7):
            instance.decide(offset)
            assert instance.serving() == "wine-7"
        assert instance.loads.begun == ["wine-7"]

    def test_the_newest_message_is_no_model(self) -> None:
        instance = Instance(log={"wine": newest(4, decided=9)})
        for offset in (2, 4):
            instance.decide(offset)
            assert instance.serving() == "wine-4"
        assert instance.loads.begun == ["wine-4"]
        instance.decide(10)
        instance.wait_for("wine-10")

    @pytest.mark.parametrize("records_first", [True, False])
    def test_a_backlog_that_ends_with_a_retirement(self, records_first: bool) -> None:
        instance = Instance(log={"wine": NewestModel(9, None)})
        if records_first:
            instance.check_no_model()
        for offset in (2, 4):
            instance.decide(offset)
            instance.check_no_model()
        instance.retire(9, -1)
        instance.check_no_model()
        assert instance.loads.begun == []
        instance.decide(10)
        assert instance.serving() == "wine-10"

    def test_a_rollback_by_retirement_in_the_backlog(self) -> None:
        instance = Instance(log={"wine": newest(2, decided=9)})
        assert instance.serving() == "wine-2"
        for offset in (2, 4):
            instance.decide(offset)
        instance.retire(9, 2, "wine-4")
        assert instance.serving() == "wine-2"
        assert (instance.loads.begun, kept(instance.store)) == (["wine-2"], (2, None))

    def test_a_model_that_came_after_the_log_was_read(self) -> None:
        instance = Instance(log={"wine": newest(7)})
        instance.decide(9)
        assert instance.serving() == "wine-9"

    def test_the_first_model_of_a_data_type_comes_later(self) -> None:
        instance = Instance(log={"beer": newest(7)})
        instance.check_no_model()
        instance.decide(9)
        assert instance.serving() == "wine-9"

    def test_scoring_writes_no_state(self) -> None:
        instance = Instance(log={"wine": newest(7)})
        assert instance.serving() == "wine-7"
        assert instance.store.states == {}

    def test_a_log_that_cannot_be_read_is_read_again(self) -> None:
        class Flaky(Instance):
            def _read_log(self) -> Mapping[str, NewestModel]:
                self.log_reads += 1
                if self.log_reads == 1:
                    raise ModelServingError("no broker")
                return self.log

        instance = Flaky(log={"wine": newest(7)})
        with pytest.raises(ModelServingError):
            instance.serving()
        assert instance.serving() == "wine-7"

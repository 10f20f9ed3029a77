"""The servable manager: aspired, live, last good; swaps between two batches, and what may make a batch wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from modelserving.live_models import memory_bytes
from modelserving.manager import RETRY_AFTER_S, ManagerLimits, ServableManager
from modelserving.servable import ModelVersion
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import EventKind
from modelserving.wire.state_pb2 import AdmittedModel, Retirement
from tests.core.loads import Loads, Remembered, admitted
from tests.waiting import wait_until

LOAD_S = 60.0
ONE = memory_bytes(admitted(0).descriptor)


@dataclass
class Instance:
    """A manager with its clock and its events."""

    memory_bytes: int = 100 * ONE
    loads: Loads = field(default_factory=Loads)
    events: list[tuple[str, str, int]] = field(default_factory=list)
    details: list[str] = field(default_factory=list)
    now_s: float = 1000.0

    def __post_init__(self) -> None:
        limits = ManagerLimits(LOAD_S, self.memory_bytes)
        self.manager = ServableManager(self.loads, limits, self._on_event, lambda: self.now_s)

    def aspire(self, model: AdmittedModel, decided: int | None = None, **how: Any) -> None:
        self.manager.aspire(model, model.offset if decided is None else decided, **how)

    def live(self, data_type: str = "wine") -> str | None:
        """The version that scores the next batch."""
        model = self.manager.live(data_type)
        if model is None:
            return None
        assert model.version == ModelVersion("m", f"{data_type}-{model.offset}", "ab")
        assert isinstance(model.servable, Remembered)
        assert model.servable.version == model.version.version
        assert not model.servable.is_closed
        return model.version.version

    def wait_for(self, version: str, data_type: str = "wine") -> None:
        """Score batch after batch until the version does it."""
        wait_until(lambda: self.live(data_type) == version, describe=lambda: f"live: {self.live(data_type)}")

    def event_names(self, kind: str) -> list[str]:
        return [version for name, version, _ in self.events if name == kind]

    def _on_event(self, kind: EventKind, descriptor: ModelDescriptor, offset: int, detail: str) -> None:
        assert descriptor.version == f"{descriptor.dataType}-{offset}"
        self.events.append((EventKind.Name(kind), descriptor.version, offset))
        self.details.append(detail)


@pytest.fixture
def instance() -> Iterator[Instance]:
    instance = Instance()
    yield instance
    instance.loads.release()
    instance.manager.close()


def test_nothing_is_live_before_anything_was_aspired(instance: Instance) -> None:
    assert instance.live() is None
    assert (instance.loads.begun, instance.events) == ([], [])


def test_the_first_batch_waits_for_the_first_model(instance: Instance) -> None:
    instance.aspire(admitted(0))
    assert [instance.live() for _ in range(3)] == ["wine-0"] * 3
    assert (instance.loads.begun, instance.loads.closed) == (["wine-0"], [])
    assert instance.events == [("LOADING", "wine-0", 0), ("SERVING", "wine-0", 0)]


def test_no_batch_waits_while_an_old_version_is_live(instance: Instance) -> None:
    instance.aspire(admitted(0))
    assert instance.live() == "wine-0"
    instance.loads.hold("wine-1")
    instance.aspire(admitted(1))
    wait_until(lambda: "wine-1" in instance.loads.begun)
    assert [instance.live() for _ in range(100)] == ["wine-0"] * 100
    instance.loads.release()
    instance.wait_for("wine-1")
    wait_until(lambda: instance.loads.closed == ["wine-0"])
    assert instance.events[2:] == [("LOADING", "wine-1", 1), ("REPLACED", "wine-0", 0), ("SERVING", "wine-1", 1)]
    assert "'wine-1'" in instance.details[3]


def test_an_idle_instance_swaps_too(instance: Instance) -> None:
    def serving() -> list[str]:
        instance.manager.swap()
        return instance.event_names("SERVING")

    instance.aspire(admitted(0))
    wait_until(lambda: serving() == ["wine-0"])
    instance.aspire(admitted(1))
    wait_until(lambda: serving() == ["wine-0", "wine-1"])
    wait_until(lambda: instance.loads.closed == ["wine-0"])


def test_of_several_versions_only_the_newest_serves(instance: Instance) -> None:
    instance.aspire(admitted(0))
    assert instance.live() == "wine-0"
    instance.loads.hold("wine-1")
    instance.aspire(admitted(1))
    wait_until(lambda: "wine-1" in instance.loads.begun)
    for offset in (4, 2, 3):
        instance.aspire(admitted(offset))
    instance.loads.release()
    instance.wait_for("wine-4")
    assert instance.loads.begun == ["wine-0", "wine-1", "wine-4"]
    assert instance.event_names("SERVING") == ["wine-0", "wine-4"]
    wait_until(lambda: sorted(instance.loads.closed) == ["wine-0", "wine-1"])


@pytest.mark.parametrize("decided", [4, 5], ids=["older", "the live one"])
def test_an_older_decision_is_ignored(instance: Instance, decided: int) -> None:
    instance.aspire(admitted(5))
    assert instance.live() == "wine-5"
    before = list(instance.events)
    instance.aspire(admitted(decided))
    if decided < 5:
        instance.manager.retire("wine", decided)
    assert (instance.live(), instance.events) == ("wine-5", before)


def test_rollback_to_an_earlier_offset_by_a_later_decision(instance: Instance) -> None:
    instance.aspire(admitted(3))
    assert instance.live() == "wine-3"
    instance.aspire(admitted(5))
    instance.wait_for("wine-5")
    instance.aspire(admitted(3), decided=7)
    instance.wait_for("wine-3")
    assert instance.loads.begun == ["wine-3", "wine-5", "wine-3"]


class TestCannotLoad:
    """An instance that cannot load an admitted version."""

    def test_it_keeps_its_last_good_and_tells(self, instance: Instance) -> None:
        instance.loads.failing = {"wine-1"}
        instance.aspire(admitted(0))
        assert instance.live() == "wine-0"
        instance.aspire(admitted(1))
        wait_until(lambda: instance.live() and instance.event_names("LOAD_FAILED"))
        assert instance.live() == "wine-0"
        assert instance.events[2:] == [("LOADING", "wine-1", 1), ("LOAD_FAILED", "wine-1", 1)]
        assert instance.details[-1] == "UNLOADABLE: no memory left"
        assert instance.loads.closed == []
        instance.aspire(admitted(2))
        instance.wait_for("wine-2")

    def test_a_load_that_hangs(self, instance: Instance) -> None:
        instance.aspire(admitted(0))
        assert instance.live() == "wine-0"
        instance.loads.hold("wine-1")
        instance.aspire(admitted(1))
        wait_until(lambda: "wine-1" in instance.loads.begun)
        instance.now_s += LOAD_S + 1
        assert instance.live() == "wine-0"
        assert instance.event_names("LOAD_FAILED") == ["wine-1"]
        instance.aspire(admitted(2))
        instance.wait_for("wine-2")
        instance.loads.release()
        wait_until(lambda: sorted(instance.loads.closed) == ["wine-0", "wine-1"])
        assert instance.live() == "wine-2"

    def test_an_older_version_may_take_its_place(self, instance: Instance) -> None:
        instance.loads.failing = {"wine-1"}
        instance.aspire(admitted(1))
        assert instance.live() is None
        instance.aspire(admitted(0), decided=1)
        assert instance.live() == "wine-0"

    def test_it_is_tried_again_after_a_while_and_no_sooner(self, instance: Instance) -> None:
        instance.loads.failing = {"wine-0", "wine-1"}
        for offset in (1, 0):
            instance.aspire(admitted(offset), decided=1)
            assert instance.live() is None
        instance.now_s += RETRY_AFTER_S - 1
        for offset in (1, 0):
            instance.aspire(admitted(offset), decided=1)
            assert instance.live() is None
        assert instance.loads.begun == ["wine-1", "wine-0"]
        instance.loads.failing.clear()
        instance.now_s += 1
        instance.aspire(admitted(1))
        assert instance.live() == "wine-1"

    def test_it_takes_over_once_it_can_be_loaded(self, instance: Instance) -> None:
        instance.loads.failing = {"wine-1"}
        for offset in (1, 0):  # as after a restore: the last good one is the substitute
            instance.aspire(admitted(offset), decided=1)
            instance.live()
        assert instance.live() == "wine-0"
        instance.now_s += RETRY_AFTER_S
        wait_until(lambda: instance.live() == "wine-0" and instance.event_names("LOAD_FAILED") == ["wine-1"] * 2)
        instance.loads.failing.clear()
        instance.now_s += RETRY_AFTER_S - 1
        assert instance.live() == "wine-0"
        assert instance.loads.begun == ["wine-1", "wine-0", "wine-1"]
        instance.now_s += 1
        instance.wait_for("wine-1")

    def test_it_is_not_tried_again_once_another_is_to_serve(self, instance: Instance) -> None:
        instance.loads.failing = {"wine-1"}
        instance.aspire(admitted(0))
        assert instance.live() == "wine-0"
        instance.aspire(admitted(1))
        wait_until(lambda: instance.live() and instance.event_names("LOAD_FAILED"))
        instance.aspire(admitted(2))
        instance.wait_for("wine-2")
        instance.now_s += RETRY_AFTER_S
        assert instance.live() == "wine-2"
        assert instance.loads.begun == ["wine-0", "wine-1", "wine-2"]

    def test_it_is_tried_again_also_after_a_decision_that_it_serves_on(self, instance: Instance) -> None:
        instance.loads.failing = {"wine-1"}
        instance.aspire(admitted(0))
        assert instance.live() == "wine-0"
        instance.aspire(admitted(1))
        wait_until(lambda: instance.live() and instance.event_names("LOAD_FAILED"))
        instance.aspire(admitted(1), decided=2, retired=Retirement(name="another"))
        assert instance.loads.begun == ["wine-0", "wine-1"]
        instance.loads.failing.clear()
        instance.now_s += RETRY_AFTER_S
        instance.wait_for("wine-1")

    def test_in_place_of_a_retired_one(self, instance: Instance) -> None:
        instance.loads.failing = {"wine-0"}
        instance.aspire(admitted(1))
        assert instance.live() == "wine-1"
        instance.aspire(admitted(0), decided=2, retired=Retirement(name="m", version="wine-1"))
        wait_until(lambda: instance.live() is None)
        assert ("REPLACED", "wine-1", 1) in instance.events
        wait_until(lambda: instance.loads.closed == ["wine-1"])
        instance.loads.failing.clear()
        instance.now_s += RETRY_AFTER_S
        assert instance.live() == "wine-0"

    def test_a_decision_for_it_stops_the_load_of_a_later_one(self, instance: Instance) -> None:
        instance.loads.failing = {"wine-1"}
        instance.aspire(admitted(0))
        assert instance.live() == "wine-0"
        instance.aspire(admitted(1))
        wait_until(lambda: instance.live() and instance.event_names("LOAD_FAILED"))
        instance.loads.hold("wine-2")
        instance.aspire(admitted(2))
        wait_until(lambda: "wine-2" in instance.loads.begun)
        instance.aspire(admitted(1), decided=3)  # wine-2 is retired
        instance.loads.release()
        wait_until(lambda: instance.live() and instance.loads.closed == ["wine-2"])
        assert instance.live() == "wine-0"


class TestRetire:
    """A data type that nothing serves any more."""

    def test_the_live_model(self, instance: Instance) -> None:
        instance.aspire(admitted(0))
        assert instance.live() == "wine-0"
        instance.manager.retire("wine", 1)
        assert instance.live() is None
        wait_until(lambda: instance.loads.closed == ["wine-0"])
        assert instance.events[2:] == [("REPLACED", "wine-0", 0)]

    def test_one_that_is_being_loaded_never_serves(self, instance: Instance) -> None:
        instance.loads.hold("wine-0")
        instance.aspire(admitted(0))
        wait_until(lambda: instance.loads.begun)
        instance.manager.retire("wine", 1)
        assert instance.live() is None  # it does not wait either
        instance.loads.release()
        wait_until(lambda: instance.live() is None and instance.loads.closed == ["wine-0"])
        assert instance.event_names("SERVING") == []

    def test_back_to_the_live_one_while_its_successor_is_being_loaded(self, instance: Instance) -> None:
        instance.aspire(admitted(0))
        assert instance.live() == "wine-0"
        instance.loads.hold("wine-1")
        instance.aspire(admitted(1))
        wait_until(lambda: "wine-1" in instance.loads.begun)
        instance.aspire(admitted(0), decided=2)
        instance.loads.release()
        wait_until(lambda: instance.live() and instance.loads.closed == ["wine-1"])
        assert (instance.live(), instance.event_names("SERVING")) == ("wine-0", ["wine-0"])

    def test_what_was_never_live(self, instance: Instance) -> None:
        instance.manager.retire("wine", 1)
        assert (instance.live(), instance.events) == (None, [])


class TestBoundedCache:
    """Room for two models."""

    @pytest.fixture
    def instance(self) -> Instance:
        return Instance(memory_bytes=2 * ONE)

    def test_what_would_drive_out_another_is_loaded_when_it_is_needed(self, instance: Instance) -> None:
        for offset, data_type in enumerate(("wine", "beer", "cider")):
            instance.aspire(admitted(offset, data_type))
            instance.live(data_type)
        assert (instance.loads.begun, instance.live("cider")) == (["wine-0", "beer-1"], None)
        assert instance.live("wine") == "wine-0"
        instance.aspire(admitted(2, "cider"), needed=True)
        assert instance.live("cider") == "cider-2"
        wait_until(lambda: instance.loads.closed == ["beer-1"])
        assert (instance.live("wine"), instance.live("beer")) == ("wine-0", None)
        instance.aspire(admitted(1, "beer"), needed=True)
        assert instance.live("beer") == "beer-1"
        wait_until(lambda: instance.loads.closed == ["beer-1", "cider-2"])

    def test_of_many_that_come_at_once_no_more_are_loaded_than_there_is_room_for(self, instance: Instance) -> None:
        instance.loads.hold("wine-0")
        for offset, data_type in enumerate(("wine", "beer", "cider", "mead")):
            instance.aspire(admitted(offset, data_type))
        instance.loads.release()
        assert (instance.live("wine"), instance.live("beer")) == ("wine-0", "beer-1")
        assert instance.event_names("LOADING") == instance.event_names("SERVING") == ["wine-0", "beer-1"]
        assert (instance.live("cider"), instance.loads.closed) == (None, [])

    def test_a_replacement_is_loaded_at_once_and_takes_the_old_ones_room(self, instance: Instance) -> None:
        for offset, data_type in enumerate(("wine", "beer")):
            instance.aspire(admitted(offset, data_type))
            assert instance.live(data_type) == f"{data_type}-{offset}"
        instance.aspire(admitted(2, "wine"))
        instance.wait_for("wine-2")
        assert instance.live("beer") == "beer-1"
        wait_until(lambda: instance.loads.closed == ["wine-0"])

    def test_a_version_that_is_not_needed_yet_stops_the_load_of_an_older_one(self, instance: Instance) -> None:
        instance.loads.hold("wine-0")
        instance.aspire(admitted(0))
        wait_until(lambda: instance.loads.begun)
        instance.aspire(admitted(1, size=400_000))
        instance.loads.release()
        wait_until(lambda: instance.live() is None and instance.loads.closed == ["wine-0"])
        instance.aspire(admitted(1, size=400_000), needed=True)
        assert instance.live() == "wine-1"


def test_data_types_have_their_own_models(instance: Instance) -> None:
    instance.aspire(admitted(0))
    instance.aspire(admitted(1, "beer"))
    assert (instance.live(), instance.live("beer")) == ("wine-0", "beer-1")
    instance.aspire(admitted(2, "beer"))
    instance.wait_for("beer-2", "beer")
    assert instance.live() == "wine-0"
    wait_until(lambda: instance.loads.closed == ["beer-1"])


def test_close_frees_every_model(instance: Instance) -> None:
    instance.aspire(admitted(0))
    instance.aspire(admitted(1, "beer"))
    assert (instance.live(), instance.live("beer")) == ("wine-0", "beer-1")
    instance.loads.hold("wine-2")
    instance.aspire(admitted(2))
    wait_until(lambda: "wine-2" in instance.loads.begun)
    instance.manager.close()
    assert sorted(instance.loads.closed) == ["beer-1", "wine-0"]
    instance.loads.release()
    wait_until(lambda: sorted(instance.loads.closed) == ["beer-1", "wine-0", "wine-2"])
    assert (instance.live(), instance.live("beer")) == (None, None)

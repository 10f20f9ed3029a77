"""Loading in the background: order, faults, loads that never end; and every servable is closed once."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelserving.background import BackgroundLoader, Loaded
from modelserving.servable import Servable
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import AdmittedModel
from tests.core.loads import Loads, Remembered, admitted
from tests.waiting import wait_until

LIMIT_S = 60.0


class Clock:
    """Seconds, as the test says."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def loads() -> Iterator[Loads]:
    loads = Loads()
    yield loads
    loads.release()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loader(loads: Loads, clock: Clock) -> Iterator[BackgroundLoader]:
    loader = BackgroundLoader(loads, LIMIT_S, clock)
    yield loader
    loader.close()


def version(loaded: Loaded) -> str:
    assert (loaded.servable is None) == (loaded.fault is not None)
    if loaded.servable is not None:
        assert isinstance(loaded.servable, Remembered)
        assert loaded.servable.version == loaded.admitted.descriptor.version
    return loaded.admitted.descriptor.version


def fetch(loader: BackgroundLoader, count: int) -> list[Loaded]:
    """The next `count` things that were loaded."""
    found: list[Loaded] = []

    def enough() -> bool:
        found.extend(loader.loaded())
        return len(found) >= count

    wait_until(enough, describe=lambda: f"{len(found)} of {count} were loaded")
    assert len(found) == count
    return found


def test_a_model_is_loaded_and_fetched_once(loader: BackgroundLoader, loads: Loads) -> None:
    assert loader.loaded() == []
    loader.submit(admitted(0))
    (loaded,) = fetch(loader, 1)
    assert (version(loaded), loads.begun, loads.closed) == ("wine-0", ["wine-0"], [])
    assert loader.loaded() == []


def test_the_caller_does_not_wait(loader: BackgroundLoader, loads: Loads) -> None:
    loads.hold("wine-0")
    loader.submit(admitted(0))
    wait_until(lambda: loads.begun)
    assert loader.loaded() == []
    loads.release("wine-0")
    assert [version(loaded) for loaded in fetch(loader, 1)] == ["wine-0"]


def test_of_what_waits_the_newest_of_each_data_type_is_loaded(loader: BackgroundLoader, loads: Loads) -> None:
    loads.hold("wine-0")
    loader.submit(admitted(0))
    wait_until(lambda: loads.begun)
    for offset, data_type in ((1, "wine"), (2, "beer"), (3, "wine"), (4, "beer")):
        loader.submit(admitted(offset, data_type))
    loads.release("wine-0")
    assert [version(loaded) for loaded in fetch(loader, 3)] == ["wine-0", "wine-3", "beer-4"]
    assert loads.begun == ["wine-0", "wine-3", "beer-4"]


def test_a_model_that_does_not_load_is_a_fault(loader: BackgroundLoader, loads: Loads) -> None:
    loads.failing = {"wine-0"}
    loader.submit(admitted(0))
    (loaded,) = fetch(loader, 1)
    assert loaded.fault is not None
    assert (loaded.servable, loaded.fault.reason) == (None, Reason.UNLOADABLE)


def test_whatever_a_loader_raises_the_thread_goes_on() -> None:
    loads = Loads()

    def load(model: AdmittedModel) -> Servable:
        if model.descriptor.version == "wine-0":
            raise ZeroDivisionError("odd")
        return loads(model)

    loader = BackgroundLoader(load, LIMIT_S)
    loader.submit(admitted(0))
    (loaded,) = fetch(loader, 1)
    assert loaded.fault is not None
    assert "ZeroDivisionError: odd" in loaded.fault.detail
    loader.submit(admitted(1))
    assert [version(loaded) for loaded in fetch(loader, 1)] == ["wine-1"]
    loader.close()


class TestHungLoad:
    """A load that takes longer than the limit."""

    def test_it_is_given_up_and_another_goes_on(self, loader: BackgroundLoader, loads: Loads, clock: Clock) -> None:
        loads.hold("wine-0")
        loader.submit(admitted(0))
        wait_until(lambda: loads.begun)
        loader.submit(admitted(1, "beer"))
        clock.now_s += LIMIT_S
        assert loader.loaded() == []
        assert loads.begun == ["wine-0"]
        clock.now_s += 1
        hung, other = fetch(loader, 2)
        assert (version(hung), version(other)) == ("wine-0", "beer-1")
        assert hung.fault is not None
        assert hung.fault.reason == Reason.FAILED_GATE
        assert "60 s" in hung.fault.detail

    def test_what_comes_of_it_later_is_closed(self, loader: BackgroundLoader, loads: Loads, clock: Clock) -> None:
        loads.hold("wine-0")
        loader.submit(admitted(0))
        wait_until(lambda: loads.begun)
        clock.now_s += LIMIT_S + 1
        assert [version(loaded) for loaded in fetch(loader, 1)] == ["wine-0"]
        loads.release("wine-0")
        wait_until(lambda: loads.closed == ["wine-0"])
        loader.submit(admitted(1))
        assert [version(loaded) for loaded in fetch(loader, 1)] == ["wine-1"]
        assert loads.closed == ["wine-0"]

    def test_one_after_the_other(self, loader: BackgroundLoader, loads: Loads, clock: Clock) -> None:
        for offset in range(3):
            loads.hold(f"wine-{offset}")
            loader.submit(admitted(offset))
            wait_until(lambda offset=offset: f"wine-{offset}" in loads.begun)  # type: ignore[misc]
            clock.now_s += LIMIT_S + 1
            assert [version(loaded) for loaded in fetch(loader, 1)] == [f"wine-{offset}"]
        loads.release()
        wait_until(lambda: sorted(loads.closed) == ["wine-0", "wine-1", "wine-2"])

    def test_the_same_model_may_be_tried_again(self, loader: BackgroundLoader, loads: Loads, clock: Clock) -> None:
        loads.hold("wine-0")
        loader.submit(admitted(0))
        wait_until(lambda: loads.begun)
        clock.now_s += LIMIT_S + 1
        fetch(loader, 1)
        loads.hold()
        loader.submit(admitted(0))
        wait_until(lambda: loads.begun == ["wine-0", "wine-0"])
        loads.release()
        (loaded,) = fetch(loader, 1)
        assert loaded.servable is not None
        wait_until(lambda: loads.closed == ["wine-0"])

    def test_who_waits_for_it_goes_on(self, loads: Loads) -> None:
        loads.hold("wine-0")
        seconds = itertools.count()
        loader = BackgroundLoader(loads, 3, lambda: next(seconds))
        loader.submit(admitted(0))
        loader.wait("wine")
        (loaded,) = loader.loaded()
        assert loaded.fault is not None
        loader.close()

    def test_what_is_discarded_meanwhile_is_closed(self, loader: BackgroundLoader, loads: Loads, clock: Clock) -> None:
        loader.submit(admitted(0))
        loader.submit(admitted(1, "beer"))
        old, older = (loaded.servable for loaded in fetch(loader, 2))
        assert old is not None
        assert older is not None
        loads.hold("wine-2")
        loader.discard(older)
        loader.submit(admitted(2))
        wait_until(lambda: loads.closed == ["beer-1"])
        wait_until(lambda: "wine-2" in loads.begun)
        loader.discard(old)
        clock.now_s += LIMIT_S + 1
        fetch(loader, 1)
        wait_until(lambda: loads.closed == ["beer-1", "wine-0"])


class TestWait:
    """Waiting for the models of a data type."""

    def test_for_nothing(self, loader: BackgroundLoader, loads: Loads) -> None:
        loader.wait("wine")
        loads.hold("beer-0")
        loader.submit(admitted(0, "beer"))
        wait_until(lambda: loads.begun)
        loader.wait("wine")

    def test_until_the_newest_is_loaded(self, loader: BackgroundLoader) -> None:
        for offset in range(3):
            loader.submit(admitted(offset))
        loader.wait("wine")
        assert version(loader.loaded()[-1]) == "wine-2"

    def test_what_is_waited_for_goes_first(self, loads: Loads) -> None:
        loads.hold("wine-0")
        waiting = False

        def clock_s() -> float:
            if waiting:
                loads.release("wine-0")
            return 0.0

        loader = BackgroundLoader(loads, LIMIT_S, clock_s)
        loader.submit(admitted(0))
        wait_until(lambda: loads.begun)
        loader.submit(admitted(1, "beer"))
        loader.submit(admitted(2, "cider"))
        waiting = True
        loader.wait("cider")
        assert loads.begun[:2] == ["wine-0", "cider-2"]
        assert [version(loaded) for loaded in fetch(loader, 3)] == ["wine-0", "cider-2", "beer-1"]
        loader.close()


class TestClose:
    """The end."""

    def test_what_was_not_fetched_is_closed(self, loader: BackgroundLoader, loads: Loads) -> None:
        loader.submit(admitted(0))
        loader.wait("wine")
        loader.close()
        assert loads.closed == ["wine-0"]
        assert loader.loaded() == []

    def test_what_is_being_loaded_is_closed_when_it_is(self, loader: BackgroundLoader, loads: Loads) -> None:
        loads.hold("wine-0")
        loader.submit(admitted(0))
        wait_until(lambda: loads.begun)
        loader.submit(admitted(1))
        loader.close()
        loads.release()
        wait_until(lambda: loads.closed == ["wine-0"])
        assert (loader.loaded(), loads.begun) == ([], ["wine-0"])

    def test_before_anything_was_loaded(self, loader: BackgroundLoader) -> None:
        loader.close()
        loader.close()


@settings(max_examples=60)
@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("submit"), st.sampled_from(["wine", "beer"]), st.sampled_from(["good", "bad", "held"])),
            st.sampled_from([("fetch",), ("wait",), ("time passes",), ("release",)]),
        ),
        max_size=20,
    ),
    fetch_the_rest=st.booleans(),
)
def test_in_any_order_the_newest_is_loaded_and_everything_is_closed_once(
    steps: list[tuple[str, ...]], fetch_the_rest: bool
) -> None:
    loads, clock = Loads(), Clock()
    loader = BackgroundLoader(loads, LIMIT_S, clock)
    asked: dict[str, str] = {}
    told: dict[str, str] = {}

    def take() -> None:
        for loaded in loader.loaded():
            told[loaded.admitted.descriptor.dataType] = version(loaded)
            if loaded.servable is not None:
                loader.discard(loaded.servable)

    for offset, step in enumerate(steps):
        match step:
            case ("submit", data_type, how):
                model = admitted(offset, data_type)
                asked[data_type] = name = model.descriptor.version
                if how == "bad":
                    loads.failing.add(name)
                elif how == "held":
                    loads.hold(name)
                loader.submit(model)
            case ("fetch",):
                take()
            case ("wait",):
                loads.release()
                for data_type in asked:
                    loader.wait(data_type)
            case ("time passes",):
                clock.now_s += LIMIT_S + 1
            case ("release",):
                loads.release()
    loads.release()
    if fetch_the_rest:
        for data_type in asked:
            loader.wait(data_type)
        take()
        assert told == asked
    loader.close()
    wait_until(lambda: len(loads.closed) == len(loads.made) and all_ended(loads))
    assert Counter(loads.closed) == Counter(servable.version for servable in loads.made)
    assert len(loads.closed) == len(set(loads.closed)), "no version is loaded twice here"


def all_ended(loads: Loads) -> bool:
    """Whether every load that was begun has made its servable or failed."""
    return len(loads.begun) == len(loads.made) + sum(name in loads.failing for name in loads.begun)

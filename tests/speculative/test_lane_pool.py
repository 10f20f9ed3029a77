"""The models of a lane: versions follow each other without a gap, and a model that is not there says so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from modelserving.speculative.lane_models import LaneModel, MadeInThread
from modelserving.speculative.lane_pool import LINGER_S, RETRY_AFTER_S, LanePool
from modelserving.speculative.tasks import Answered, LaneCounts, LaneLimits, Task
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import EventKind
from modelserving.wire.speculative_pb2 import VoteState
from modelserving.wire.state_pb2 import AdmittedModel, Retirement
from tests.speculative.cases import DEADLINE_US, Clock
from tests.speculative.models import Model, batch
from tests.waiting import LIMIT_S, wait_until

NAME = ("wine", "smart")
OTHER = ("wine", "fast")


def admitted(offset: int, name: str = "smart") -> AdmittedModel:
    descriptor = ModelDescriptor(
        name=name, dataType="wine", version=str(offset), sha256="0" * 64, data=b"bytes", metrics={"accuracy": 0.5}
    )
    return AdmittedModel(offset=offset, descriptor=descriptor)


def task(name: str = "r", rows: int = 1) -> Task:
    return Task(name, np.arange(rows, dtype=np.int32), batch(rows), DEADLINE_US)


class Made:
    """What models are made of, by offset; the faulty ones cannot be."""

    def __init__(self) -> None:
        self.models: dict[int, Model] = {}
        self.faulty: set[int] = set()
        self.held: set[int] = set()
        self.slow = threading.Event()  # until then none is made that is not faulty
        self.slow.set()

    def __call__(self, model: AdmittedModel) -> LaneModel:
        def make() -> Model:
            if model.offset in self.faulty:
                raise ValueError("no room")
            assert self.slow.wait(LIMIT_S)
            made = self.models[model.offset] = Model(plus=float(model.offset), held=model.offset in self.held)
            return made

        return MadeInThread(make)


class Site:
    """A pool under test."""

    def __init__(self) -> None:
        self.clock, self.made = Clock(), Made()
        self.pool = LanePool("lane-1 1/1", "models", self.made, LaneLimits(), self.clock)
        self.events: list[tuple[str, str]] = []
        self.details: list[str] = []

    def poll(self) -> list[Answered]:
        found = self.pool.poll()
        for event in self.pool.take_events():
            self.events.append((EventKind.Name(event.kind), event.model_version))
            self.details.append(event.detail)
        return found

    def settle(self, *events: tuple[str, str]) -> None:
        """Until these events have been told, and no others."""

        def told() -> bool:
            assert self.poll() == []
            return len(self.events) >= len(events)

        wait_until(told, describe=lambda: f"{self.events}")
        assert self.events == list(events)
        self.events.clear()

    def ask(self, name: tuple[str, str] = NAME, deadline_us: int = DEADLINE_US) -> Answered:
        """The answer to a task."""
        self.pool.offer(name, replace(task(), deadline_us=deadline_us))
        return self.answer()

    def answer(self) -> Answered:
        found: list[Answered] = []

        def came() -> bool:
            found.extend(self.poll())
            return bool(found)

        wait_until(came)
        (answered,) = found
        return answered


@pytest.fixture
def site() -> Iterator[Site]:
    opened = Site()
    yield opened
    for model in opened.made.models.values():
        model.released.set()
    opened.pool.close()


def by(answered: Answered) -> tuple[str, float]:
    """Version and answer."""
    assert answered.votes.states.tolist() == [VoteState.ANSWERED]
    assert answered.votes.version is not None
    assert answered.votes.numbers is not None
    return answered.votes.version.version, float(answered.votes.numbers[0])


def test_a_model_is_loaded_and_answers(site: Site) -> None:
    site.pool.aspire(NAME, [admitted(1)])
    site.settle(("LOADING", "1"), ("SERVING", "1"))
    answered = site.ask()
    assert (answered.request, answered.votes.model, dict(answered.votes.metrics)) == ("r", "smart", {"accuracy": 0.5})
    assert by(answered) == ("1", 1.0)
    assert site.pool.take_counts() == LaneCounts(offered=1, answered=1)
    assert site.pool.take_counts() == LaneCounts()


def test_a_model_that_is_not_there_says_so_at_once(site: Site) -> None:
    site.pool.offer(NAME, task(rows=2))
    (answered,) = site.poll()
    assert answered.votes.states.tolist() == [VoteState.NO_SUCH_MODEL] * 2
    assert "no model 'smart' of data type 'wine' is served" in answered.votes.detail


def test_while_it_is_not_known_which_models_there_are_tasks_wait(site: Site) -> None:
    site.pool.is_learning = True
    late = replace(task("late"), deadline_us=DEADLINE_US + 1)
    for each in (task("expires"), *[late] * (LaneLimits().queue - 1), task("too many")):
        site.pool.offer(NAME, each)
    site.pool.offer(OTHER, late)
    (answered,) = site.poll()
    assert (answered.request, answered.votes.states.tolist()) == ("too many", [VoteState.STILL_LOADING])
    site.clock.now_us = DEADLINE_US
    (answered,) = site.poll()
    assert (answered.request, answered.votes.states.tolist()) == ("expires", [VoteState.NOT_LOADED])
    site.pool.aspire(NAME, [admitted(1)])
    found: list[Answered] = []
    wait_until(lambda: found.extend(site.poll()) or len(found) == LaneLimits().queue - 1)  # type: ignore[func-returns-value]
    assert {by(each) for each in found} == {("1", 1.0)}
    site.pool.is_learning = False
    (answered,) = site.poll()
    assert (answered.votes.model, answered.votes.states.tolist()) == ("fast", [VoteState.NO_SUCH_MODEL])
    queue = LaneLimits().queue
    assert site.pool.take_counts() == LaneCounts(offered=queue + 1, answered=queue - 1, shed=1, expired=1)


def test_the_one_before_answers_until_the_next_is_ready_and_then_leaves(site: Site) -> None:
    site.pool.aspire(NAME, [admitted(1)])
    site.settle(("LOADING", "1"), ("SERVING", "1"))
    site.made.models[1].released.clear()
    site.pool.offer(NAME, task("held"))
    site.pool.aspire(NAME, [admitted(2), admitted(1)])
    site.settle(("LOADING", "2"), ("REPLACED", "1"), ("SERVING", "2"))
    assert by(site.ask()) == ("2", 2.0)
    assert not site.made.models[1].closed
    site.made.models[1].released.set()
    answered = site.answer()
    assert (answered.request, *by(answered)) == ("held", "1", 1.0)
    wait_until(lambda: bool(site.made.models[1].closed))
    assert site.pool.take_counts() == LaneCounts(offered=2, answered=2)


def test_a_version_that_cannot_be_loaded_leaves_the_one_before_and_is_tried_again(site: Site) -> None:
    site.pool.aspire(NAME, [admitted(1)])
    site.settle(("LOADING", "1"), ("SERVING", "1"))
    site.made.faulty.add(2)
    site.pool.aspire(NAME, [admitted(2), admitted(1)])
    site.settle(("LOADING", "2"), ("LOAD_FAILED", "2"))
    assert "no room" in site.details[-1]
    assert by(site.ask()) == ("1", 1.0)
    site.made.faulty.clear()
    site.clock.now_us += int(RETRY_AFTER_S * 1e6)
    site.settle(("LOADING", "2"), ("REPLACED", "1"), ("SERVING", "2"))


def test_after_a_restart_the_last_good_version_takes_the_place_of_one_that_cannot_be_loaded(site: Site) -> None:
    site.made.faulty.add(2)
    site.pool.aspire(NAME, [admitted(2), admitted(1)])
    site.settle(("LOADING", "2"), ("LOAD_FAILED", "2"), ("LOADING", "1"), ("SERVING", "1"))
    assert by(site.ask()) == ("1", 1.0)


def test_a_last_good_version_that_takes_long_to_load_is_let(site: Site) -> None:
    site.made.faulty.add(2)
    site.made.slow.clear()
    site.pool.aspire(NAME, [admitted(2), admitted(1)])
    site.settle(("LOADING", "2"), ("LOAD_FAILED", "2"), ("LOADING", "1"))
    site.clock.now_us += int(RETRY_AFTER_S * 1e6)
    assert site.poll() == []
    assert site.events == []
    site.made.slow.set()
    site.settle(("SERVING", "1"), ("LOADING", "2"), ("LOAD_FAILED", "2"))
    assert by(site.ask(deadline_us=site.clock.now_us + 1)) == ("1", 1.0)


def test_a_retired_version_does_not_answer_for_one_that_cannot_be_loaded(site: Site) -> None:
    site.pool.aspire(NAME, [admitted(2)])
    site.settle(("LOADING", "2"), ("SERVING", "2"))
    site.made.faulty.add(1)
    site.pool.aspire(NAME, [admitted(1)], Retirement(name="smart", version="2", serving=1))
    assert by(site.ask()) == ("2", 2.0), "until it is known whether another one can"
    site.settle(("LOADING", "1"), ("LOAD_FAILED", "1"), ("REPLACED", "2"))
    answered = site.ask()
    assert answered.votes.states.tolist() == [VoteState.FAILED]
    assert "no room" in answered.votes.failures[0].detail


def test_where_nothing_can_be_loaded_votes_say_why_and_it_is_tried_again(site: Site) -> None:
    site.made.faulty.add(1)
    site.pool.aspire(NAME, [admitted(1)])
    site.settle(("LOADING", "1"), ("LOAD_FAILED", "1"))
    answered = site.ask()
    assert answered.votes.states.tolist() == [VoteState.FAILED]
    assert "no room" in answered.votes.failures[0].detail
    site.made.faulty.clear()
    assert by(site.ask()) == ("1", 1.0)
    site.settle(("SERVING", "1"))


def test_one_that_is_wanted_no_more_answers_what_it_has_and_is_closed(site: Site) -> None:
    site.pool.aspire(NAME, [admitted(1)])
    site.settle(("LOADING", "1"), ("SERVING", "1"))
    site.made.models[1].released.clear()
    site.pool.offer(NAME, task("held"))
    site.pool.aspire(NAME, [])
    site.settle(("REPLACED", "1"))
    assert site.ask().votes.states.tolist() == [VoteState.NO_SUCH_MODEL]
    site.made.models[1].released.set()
    assert site.answer().request == "held"
    wait_until(lambda: bool(site.made.models[1].closed))


def test_one_that_no_policy_asks_any_more_answers_what_is_on_its_way(site: Site) -> None:
    site.pool.aspire(NAME, [admitted(1)])
    site.settle(("LOADING", "1"), ("SERVING", "1"))
    site.pool.drop(NAME)
    site.settle(("REPLACED", "1"))
    site.clock.now_us += int(LINGER_S * 1e6) - 1
    assert by(site.ask(deadline_us=site.clock.now_us + 1000)) == ("1", 1.0)
    site.clock.now_us += 1
    assert site.ask().votes.states.tolist() == [VoteState.NO_SUCH_MODEL]
    wait_until(lambda: bool(site.made.models[1].closed))


def test_one_that_is_asked_again_answers_meanwhile(site: Site) -> None:
    site.pool.aspire(NAME, [admitted(1)])
    site.settle(("LOADING", "1"), ("SERVING", "1"))
    site.pool.drop(NAME)
    site.made.faulty.add(2)
    site.pool.aspire(NAME, [admitted(2)])
    site.settle(("REPLACED", "1"), ("LOADING", "2"), ("LOAD_FAILED", "2"))
    assert by(site.ask()) == ("1", 1.0)


def test_one_that_is_asked_again_soon_is_not_loaded_again(site: Site) -> None:
    site.pool.aspire(NAME, [admitted(1)])
    site.settle(("LOADING", "1"), ("SERVING", "1"))
    site.pool.drop(NAME)
    site.pool.aspire(NAME, [admitted(1)])
    site.settle(("REPLACED", "1"), ("SERVING", "1"))
    site.clock.now_us += int(LINGER_S * 1e6)
    assert site.poll() == []
    assert by(site.ask(deadline_us=site.clock.now_us + 1)) == ("1", 1.0)
    assert not site.made.models[1].closed


def test_the_version_that_answers_said_again_is_no_news(site: Site) -> None:
    site.pool.aspire(NAME, [admitted(1)])
    site.settle(("LOADING", "1"), ("SERVING", "1"))
    site.pool.aspire(NAME, [admitted(1)])
    site.settle()


def test_models_of_a_lane_do_not_wait_for_each_other(site: Site) -> None:
    site.pool.aspire(NAME, [admitted(1)])
    site.settle(("LOADING", "1"), ("SERVING", "1"))
    site.pool.aspire(OTHER, [admitted(2, "fast")])
    site.settle(("LOADING", "2"), ("SERVING", "2"))
    site.made.models[1].released.clear()
    site.pool.offer(NAME, task("held"))
    wait_until(lambda: bool(site.made.models[1].asked))
    answers: list[tuple[str, float]] = [by(site.ask(OTHER)) for _ in range(3)]
    assert answers == [("2", 2.0)] * 3

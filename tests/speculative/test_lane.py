"""Lanes: each task is answered once, whatever the model does, and nobody waits for it."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa
import pytest

from modelserving.servable import Scores
from modelserving.speculative.answering import answer
from modelserving.speculative.lane import Lane
from modelserving.speculative.lane_models import InThread, LaneModel
from modelserving.speculative.tasks import Answered, LaneCounts, LaneLimits, Task
from modelserving.speculative.votes import ModelVotes
from modelserving.wire.speculative_pb2 import VoteState
from tests.speculative.cases import DEADLINE_US, NOW_US, Clock, version
from tests.speculative.models import Model, batch, failing
from tests.waiting import LIMIT_S, wait_until

Open = Callable[..., Lane]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lanes(clock: Clock) -> Iterator[Open]:
    """Opens lanes that are closed after the test."""
    opened: list[Lane] = []

    def open_lane(model: Model | LaneModel, queue: int = 2, answer_s: float = 60.0) -> Lane:
        asked = InThread(model) if isinstance(model, Model) else model
        limits = LaneLimits(queue, answer_s)
        opened.append(Lane("m", asked, version("m"), {"accuracy": 0.5}, limits=limits, clock_us=clock))
        return opened[-1]

    yield open_lane
    for lane in opened:
        lane.close()


def task(name: str, rows: int = 1, deadline_us: int = DEADLINE_US) -> Task:
    return Task(name, np.arange(10, 10 + rows, dtype=np.int32), batch(rows), deadline_us)


def fetch(lane: Lane, count: int = 1) -> list[Answered]:
    """The next answers, so many and no more."""
    found: list[Answered] = []

    def enough() -> bool:
        found.extend(lane.poll())
        return len(found) >= count

    wait_until(enough, describe=lambda: f"{len(found)} of {count} answers")
    assert len(found) == count
    return found


def states(answers: list[Answered]) -> list[tuple[str, int]]:
    return [(each.request, int(each.votes.states[0])) for each in answers]


def test_a_task_is_answered(lanes: Open, clock: Clock) -> None:
    model = Model(plus=1.0)
    lane = lanes(model)
    lane.offer(task("t", 3))
    (answered,) = fetch(lane)
    votes = answered.votes
    assert (answered.request, votes.model, votes.version) == ("t", "m", version("m"))
    assert (votes.rows.tolist(), votes.metrics) == ([10, 11, 12], {"accuracy": 0.5})
    assert votes.numbers is not None
    assert votes.numbers.tolist() == [1.0, 2.0, 3.0]
    assert (votes.taken_us, votes.score_us) == (0, 0)  # the clock stands
    assert lane.poll() == []
    assert lane.is_idle
    assert lane.is_ready
    assert lane.counts == LaneCounts(offered=1, answered=1)
    assert clock.now_us == NOW_US


def test_times(lanes: Open, clock: Clock) -> None:
    held = Model(held=True)
    lane = lanes(held)
    lane.offer(task("first"))
    wait_until(lambda: held.asked)
    clock.now_us += 100
    lane.offer(task("second"))
    clock.now_us += 1000
    held.released.set()
    first, second = (each.votes for each in fetch(lane, 2))
    assert (first.taken_us, first.score_us) == (1100, 1100)
    assert (second.taken_us, second.score_us) == (1000, 0)


def test_a_full_queue_sheds(lanes: Open) -> None:
    held = Model(held=True)
    lane = lanes(held, queue=2)
    lane.offer(task("runs"))
    wait_until(lambda: held.asked)
    for name in ("waits", "waits too", "shed"):
        lane.offer(task(name))
    assert states(lane.poll()) == [("shed", VoteState.SHED)]
    held.released.set()
    assert [name for name, _ in states(fetch(lane, 3))] == ["runs", "waits", "waits too"]
    assert lane.counts == LaneCounts(offered=4, answered=3, shed=1)


def test_what_is_past_its_deadline_is_dropped_before_the_model_is_asked(lanes: Open, clock: Clock) -> None:
    held = Model(held=True)
    lane = lanes(held, queue=3)
    lane.offer(task("runs"))
    wait_until(lambda: held.asked)
    lane.offer(task("later", deadline_us=DEADLINE_US + 1))
    lane.offer(task("dropped"))
    clock.now_us = DEADLINE_US
    assert states(lane.poll()) == [("dropped", VoteState.EXPIRED)]  # though the model hangs
    held.released.set()
    assert states(fetch(lane, 2)) == [("runs", VoteState.ANSWERED), ("later", VoteState.ANSWERED)]
    assert lane.counts == LaneCounts(offered=3, answered=2, expired=1)
    assert len(held.asked) == 2


def test_expired_tasks_make_room(lanes: Open, clock: Clock) -> None:
    held = Model(held=True)
    lane = lanes(held, queue=1)
    lane.offer(task("runs"))
    wait_until(lambda: held.asked)
    lane.offer(task("expires"))
    clock.now_us = DEADLINE_US
    lane.offer(task("waits", deadline_us=DEADLINE_US + 1))
    held.released.set()
    assert [name for name, _ in states(fetch(lane, 3))] == ["expires", "runs", "waits"]


class Takes:
    """Takes so long for a task, by the clock."""

    def __init__(self, clock: Clock, us: int) -> None:
        self.began = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.us = us
        self._clock = clock

    def prepare(self) -> None:
        """Nothing to do."""

    def answer(self, asked: pa.RecordBatch, within_s: float) -> list[ModelVotes]:
        self.began.release()
        assert self.may_end.acquire(timeout=LIMIT_S)
        self._clock.now_us += self.us
        return answer(Model().score, asked, lambda: within_s <= 0)

    def interrupt(self, final: bool) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to free."""


def ask(lane: Lane, takes: Takes, name: str, left_us: int) -> None:
    """Have the model begin with a task."""
    lane.offer(task(name, deadline_us=NOW_US + left_us))
    assert takes.began.acquire(timeout=LIMIT_S)


def test_what_the_model_would_answer_too_late_makes_way_for_what_it_can_answer(lanes: Open, clock: Clock) -> None:
    takes = Takes(clock, 60_000)
    lane = lanes(takes, queue=8)
    ask(lane, takes, "first", 100_000)
    takes.may_end.release()
    ask(lane, takes, "second", 200_000)
    lane.offer(task("no time", deadline_us=NOW_US + 179_000))
    lane.offer(task("third", deadline_us=NOW_US + 190_000))
    takes.may_end.release(2)
    assert sorted(states(fetch(lane, 4))) == [
        ("first", VoteState.ANSWERED),
        ("no time", VoteState.EXPIRED),
        ("second", VoteState.ANSWERED),
        ("third", VoteState.ANSWERED),
    ]
    assert lane.counts == LaneCounts(offered=4, answered=3, expired=1)


def test_one_slow_answer_drops_nothing(lanes: Open, clock: Clock) -> None:
    takes = Takes(clock, 1_000)
    lane = lanes(takes, queue=8)
    ask(lane, takes, "first", 100_000)
    takes.us = 60_000
    takes.may_end.release()
    assert states(fetch(lane)) == [("first", VoteState.ANSWERED)]
    takes.us = 1_000
    ask(lane, takes, "second", 100_000)
    lane.offer(task("third", deadline_us=NOW_US + 100_000))
    lane.offer(task("fourth", deadline_us=NOW_US + 101_000))
    takes.may_end.release(3)
    assert {state for _, state in states(fetch(lane, 3))} == {VoteState.ANSWERED}


def test_where_there_is_time_for_none_the_one_with_most_is_asked(lanes: Open, clock: Clock) -> None:
    takes = Takes(clock, 60_000)
    lane = lanes(takes, queue=8)
    for name, left_us in (("first", 70_000), ("second", 125_000)):
        ask(lane, takes, name, left_us)
        if name == "first":
            takes.may_end.release()
    lane.offer(task("most", deadline_us=NOW_US + 150_000))
    lane.offer(task("less", deadline_us=NOW_US + 140_000))
    takes.us = 5_000
    takes.may_end.release(3)
    # After 60 and 5 ms there is time again.
    assert states(fetch(lane, 4)) == [(name, VoteState.ANSWERED) for name in ("first", "second", "most", "less")]


def test_a_task_that_comes_past_its_deadline(lanes: Open, clock: Clock) -> None:
    model = Model()
    lane = lanes(model)
    clock.now_us = DEADLINE_US
    lane.offer(task("late"))
    assert states(fetch(lane)) == [("late", VoteState.EXPIRED)]
    assert not model.asked


class Slow:
    """A lane's model that is made as slowly as the test says, each time that it is made."""

    def __init__(self) -> None:
        self.made = 0
        self.interrupted = 0
        self.gone = False
        self.waits = False
        self.released = threading.Event()

    def prepare(self) -> None:
        if self.made and not self.gone:
            return
        self.waits = not self.released.is_set()
        assert self.released.wait(LIMIT_S)
        self.made += 1
        self.gone = False

    def answer(self, asked: pa.RecordBatch, within_s: float) -> list[ModelVotes]:
        return answer(Model().score, asked, lambda: within_s <= 0)

    def interrupt(self, final: bool) -> None:
        self.interrupted += not final

    def close(self) -> None:
        """Nothing to free."""


def test_while_the_model_is_being_loaded_votes_say_so(lanes: Open, clock: Clock) -> None:
    slow = Slow()
    lane = lanes(slow, queue=2)
    for name in ("expires", "waits", "too many"):
        lane.offer(task(name, deadline_us=DEADLINE_US + (name == "waits")))
    assert states(lane.poll()) == [("too many", VoteState.STILL_LOADING)]
    clock.now_us = DEADLINE_US
    assert states(lane.poll()) == [("expires", VoteState.NOT_LOADED)]
    slow.released.set()
    (answered,) = fetch(lane)
    assert states([answered]) == [("waits", VoteState.ANSWERED)]
    assert answered.votes.taken_us == 0, "it waited until the model was loaded"
    clock.now_us += 1
    lane.offer(task("late"))
    assert states(fetch(lane)) == [("late", VoteState.EXPIRED)]


def test_a_model_that_does_not_return_is_given_up(lanes: Open, clock: Clock) -> None:
    held = Model(held=True)
    lane = lanes(held, answer_s=5.0)
    lane.offer(task("hangs"))
    wait_until(lambda: held.asked)
    clock.now_us += 5_000_000
    assert lane.poll() == []
    clock.now_us += 1
    (answered,) = lane.poll()
    assert states([answered]) == [("hangs", VoteState.FAILED)]
    assert answered.votes.detail == "it did not answer within 5 s"
    # Once it returns after all, its answer is passed over, and it is asked again.
    lane.offer(task("next", deadline_us=clock.now_us + 1))
    held.released.set()
    assert states(fetch(lane)) == [("next", VoteState.ANSWERED)]
    assert lane.counts == LaneCounts(offered=2, answered=1, given_up=1)


def test_a_model_that_never_returns_blocks_nobody(lanes: Open) -> None:
    held = Model(held=True)
    lane = lanes(held)
    lane.offer(task("hangs"))
    wait_until(lambda: held.asked)
    lane.offer(task("waits"))
    lane.close()
    assert states(lane.poll()) == [("hangs", VoteState.LANE_ENDED), ("waits", VoteState.LANE_ENDED)]
    assert not lane.join(0.0)
    held.released.set()
    assert lane.join(LIMIT_S)
    assert held.closed == 1
    assert lane.poll() == []


def test_closing_closes_the_model_once(lanes: Open) -> None:
    model = Model()
    lane = lanes(model)
    lane.close()
    lane.close()
    assert lane.join(LIMIT_S)
    assert model.closed == 1
    lane.offer(task("too late"))
    assert states(lane.poll()) == [("too late", VoteState.LANE_ENDED)]


def test_a_function_that_raises(clock: Clock) -> None:
    lane = Lane("m", InThread(failing), clock_us=clock)
    lane.offer(task("t"))
    (answered,) = fetch(lane)
    assert states([answered]) == [("t", VoteState.FAILED)]
    assert answered.votes.failures[0].detail == "the model raised ValueError: no"
    lane.close()
    assert lane.join(LIMIT_S)


def test_a_model_that_is_made_anew_may_take_longer_than_an_answer(lanes: Open, clock: Clock) -> None:
    slow = Slow()
    slow.released.set()
    lane = lanes(slow, answer_s=5.0)
    wait_until(lambda: lane.is_ready)
    slow.released.clear()
    slow.gone = True  # as one whose process has ended
    lane.offer(task("expires"))
    wait_until(lambda: slow.waits)
    lane.offer(task("waits", deadline_us=clock.now_us + 3600_000_000))
    clock.now_us += 60_000_000
    assert states(lane.poll()) == [("expires", VoteState.EXPIRED)]
    assert slow.interrupted == 0
    slow.released.set()
    assert states(fetch(lane)) == [("waits", VoteState.ANSWERED)]
    assert (slow.made, lane.counts.given_up) == (2, 0)


class Odd:
    """A lane's model that is not as it should be."""

    def __init__(self, fault: str = "", kind: type[BaseException] = OSError) -> None:
        self.fault = fault
        self.kind = kind

    def prepare(self) -> None:
        if self.fault:
            raise self.kind(self.fault)

    def answer(self, asked: pa.RecordBatch, within_s: float) -> list[ModelVotes]:
        raise self.kind(f"{asked.num_rows} in {within_s:g}")

    def interrupt(self, final: bool) -> None:
        """Nothing to end."""

    def close(self) -> None:
        raise self.kind("not closed")


@pytest.mark.parametrize("kind", [OSError, SystemExit])
@pytest.mark.parametrize(("fault", "told"), [("not ready", "not ready"), ("", "2 in 0.05")])
def test_whatever_is_raised_the_thread_goes_on(lanes: Open, fault: str, told: str, kind: type[BaseException]) -> None:
    lane = lanes(Odd(fault, kind))
    for name in ("one", "two"):
        lane.offer(task(name, 2))
        (answered,) = fetch(lane)
        assert states([answered]) == [(name, VoteState.FAILED)]
        assert [each.detail for each in answered.votes.failures] == [told] * 2
    assert lane.is_ready == (not fault)
    lane.close()
    assert lane.join(LIMIT_S)


def test_it_tells_when_there_is_something_to_poll(clock: Clock) -> None:
    told = threading.Semaphore(0)
    held = Model(held=True)
    lane = Lane("m", InThread(held), limits=LaneLimits(queue=0), clock_us=clock, on_answer=told.release)
    assert told.acquire(timeout=LIMIT_S)  # it is loaded
    assert lane.is_ready
    lane.offer(task("shed"))
    assert told.acquire(blocking=False)
    assert states(lane.poll()) == [("shed", VoteState.SHED)]
    lane.close()
    held.released.set()


@pytest.mark.parametrize("seed", range(3))
def test_each_task_is_answered_once(seed: int, clock: Clock) -> None:
    """Whatever happens: answers, failures, deadlines, full queues, models that are given up, and the end."""
    chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret

    def score(asked: pa.RecordBatch) -> Scores:
        clock.now_us += chance.randrange(3_000)
        if chance.random() < 0.2:
            raise ValueError("no")
        return Scores(asked.num_rows, numbers=np.zeros(asked.num_rows))

    limits = LaneLimits(queue=3, answer_s=0.002)
    lane = Lane("m", InThread(score), limits=limits, clock_us=clock)
    rows: Counter[tuple[str, int]] = Counter()

    def take() -> None:
        for answered in lane.poll():
            rows.update((answered.request, row) for row in answered.votes.rows.tolist())

    for number in range(200):
        lane.offer(task(str(number), chance.randrange(1, 4), clock.now_us + chance.randrange(5_000)))
        if chance.random() < 0.5:
            take()
        if chance.random() < 0.2:
            wait_until(lambda: take() or lane.is_idle)  # type: ignore[func-returns-value]
    lane.close()
    take()
    assert set(rows.values()) == {1}
    assert {name for name, _ in rows} == {str(number) for number in range(200)}
    assert lane.join(LIMIT_S)
    assert lane.poll() == []
    counts = lane.counts
    assert counts.offered == 200
    assert counts.answered + counts.shed + counts.expired + counts.given_up <= 200

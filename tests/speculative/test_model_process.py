"""Models in a process of their own: they may hold Python's lock, end their process, or never return."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pyarrow as pa
import pytest

from modelserving.errors import ModelServingError
from modelserving.servable import Scores
from modelserving.speculative.lane import Lane
from modelserving.speculative.model_process import RETRY_AFTER_S, InProcess
from modelserving.speculative.tasks import LaneLimits, Task
from modelserving.wire.speculative_pb2 import VoteState
from tests.speculative import own
from tests.speculative.models import batch
from tests.speculative.test_lane import fetch
from tests.waiting import LIMIT_S, wait_until

FAR_US = 2**62
START = Callable[..., InProcess]


class Clock:
    """Seconds, as the test says."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(clock: Clock) -> Iterator[START]:
    """Makes models that are closed after the test."""
    made: list[InProcess] = []

    def make(*args: object, **options: object) -> InProcess:
        made.append(InProcess(*args, clock_s=clock, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for model in made:
        model.close()


def numbers(model: InProcess, asked: pa.RecordBatch) -> list[float]:
    (votes,) = model.answer(asked, 60.0)
    assert votes.numbers is not None
    return list(votes.numbers.tolist())


def ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_it_answers_from_its_process(start: START) -> None:
    model = start(own.make_double)
    model.prepare()
    pid = model.pid
    assert pid is not None
    assert psutil.Process(pid).ppid() == psutil.Process().pid
    assert numbers(model, batch(3)) == [0.0, 2.0, 4.0]
    assert numbers(model, batch(6).slice(2, 2)) == [4.0, 6.0]
    assert model.pid == pid
    model.close()
    assert model.pid is None
    assert not psutil.pid_exists(pid)
    with pytest.raises(ModelServingError, match="is closed"):
        model.answer(batch(), 60.0)


def test_batches_larger_than_a_pipe_holds_and_functions_made_here(start: START) -> None:
    plus = 0.5

    def make() -> Callable[[pa.RecordBatch], Scores]:
        return lambda asked: Scores(asked.num_rows, numbers=np.asarray(asked.column("x")) + plus)

    found = numbers(start(make), batch(200_000))
    assert (len(found), found[-1]) == (200_000, 199_999.5)


def test_what_it_prints_and_reads_is_not_taken_for_answers_and_questions(start: START) -> None:
    model = start(own.make_noisy)
    assert numbers(model, batch(2)) == [0.0, 2.0]
    assert numbers(model, batch(1)) == [0.0]


def test_a_model_that_raises(start: START) -> None:
    def make() -> Callable[[pa.RecordBatch], Scores]:
        def score(asked: pa.RecordBatch) -> Scores:
            roots = [math.sqrt(x - 1) for x in asked.column("x").to_pylist()]
            return Scores(asked.num_rows, numbers=np.array(roots))

        return score

    states = [state for votes in start(make).answer(batch(4), 60.0) for state in votes.states.tolist()]
    assert states == [VoteState.FAILED] + [VoteState.ANSWERED] * 3


def test_one_that_cannot_be_made(start: START, clock: Clock) -> None:
    model = start(own.make_broken)
    with pytest.raises(ModelServingError, match="the model cannot be made: OSError: no such file"):
        model.prepare()
    with pytest.raises(ModelServingError, match=r"another one is started in 5\.0 s"):
        model.answer(batch(), 60.0)
    clock.now_s += RETRY_AFTER_S
    with pytest.raises(ModelServingError, match="cannot be made"):
        model.answer(batch(), 60.0)


def test_one_that_takes_too_long_to_be_made(start: START) -> None:
    with pytest.raises(ModelServingError, match=r"ended .signal 9"):
        start(own.make_hanging, start_s=0.2).prepare()


def test_one_that_ends_its_process_is_started_again(start: START, clock: Clock) -> None:
    model = start(own.make_dying)
    assert numbers(model, batch()) == [0.0]
    with pytest.raises(ModelServingError, match=r"the model's process ended .exit code 3"):
        model.answer(batch(first=-1.0), 60.0)
    with pytest.raises(ModelServingError, match="another one is started"):
        model.answer(batch(), 60.0)
    clock.now_s += RETRY_AFTER_S
    assert numbers(model, batch()) == [0.0]


def test_one_that_holds_pythons_lock_for_ever(start: START, clock: Clock) -> None:
    """The lane gives it up, another process takes its place, and closing the lane ends what hangs again."""
    times = iter(range(0, FAR_US, 1))
    seconds = Clock()
    seconds.now_s = 0.0
    model = start(own.make_greedy)
    lane = Lane("m", model, limits=LaneLimits(answer_s=30.0), clock_us=lambda: int(seconds.now_s * 1e6) + next(times))
    row = np.zeros(1, np.int32)
    wait_until(lambda: lane.is_ready)
    before = model.pid
    lane.offer(Task("hangs", row, batch(first=-1.0), FAR_US))
    wait_until(lambda: working(before))
    assert lane.poll() == []
    seconds.now_s += 31.0
    clock.now_s += RETRY_AFTER_S + 1.0
    (answered,) = lane.poll()
    assert answered.votes.states.tolist() == [VoteState.FAILED]
    clock.now_s += RETRY_AFTER_S + 1.0
    wait_until(lambda: model.pid is None)
    clock.now_s += RETRY_AFTER_S + 1.0
    lane.offer(Task("goes on", row, batch(first=4.0), FAR_US))
    (answered,) = fetch(lane)
    assert answered.votes.numbers is not None
    assert answered.votes.numbers.tolist() == [8.0]
    after = model.pid
    assert after is not None
    assert before is not None
    assert (after != before, ended(before)) == (True, True)
    lane.offer(Task("hangs", row, batch(first=-1.0), FAR_US))
    wait_until(lambda: working(after))
    lane.close()
    assert [each.votes.states.tolist() for each in lane.poll()] == [[VoteState.LANE_ENDED]]
    assert lane.join(LIMIT_S)
    assert ended(after)


def working(pid: int | None) -> bool:
    """Whether a process has begun to compute: it is not waiting for a question."""
    return psutil.Process(pid).status() == psutil.STATUS_RUNNING


def test_closing_while_it_is_being_made(start: START) -> None:
    model = start(own.make_hanging)
    lane = Lane("m", model)
    wait_until(lambda: model.pid is not None)
    pid = model.pid
    assert pid is not None
    lane.close()
    assert lane.join(LIMIT_S)
    assert ended(pid)

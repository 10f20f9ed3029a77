"""A lane: one model with a bounded queue and a thread of its own, so that whatever it does delays no other one.

The side that asks never waits: it offers tasks, and polls for answers. Each task is answered once: by votes, or by word
that there will be none, and why. A lane belongs to one version of a model: for another version there is another lane,
and the one before is closed once it is idle.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from modelserving.servable import ModelVersion
from modelserving.speculative.answering import failed_votes
from modelserving.speculative.lane_models import LaneModel
from modelserving.speculative.tasks import Answered, LaneCounts, LaneLimits, Task, epoch_us
from modelserving.speculative.votes import ModelVotes, no_votes
from modelserving.wire.speculative_pb2 import VoteState

log = logging.getLogger(__name__)

_LIMITS = LaneLimits()


@dataclass(slots=True, eq=False)
class _Run:
    """A task that was taken in."""

    task: Task
    offered_us: int
    loading: bool
    """It came before the model was loaded: that there is no answer is no fault of the model's."""
    started_us: int = 0


class Lane:
    """Asks one model, from a thread of its own.

    Args:
        name: that the model is asked by.
        model: what is asked; the lane closes it.
        version: of the model; its votes name it.
        metrics: figures of the version, one of which its answers may be judged by.
        clock_us: epoch microseconds.
        on_answer: called, from any thread, after there is something to poll for, or the model has been loaded; must
            return at once, and not raise.
    """

    def __init__(
        self,
        name: str,
        model: LaneModel,
        version: ModelVersion | None = None,
        metrics: Mapping[str, float] | None = None,
        *,
        limits: LaneLimits = _LIMITS,
        clock_us: Callable[[], int] = epoch_us,
        on_answer: Callable[[], None] = lambda: None,
    ) -> None:
        self.name = name
        self.version = version
        self._model = model
        self._metrics = metrics or {}
        self._limits = limits
        self._clock_us = clock_us
        self._on_answer = on_answer
        self._counts = LaneCounts()
        self._changed = threading.Condition()
        self._waiting: deque[_Run] = deque()
        self._running: _Run | None = None
        self._answers: deque[Answered] = deque()
        self._loading = True
        self._loaded_us = 0
        self._took_us = (0, 0)  # for the last two tasks
        self._ready = False
        self._fault = ""
        self._closed = False
        # A daemon: a model that never returns must not keep the process.
        self._thread = threading.Thread(target=self._work, name=f"lane-{name}", daemon=True)
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        """Whether the model was loaded; until it is, tasks wait."""
        return self._ready

    @property
    def fault(self) -> str:
        """Why the model could not be loaded, or empty; what asks it tries again."""
        return "" if self._ready else self._fault

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do, and nothing to poll for."""
        with self._changed:
            return not (self._waiting or self._running or self._answers)

    @property
    def counts(self) -> LaneCounts:
        """What became of the tasks until now."""
        with self._changed:
            return replace(self._counts)

    def offer(self, task: Task) -> None:
        """Have the model asked; what comes of it is polled for. Never waits."""
        with self._changed:
            run = _Run(task, self._clock_us(), self._loading)
            self._counts.offered += 1
            self._look()
            if self._closed:
                self._miss(run, VoteState.LANE_ENDED, "the lane is closed")
            elif len(self._waiting) >= self._limits.queue:
                self._counts.shed += 1
                told = f"{self._limits.queue} tasks wait already"
                if run.loading:
                    self._miss(run, VoteState.STILL_LOADING, f"the model is being loaded, and {told}")
                else:
                    self._miss(run, VoteState.SHED, told)
            else:
                self._waiting.append(run)
                self._changed.notify_all()
                return
        self._on_answer()

    def poll(self) -> list[Answered]:
        """What came since the last call. Tasks that wait past their deadline are answered, too, when it is called."""
        with self._changed:
            self._look()
            answers = list(self._answers)
            self._answers.clear()
            return answers

    def close(self) -> None:
        """Ask nothing more; tasks without an answer are told so. Does not wait for the model."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            if self._running is not None:
                self._waiting.appendleft(self._running)
                self._running = None
            while self._waiting:
                self._miss(self._waiting.popleft(), VoteState.LANE_ENDED, "the lane was closed")
            self._changed.notify_all()
        self._model.interrupt(final=True)
        self._on_answer()

    def join(self, limit_s: float) -> bool:
        """Wait, after `close`, until the model has returned and is closed; whether it was, within so many seconds."""
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    def _look(self) -> None:
        """Drop what is past its deadline, and give up a model that does not return."""
        now_us = self._clock_us()
        run = self._running
        if run is not None and now_us - run.started_us > self._limits.answer_s * 1e6:
            self._running = None
            self._counts.given_up += 1
            self._miss(run, VoteState.FAILED, f"it did not answer within {self._limits.answer_s:g} s")
            self._model.interrupt(final=False)
        # All of them, since deadlines need not be in the order of the queue.
        for waiting in [each for each in self._waiting if now_us >= each.task.deadline_us]:
            self._waiting.remove(waiting)
            self._expire(waiting)

    def _expire(self, run: _Run) -> None:
        self._counts.expired += 1
        if run.loading:
            self._miss(run, VoteState.NOT_LOADED, "no time was left, and it came while the model was being loaded")
        else:
            self._miss(run, VoteState.EXPIRED, "no time was left to ask it")

    def _miss(self, run: _Run, state: VoteState, detail: str) -> None:
        self._put(run, no_votes(self.name, np.arange(len(run.task.rows), dtype=np.int32), state, detail), 0)

    def _put(self, run: _Run, votes: ModelVotes, score_us: int) -> None:
        votes = replace(
            votes.moved_to(run.task.rows),
            model=self.name,
            version=self.version,
            metrics=self._metrics,
            taken_us=max(0, self._clock_us() - max(run.offered_us, self._loaded_us)),
            score_us=max(0, score_us),
        )
        self._answers.append(Answered(run.task.request, votes))

    def _work(self) -> None:
        fault = self._prepare()
        if fault:
            log.error("the model %r cannot be prepared: %.500s", self.name, fault)
        with self._changed:
            self._loading, self._loaded_us = False, self._clock_us()
        self._fault, self._ready = fault, not fault
        self._on_answer()  # it can be told to serve
        while self._has_tasks():
            # No task is being answered meanwhile: it may take longer than an answer may.
            fault = self._prepare()
            self._ready |= not fault
            run = self._next()
            if run is not None:
                self._finish(run, self._ask(run, fault))
                self._on_answer()
        try:
            self._model.close()
        except BaseException:
            log.exception("the model %r cannot be closed; what it holds may stay", self.name)

    def _prepare(self) -> str:
        """Have the model ready to answer; why it is not, or empty."""
        try:
            self._model.prepare()
        except BaseException as error:  # noqa: BLE001 - even an exit: a thread that ended would answer nothing
            return f"{error}" or type(error).__name__
        return ""

    def _ask(self, run: _Run, fault: str) -> list[ModelVotes]:
        if not fault:
            try:
                return self._model.answer(run.task.batch, (run.task.deadline_us - run.started_us) / 1e6)
            except BaseException as error:  # noqa: BLE001 - even an exit: a thread that ended would answer nothing
                fault = f"{error}" or type(error).__name__
        return [failed_votes(np.arange(len(run.task.rows), dtype=np.int32), fault)]

    def _has_tasks(self) -> bool:
        """Wait for a task; False once the lane is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting)
            return not self._closed

    def _next(self) -> _Run | None:
        """The next task that there is time for: a model that is a little too slow would else come too late to each.

        If there is none, that with most time left, if any: the model may be faster now. It takes about what it took for
        the faster of the last two.
        """
        with self._changed:
            now_us = self._clock_us()
            self._look()
            enough_us = now_us + min(self._took_us)
            run = next((each for each in self._waiting if each.task.deadline_us > enough_us), None)
            while run is not None and self._waiting[0] is not run:
                self._expire(self._waiting.popleft())
            run = run or max(self._waiting, key=lambda each: each.task.deadline_us, default=None)
            if run is not None:
                self._waiting.remove(run)
                run.started_us = now_us
                self._running = run
            expired = bool(self._answers)
        if expired:
            self._on_answer()
        return run

    def _finish(self, run: _Run, found: list[ModelVotes]) -> None:
        with self._changed:
            if self._running is not run:  # it was given up, or the lane was closed
                return
            self._running = None
            self._counts.answered += 1
            took_us = self._clock_us() - run.started_us
            self._took_us = self._took_us[1], took_us
            for votes in found:
                self._put(run, votes, took_us)

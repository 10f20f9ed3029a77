"""Speculative serving inside another program, with asyncio: the same rules as in the job, without Flink and Kafka."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import ParamSpec

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.servable import ModelVersion, Servable
from modelserving.speculative.answering import Score
from modelserving.speculative.ballot import Vote
from modelserving.speculative.deciders import Decider, load_decider
from modelserving.speculative.deciding import Decided
from modelserving.speculative.lane import Lane
from modelserving.speculative.lane_models import InThread, LaneModel
from modelserving.speculative.policy import Answer, Policy
from modelserving.speculative.request import Request
from modelserving.speculative.routing import route
from modelserving.speculative.tasks import LaneCounts, LaneLimits, Task, steady_us
from modelserving.speculative.votes import no_votes
from modelserving.wire.speculative_pb2 import VoteState, Why

log = logging.getLogger(__name__)

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model, and what its votes tell of it."""

    model: Servable | Score | LaneModel
    """A servable or a function that scores a batch answers in a thread; `InProcess`, in a process of its own."""
    version: ModelVersion | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    """For a policy of quality by metric."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided on one record."""

    answer: Answer | None
    why: Why
    votes: tuple[Vote, ...]
    """Of each model that was asked, the most trusted first, as they were then."""
    counted: tuple[str, ...]
    """The models whose answer it is, or of whose answers it is made."""
    at_deadline: bool
    """Nothing was decided before the deadline."""
    latency_us: int
    """From the call to the decision."""
    late_us: int
    """From the deadline to the decision; 0: it was in time."""
    detail: str = ""
    """What one's own decider has to say."""


OnLate = Callable[[Request, str, NDArray[np.int64]], None]
"""Told of votes that came after the decision: the request that they are in now, the model, and the rows."""


class SpeculativeServer:
    """Asks several models for each batch, and answers by the deadline. Used from one event loop.

    Args:
        policy: which models are asked, and what decides.
        models: those that there are, by name; one that the policy names and that is not here has no answer.
        decider: decides in place of a rule; None: the one that the policy's import path names, if it names one.
        limits: of each model's lane.
        on_late: told of late votes.
        on_complete: told of each request that has all its votes, for what is counted of it (`rollout.count`).
        clock_us: epoch microseconds; must not be set back, or an answer leaves that much later.

    Raises:
        ConfigurationError: the policy's decider cannot be imported.
    """

    def __init__(
        self,
        policy: Policy,
        models: Mapping[str, ServedModel | Servable | Score | LaneModel],
        *,
        decider: Decider | None = None,
        limits: LaneLimits = LaneLimits(),  # noqa: B008 - it is frozen
        on_late: OnLate = lambda *_: None,
        on_complete: Callable[[Request], None] = lambda _: None,
        clock_us: Callable[[], int] = steady_us,
    ) -> None:
        self._policy = policy
        self._given = decider
        self._decider = self._decider_of(policy)
        self._on_late = on_late
        self._on_complete = on_complete
        self._clock_us = clock_us
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open: dict[str, tuple[Request, asyncio.Event]] = {}
        self._numbers = itertools.count()
        self._closed = False
        served = {name: m if isinstance(m, ServedModel) else ServedModel(m) for name, m in models.items()}
        self._lanes = {
            name: Lane(
                name,
                model.model if isinstance(model.model, LaneModel) else InThread(model.model),
                model.version,
                model.metrics,
                limits=limits,
                clock_us=clock_us,
                on_answer=self._wake,
            )
            for name, model in served.items()
        }

    async def __aenter__(self) -> SpeculativeServer:
        """The server; `close` ends it."""
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Close it."""
        self.close()

    @property
    def counts(self) -> Mapping[str, LaneCounts]:
        """What became of the tasks of each model."""
        return {name: lane.counts for name, lane in self._lanes.items()}

    async def score(self, batch: pa.RecordBatch, keys: Sequence[bytes] | None = None) -> list[Decision]:
        """Decide on n records: by the policy's deadline, whatever the models do.

        Args:
            batch: the columns that the models read, as for `Servable.score`.
            keys: n, for the shares of canary and shadow; without them shares are drawn by a running number.

        Raises:
            RuntimeError: the server is closed.
        """
        if self._closed:
            raise RuntimeError("the server is closed")
        self._loop = asyncio.get_running_loop()
        received_us = self._clock_us()
        number = str(next(self._numbers))
        if keys is None:
            keys = [b"%s:%d" % (number.encode(), row) for row in range(batch.num_rows)]
        request = Request(self._policy, route(self._policy, keys), received_us, self._decider)
        changed = asyncio.Event()
        self._open[number] = request, changed
        try:
            self._ask(number, request, batch)
            return await self._decide(request, changed)
        finally:
            if request.is_decided:
                self._forget(number)
            else:  # nobody waits for it any more
                del self._open[number]

    def use(self, policy: Policy) -> None:
        """Have another policy hold for what is scored from now on.

        Raises:
            ConfigurationError: its decider cannot be imported.
        """
        self._policy, self._decider = policy, self._decider_of(policy)

    def close(self) -> None:
        """Ask nothing more. Does not wait for models; what is being scored is decided without them."""
        self._closed = True
        for lane in self._lanes.values():
            lane.close()
        self._collect()

    async def _decide(self, request: Request, changed: asyncio.Event) -> list[Decision]:
        decisions: dict[int, Decision] = {}
        while True:
            changed.clear()
            self._collect()
            now_us = self._clock_us()
            decided = request.decide(now_us)
            for index, row in enumerate(decided.rows.tolist()):
                decisions[row] = _decision(request, decided, index, now_us)
            if request.is_decided:
                return [decisions[row] for row in range(len(decisions))]
            with suppress(TimeoutError):
                async with asyncio.timeout((request.deadline_us - now_us) / 1e6):
                    await changed.wait()

    def _decider_of(self, policy: Policy) -> Decider | None:
        return self._given or (load_decider(policy.decider) if policy.decider else None)

    def _ask(self, number: str, request: Request, batch: pa.RecordBatch) -> None:
        for model, rows in request.outstanding():
            lane = self._lanes.get(model)
            if lane is None:
                request.add(no_votes(model, rows, VoteState.NO_SUCH_MODEL, "no such model was given"))
                continue
            whole = len(rows) == batch.num_rows
            lane.offer(Task(number, rows, batch if whole else batch.take(pa.array(rows)), request.deadline_us))

    def _wake(self) -> None:
        """Have the event loop collect answers; from any thread."""
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._collect)
            except RuntimeError:  # the loop has ended, and nobody waits for an answer
                self._loop = None

    def _collect(self) -> None:
        """Hand the answers that came to their requests."""
        for lane in self._lanes.values():
            for answered in lane.poll():
                if answered.request not in self._open:  # it was cancelled
                    continue
                request, changed = self._open[answered.request]
                late = request.add(answered.votes, in_time=self._clock_us() < request.deadline_us)
                changed.set()
                if len(late):
                    _call(self._on_late, request, lane.name, late)
                self._forget(answered.request)

    def _forget(self, number: str) -> None:
        """Keep a request no longer, once nothing is to come."""
        request, _ = self._open[number]
        if request.is_complete:
            del self._open[number]
            _call(self._on_complete, request)


def _call(told: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """Tell the program around; what it raises must not reach whoever waits for an answer."""
    try:
        told(*args, **kwargs)
    except Exception:
        log.exception("%r raised", told)


def _decision(request: Request, decided: Decided, index: int, now_us: int) -> Decision:
    ballot, row = request.ballot, int(decided.rows[index])
    counted = decided.counted[:, index]
    why: Why = decided.why[index].item()
    return Decision(
        answer=decided.answer(ballot, index),
        why=why,
        votes=tuple(ballot.vote(model, row) for model in np.flatnonzero(ballot.asked[:, row]).tolist()),
        counted=tuple(name for name, counts in zip(ballot.models, counted, strict=True) if counts),
        at_deadline=bool(decided.at_deadline[index]),
        latency_us=max(0, now_us - request.received_us),
        late_us=max(0, now_us - request.deadline_us),
        detail=decided.details.get(index, ""),
    )

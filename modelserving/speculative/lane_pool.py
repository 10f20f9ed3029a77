"""The models of one lane: each with its own queue, thread or process, versions that follow each other, and events.

A newer version is loaded beside the one that answers, and takes over once it is ready; the one before is closed once it
is idle. A version that cannot be loaded leaves the last good one. A model that no policy asks any more answers for a
while on: a task of the policy before may still be on its way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from modelserving.events import model_event
from modelserving.servable import ModelVersion
from modelserving.speculative.lane import Lane
from modelserving.speculative.lane_models import LaneModel
from modelserving.speculative.tasks import Answered, LaneCounts, LaneLimits, Task, epoch_us
from modelserving.speculative.votes import no_votes
from modelserving.versions import is_retired
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import EventKind, LogPosition, ModelEvent
from modelserving.wire.speculative_pb2 import VoteState
from modelserving.wire.state_pb2 import AdmittedModel, Retirement

RETRY_AFTER_S = 30.0
"""A version that could not be loaded while another one answers is tried again after so long."""

LINGER_S = 10.0
"""A model that no policy asks any more is closed after so long."""

Name = tuple[str, str]
"""Data type and name of a model."""


@dataclass(slots=True)
class _Version:
    """A version with its lane."""

    descriptor: ModelDescriptor
    """Without the model's bytes."""
    offset: int
    """On the model log."""
    lane: Lane
    failed: bool = False
    """It cannot be loaded, and that was told."""
    retired: bool = False
    """It answers only until another one can, or cannot be loaded."""
    lingers_until_us: int = 0
    """Until then it answers, though no policy asks it any more."""


@dataclass(slots=True)
class _Model:
    """A model: who answers, who comes, who leaves."""

    wanted: Sequence[AdmittedModel]
    """The version that is to answer, and the last good one."""
    live: _Version | None = None
    coming: _Version | None = None
    leaving: list[_Version] = field(default_factory=list)
    retry_us: int = 0
    """When what could not be loaded is due again; 0: nothing is."""

    @property
    def versions(self) -> list[_Version]:
        """All of them."""
        return [version for version in (self.live, self.coming, *self.leaving) if version is not None]


class LanePool:
    """The models of one instance of a lane; used from one thread.

    Args:
        instance: its name in events.
        topic: of models, for the positions in events.
        make: makes what a lane asks of a model with its bytes; must return at once: the lane has it load.
        limits: of each model's lane.
        clock_us: epoch microseconds.
        on_answer: called, from any thread, after there is something to poll for; must return at once, and not raise.
    """

    def __init__(
        self,
        instance: str,
        topic: str,
        make: Callable[[AdmittedModel], LaneModel],
        limits: LaneLimits,
        clock_us: Callable[[], int] = epoch_us,
        *,
        on_answer: Callable[[], None] = lambda: None,
    ) -> None:
        self._instance = instance
        self._topic = topic
        self._make = make
        self._limits = limits
        self._clock_us = clock_us
        self._on_answer = on_answer
        self.is_learning = False
        """Whether models may be here that are not known yet: tasks for those wait."""
        self._models: dict[Name, _Model] = {}
        self._ahead: dict[Name, deque[Task]] = {}  # of their models
        self._events: list[ModelEvent] = []
        self._missing: list[Answered] = []
        self._closed_ones = LaneCounts()  # and what came to no lane
        self._counted = LaneCounts()

    def aspire(self, name: Name, wanted: Sequence[AdmittedModel], retired: Retirement | None = None) -> None:
        """Have a model answer, or no longer.

        Args:
            name: of the model.
            wanted: the version that is to answer, then the last good one, with their bytes; none: it is not here.
            retired: what may answer no more from now on.
        """
        model = self._models.setdefault(name, _Model(wanted))
        model.wanted = wanted
        if model.live is not None and retired is not None:
            model.live.retired = model.live.retired or is_retired(model.live.descriptor, retired)
        if not wanted:
            self._begin(model, None)
            self._leave(model, "retired, or asked in another lane")
        elif model.live is not None and model.live.offset == wanted[0].offset:
            self._begin(model, None)
        elif model.coming is None or model.coming.offset != wanted[0].offset:
            self._begin(model, wanted[0])

    def drop(self, name: Name) -> None:
        """Have a model here no longer, since no policy asks it any more."""
        model = self._models.get(name)
        if model is not None:
            for version in (model.live, model.coming):
                if version is not None:
                    version.lingers_until_us = self._clock_us() + int(LINGER_S * 1e6)
            self.aspire(name, ())

    def offer(self, name: Name, task: Task) -> None:
        """Have a model asked; what comes of it is polled for."""
        version = self._version(name)
        if version is not None:
            version.lane.offer(task)
        elif not self.is_learning:
            detail = f"no model {name[1]!r} of data type {name[0]!r} is served; publish one"
            self._miss(name, task, VoteState.NO_SUCH_MODEL, detail)
        elif len(ahead := self._ahead.setdefault(name, deque())) < self._limits.queue:
            ahead.append(task)
        else:
            detail = f"the model log is being read, and {self._limits.queue} tasks wait already"
            self._miss(name, task, VoteState.STILL_LOADING, detail)
            self._closed_ones += LaneCounts(offered=1, shed=1)

    def poll(self) -> list[Answered]:
        """What came since the last call; what has been loaded takes over."""
        self._catch_up()
        found, self._missing = self._missing, []
        for name, model in list(self._models.items()):
            self._settle(model)
            for version in model.versions:
                found += version.lane.poll()
            now_us = self._clock_us()
            for version in [each for each in model.leaving if each.lane.is_idle and now_us >= each.lingers_until_us]:
                version.lane.close()
                self._closed_ones += version.lane.counts
                model.leaving.remove(version)
            if not (model.wanted or model.versions):
                del self._models[name]
        return found

    def take_events(self) -> list[ModelEvent]:
        """What is to be told since the last call."""
        events, self._events = self._events, []
        return events

    def take_counts(self) -> LaneCounts:
        """What became of tasks since the last call."""
        total = self._closed_ones
        for model in self._models.values():
            for version in model.versions:
                total += version.lane.counts
        news, self._counted = total - self._counted, total
        return news

    def close(self) -> None:
        """Ask nothing more. Does not wait for models."""
        for model in self._models.values():
            for version in model.versions:
                version.lane.close()
        self._models.clear()

    def _catch_up(self) -> None:
        """Have tasks asked that came ahead of their models; or tell that there are none."""
        for name, tasks in list(self._ahead.items()):
            if self._version(name) is not None or not self.is_learning:
                del self._ahead[name]
                for task in tasks:
                    self.offer(name, task)
                continue
            now_us = self._clock_us()
            self._ahead[name] = deque(task for task in tasks if now_us < task.deadline_us)
            for task in tasks:
                if now_us >= task.deadline_us:
                    detail = "the deadline passed while the model log was being read"
                    self._miss(name, task, VoteState.NOT_LOADED, detail)
                    self._closed_ones += LaneCounts(offered=1, expired=1)

    def _miss(self, name: Name, task: Task, state: VoteState, detail: str) -> None:
        self._missing.append(Answered(task.request, no_votes(name[1], task.rows, state, detail)))

    def _version(self, name: Name) -> _Version | None:
        """The version that is asked."""
        model = self._models.get(name)
        if model is None:
            return None
        now_us = self._clock_us()
        lingering = (each for each in reversed(model.leaving) if now_us < each.lingers_until_us)
        return model.live or next(lingering, model.coming)

    def _settle(self, model: _Model) -> None:
        """Have what comes take over, if it is ready; or do without it, if it cannot be loaded."""
        # Not while the last good one is being loaded: that may take longer than this.
        is_free = model.coming is None or model.coming.failed
        if is_free and model.retry_us and self._clock_us() >= model.retry_us:
            self._begin(model, model.wanted[0])
        coming = model.coming
        if coming is None:
            return
        if coming.lane.is_ready:
            self._leave(model, f"by {coming.descriptor.name!r} {coming.descriptor.version!r}")
            model.live, model.coming = coming, None
            self._tell(EventKind.SERVING, coming, "")
        elif coming.lane.fault and not coming.failed:
            coming.failed = True
            self._tell(EventKind.LOAD_FAILED, coming, coming.lane.fault)
            if model.live is not None and model.live.retired:
                self._leave(model, "retired")
            is_newest = coming.offset == model.wanted[0].offset
            if is_newest and (model.live is not None or len(model.wanted) > 1):
                retry_us = self._clock_us() + int(RETRY_AFTER_S * 1e6)
                self._begin(model, model.wanted[1] if model.live is None else None)
                model.retry_us = retry_us
            # Else nothing else can answer: it says why it does not, and its lane goes on trying.

    def _leave(self, model: _Model, detail: str) -> None:
        """Have what answers, if something does, answer no more."""
        if model.live is not None:
            self._tell(EventKind.REPLACED, model.live, detail)
            model.leaving.append(model.live)
            model.live = None

    def _begin(self, model: _Model, admitted: AdmittedModel | None) -> None:
        """Load a version, in place of one that is being loaded; None: load none."""
        if model.coming is not None:
            model.leaving.append(model.coming)
        model.coming = None if admitted is None else self._back(model, admitted) or self._load(admitted)
        model.retry_us = 0

    def _back(self, model: _Model, admitted: AdmittedModel) -> _Version | None:
        """The same version, if it is there still, since no policy asked it for a while."""
        now_us = self._clock_us()
        for version in model.leaving:
            if version.offset == admitted.offset and now_us < version.lingers_until_us:
                version.lingers_until_us = 0
                model.leaving.remove(version)
                return version
        return None

    def _load(self, admitted: AdmittedModel) -> _Version:
        descriptor = ModelDescriptor()
        descriptor.CopyFrom(admitted.descriptor)
        descriptor.ClearField("model")
        loading = _Version(
            descriptor,
            admitted.offset,
            Lane(
                descriptor.name,
                self._make(admitted),
                ModelVersion(descriptor.name, descriptor.version, descriptor.sha256),
                dict(descriptor.metrics),
                limits=self._limits,
                clock_us=self._clock_us,
                on_answer=self._on_answer,
            ),
        )
        self._tell(EventKind.LOADING, loading, "")
        return loading

    def _tell(self, kind: EventKind, version: _Version, detail: str) -> None:
        self._events.append(
            model_event(
                kind,
                version.descriptor,
                at_ms=self._clock_us() // 1000,
                instance=self._instance,
                position=LogPosition(topic=self._topic, offset=version.offset),
                detail=detail,
            )
        )

"""The servable manager: the only owner of the live models of one parallel instance.

For each data type it knows the *aspired* version (the newest that it was told of) and the *live* one. A newer aspired
version is loaded in the background and swapped in between two batches; one that cannot be loaded leaves the last good
one live. Live models are a bounded cache: what was driven out is loaded again when it is needed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from modelserving.background import BackgroundLoader, Loaded
from modelserving.live_models import LiveModel, LiveModels, live_model
from modelserving.servable import Servable
from modelserving.versions import is_retired
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import EventKind
from modelserving.wire.state_pb2 import AdmittedModel, Retirement

log = logging.getLogger(__name__)

RETRY_AFTER_S = 30.0
"""A version that could not be loaded is tried again after so long, not sooner: where nothing else serves, each batch of
its records would wait for it."""
_RETIRED = "retired, and nothing takes its place"


@dataclass(frozen=True, slots=True)
class ManagerLimits:
    """What one parallel instance may use."""

    load_s: float = 60.0
    """A load that takes longer has failed."""
    memory_bytes: int = 2 * 1024**3
    """For the live models, by the estimate of `live_models.memory_bytes`."""


OnEvent = Callable[[EventKind, ModelDescriptor, int, str], None]
"""Told of each event: kind, descriptor (perhaps with its bytes), offset on the model log, detail."""


class ServableManager:
    """Loads, swaps and frees the servables of one parallel instance; used from one thread.

    Args:
        load: makes a servable of a model with its bytes, ready to score; called in the background.
        clock_s: seconds that only grow.
    """

    def __init__(
        self,
        load: Callable[[AdmittedModel], Servable],
        limits: ManagerLimits,
        on_event: OnEvent,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._loader = BackgroundLoader(load, limits.load_s, clock_s)
        self._live = LiveModels(limits.memory_bytes)
        self._on_event = on_event
        self._clock_s = clock_s
        self._aspired: dict[str, AdmittedModel] = {}
        self._decided: dict[str, int] = {}
        self._failed: dict[str, dict[int, float]] = {}
        self._to_retry: dict[str, tuple[float, AdmittedModel]] = {}  # with the time at which it is due
        self._retired: set[str] = set()
        """Data types whose live version is retired, and scores only until another one is loaded, or cannot be."""

    def aspire(
        self, admitted: AdmittedModel, decided: int, *, needed: bool = False, retired: Retirement | None = None
    ) -> None:
        """Make `admitted` the version to serve, unless a later decision is known already.

        It is loaded in the background: at once if it replaces a live one, or would drive out no other; else once
        it is `needed`. A version that cannot be loaded is tried again, and meanwhile the live one goes on, unless it
        is retired.

        Args:
            decided: offset on the model log of the decision for it.
            needed: a batch waits for it.
            retired: what the decision retires; perhaps not what is live here.
        """
        data_type = admitted.descriptor.dataType
        if not self._is_news(data_type, decided):
            return
        live = self._live.get(data_type)
        if live is not None and live.offset == admitted.offset:
            self._aspired.pop(data_type, None)
            self._retired.discard(data_type)
            return
        if live is not None and retired is not None and is_retired(live.descriptor, retired):
            self._retired.add(data_type)
        if _same(self._aspired.get(data_type), admitted):
            return
        self._aspired.pop(data_type, None)
        failed_s = self._failed.get(data_type, {}).get(admitted.offset)
        if failed_s is not None and self._clock_s() - failed_s < RETRY_AFTER_S:
            self._to_retry.setdefault(data_type, (failed_s + RETRY_AFTER_S, admitted))
            if data_type in self._retired:
                self._withdraw(data_type)
            return
        # What is on its way takes memory too: a backlog of models comes at once, each with its bytes.
        coming = (each.descriptor for each in self._aspired.values())
        if needed or live is not None or self._live.has_room(admitted.descriptor, *coming):
            self._begin(admitted)

    def retire(self, data_type: str, decided: int, served: AdmittedModel | None = None) -> None:
        """Have nothing serve the data type, unless a later decision is known already.

        Args:
            decided: offset on the model log of the decision for it.
            served: what was to serve until now: it may not be live here, but have been told to be, before a restart or
                before it was driven out.
        """
        if self._is_news(data_type, decided):
            self._aspired.pop(data_type, None)
            if not self._withdraw(data_type) and served is not None:
                self._on_event(EventKind.REPLACED, served.descriptor, served.offset, _RETIRED)

    def live(self, data_type: str) -> LiveModel | None:
        """The model to score the next batch of the data type with.

        Swaps in what has been loaded. Waits only if there is no live model and one is being loaded.
        """
        self.swap()
        live = self._live.get(data_type)
        if live is None and data_type in self._aspired:
            self._loader.wait(data_type)
            self.swap()
            live = self._live.get(data_type)
        return live

    def swap(self) -> None:
        """Swap in what has been loaded meanwhile; to be called between two batches."""
        self._retry()
        for loaded in self._loader.loaded():
            data_type = loaded.admitted.descriptor.dataType
            if not _same(self._aspired.get(data_type), loaded.admitted):
                if loaded.servable is not None:  # overtaken by a later decision
                    self._loader.discard(loaded.servable)
                continue
            del self._aspired[data_type]
            if loaded.servable is not None:
                self._serve(loaded.admitted, loaded.servable)
            else:
                self._fail(loaded)

    def close(self) -> None:
        """Free all live models."""
        self._loader.close()
        for live in self._live.pop_all():
            live.servable.close()
        self._aspired.clear()
        self._to_retry.clear()

    def _is_news(self, data_type: str, decided: int) -> bool:
        known = self._decided.get(data_type, -1)
        if decided > known:
            self._decided[data_type] = decided
            self._to_retry.pop(data_type, None)
        return decided >= known

    def _serve(self, admitted: AdmittedModel, servable: Servable) -> None:
        data_type = admitted.descriptor.dataType
        live = live_model(admitted, servable)
        replaced = self._live.pop(data_type)
        evicted = self._live.put(data_type, live)
        if replaced is not None:
            self._on_event(EventKind.REPLACED, replaced.descriptor, replaced.offset, f"by {_words(live.descriptor)}")
            evicted.append(replaced)
        for gone in evicted:
            self._loader.discard(gone.servable)
        self._failed.pop(data_type, None)
        self._retired.discard(data_type)
        self._on_event(EventKind.SERVING, live.descriptor, live.offset, _evaluated_by(servable))

    def _fail(self, loaded: Loaded) -> None:
        # It passed admission, so this instance is at fault (memory, disk): the last good version goes on.
        admitted = loaded.admitted
        log.error("%s cannot be loaded here: %.500s", _words(admitted.descriptor), loaded.fault)
        data_type = admitted.descriptor.dataType
        now_s = self._clock_s()
        self._failed.setdefault(data_type, {})[admitted.offset] = now_s
        # The first one that failed is the one to serve, any other its substitute.
        self._to_retry.setdefault(data_type, (now_s + RETRY_AFTER_S, admitted))
        self._on_event(EventKind.LOAD_FAILED, admitted.descriptor, admitted.offset, str(loaded.fault))
        if data_type in self._retired:
            self._withdraw(data_type)

    def _retry(self) -> None:
        """Load again what could not be loaded, and is still to serve."""
        for data_type, (due_s, admitted) in list(self._to_retry.items()):
            if self._clock_s() >= due_s:
                del self._to_retry[data_type]
                self._begin(admitted)

    def _begin(self, admitted: AdmittedModel) -> None:
        self._aspired[admitted.descriptor.dataType] = admitted
        self._on_event(EventKind.LOADING, admitted.descriptor, admitted.offset, "")
        self._loader.submit(admitted)

    def _withdraw(self, data_type: str) -> bool:
        """Have the live version score no more; whether there was one."""
        self._retired.discard(data_type)
        live = self._live.pop(data_type)
        if live is None:
            return False
        self._on_event(EventKind.REPLACED, live.descriptor, live.offset, _RETIRED)
        self._loader.discard(live.servable)
        return True


def _evaluated_by(servable: Servable) -> str:
    reason = f": {servable.engine_reason}" if servable.engine_reason else ""
    return f"evaluated by {servable.engine}{reason}"


def _same(one: AdmittedModel | None, other: AdmittedModel) -> bool:
    return one is not None and one.offset == other.offset


def _words(descriptor: ModelDescriptor) -> str:
    return f"{descriptor.name!r} {descriptor.version!r} of data type {descriptor.dataType!r}"

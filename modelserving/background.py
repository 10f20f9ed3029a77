"""Loading in the background: one thread that loads model after model, while others score."""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from modelserving.errors import ModelRejected
from modelserving.servable import Servable
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import AdmittedModel

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of a load: either a servable or a fault."""

    admitted: AdmittedModel
    servable: Servable | None = None
    fault: ModelRejected | None = None


class BackgroundLoader:
    """Loads models one after the other in a thread of its own; for each data type only the newest that was asked for.

    Args:
        load: makes a servable of a model with its bytes, ready to score; raises `ModelRejected`.
        limit_s: a load that takes longer is given up. Its thread cannot be ended and is left behind; another goes on.
        clock_s: seconds that only grow.
    """

    def __init__(
        self,
        load: Callable[[AdmittedModel], Servable],
        limit_s: float,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._load = load
        self._limit_s = limit_s
        self._clock_s = clock_s
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._waiting: dict[str, AdmittedModel] = {}
        self._current: AdmittedModel | None = None
        self._started_s = 0.0
        self._loaded: deque[Loaded] = deque()
        self._discarded: deque[Servable] = deque()

    def submit(self, admitted: AdmittedModel) -> None:
        """Load `admitted` as soon as what was asked for before is done, in place of an older one that waits."""
        with self._changed:
            self._waiting[admitted.descriptor.dataType] = admitted
            if self._thread is None:
                self._start()
            self._changed.notify_all()

    def discard(self, servable: Servable) -> None:
        """Close a servable that scores no more."""
        with self._changed:
            self._discarded.append(servable)
            if self._thread is None:
                self._start()
            self._changed.notify_all()

    def loaded(self) -> list[Loaded]:
        """What was loaded, or failed, since the last call."""
        with self._changed:
            self._give_up()
            done = list(self._loaded)
            self._loaded.clear()
            return done

    def wait(self, data_type: str) -> None:
        """Return once nothing is to be loaded for `data_type`, at once if nothing is; before anything else waits."""
        with self._changed:
            first = self._waiting.pop(data_type, None)
            if first is not None:
                self._waiting = {data_type: first, **self._waiting}
            while data_type in self._waiting or self._is_loading(data_type):
                self._changed.wait(_LOOK_EVERY_S)
                self._give_up()

    def close(self) -> None:
        """Load nothing more, and close what was loaded and not fetched."""
        with self._changed:
            self._waiting.clear()
            self._thread = self._current = None
            for loaded in self._loaded:
                if loaded.servable is not None:
                    self._discarded.append(loaded.servable)
            self._loaded.clear()
            while self._discarded:
                _close(self._discarded.popleft())
            self._changed.notify_all()

    def _is_loading(self, data_type: str) -> bool:
        return self._current is not None and self._current.descriptor.dataType == data_type

    def _start(self) -> None:
        # A daemon: a load that never ends must not keep the process.
        self._thread = threading.Thread(target=self._work, name="model-loader", daemon=True)
        self._thread.start()

    def _give_up(self) -> None:
        """Leave a load that takes too long to itself."""
        if self._current is None or self._clock_s() - self._started_s <= self._limit_s:
            return
        fault = ModelRejected(Reason.FAILED_GATE, f"it was not loaded within {self._limit_s:g} s")
        self._loaded.append(Loaded(self._current, fault=fault))
        self._current = None
        self._start()

    def _work(self) -> None:
        while True:
            with self._changed:
                while self._is_mine() and not (self._waiting or self._discarded):
                    self._changed.wait()
                if not self._is_mine():
                    return
                # Before a load, which may never end.
                discarded = list(self._discarded)
                self._discarded.clear()
                admitted = None
                if not discarded:
                    admitted = self._waiting.pop(next(iter(self._waiting)))
                    self._current, self._started_s = admitted, self._clock_s()
            if admitted is not None:
                self._finish(self._attempt(admitted))
            for servable in discarded:
                _close(servable)
            if discarded:
                # A model's libraries leave cycles behind, which hold its memory.
                gc.collect()

    def _attempt(self, admitted: AdmittedModel) -> Loaded:
        try:
            return Loaded(admitted, servable=self._load(admitted))
        except ModelRejected as fault:
            return Loaded(admitted, fault=fault)
        except Exception as error:  # noqa: BLE001 - a thread that ended would load nothing more
            detail = f"its loader raised {type(error).__name__}: {error}"
            return Loaded(admitted, fault=ModelRejected(Reason.UNLOADABLE, detail))

    def _finish(self, loaded: Loaded) -> None:
        with self._changed:
            if self._is_mine():
                self._current = None
                self._loaded.append(loaded)
                self._changed.notify_all()
                return
        if loaded.servable is not None:
            _close(loaded.servable)

    def _is_mine(self) -> bool:
        return self._thread is threading.current_thread()


def _close(servable: Servable) -> None:
    try:
        servable.close()
    except Exception:
        # A thread that ended would load nothing more, and a batch that waits for a model would wait forever.
        log.exception("a model cannot be closed; what it holds may stay")

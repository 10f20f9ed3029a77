"""The join of models and records, as both Flink joins run it; free of Flink."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from modelserving import serving_state
from modelserving.decoding import TypedBatch
from modelserving.events import model_event, outgoing_events
from modelserving.live_models import LiveModel
from modelserving.manager import OnEvent, ServableManager
from modelserving.model_history import NewestModel
from modelserving.outgoing import Outgoing
from modelserving.pieces import Pieces, PieceStore, forget
from modelserving.scoring import reject_all, score
from modelserving.statistics.deltas import BatchTally
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import EventKind, LogPosition, ModelEvent, Reason
from modelserving.wire.state_pb2 import Decision, ServingState


class ModelStore(PieceStore, Protocol):
    """Checkpointed state: data type → encoded `ServingState`, and pieces of models; written only in `on_decision`."""


class Join:
    """Scores batches with the model that serves their data type, and takes in admission's decisions.

    Args:
        topics: for the positions in results and events.
        instance: the name of this parallel instance in events.
        manager: makes the owner of this instance's live models, which tells its events to the argument.
        model_log: reads the model log; called for a data type that has no state.
        clock_us: epoch microseconds.
    """

    def __init__(
        self,
        topics: Topics,
        instance: str,
        manager: Callable[[OnEvent], ServableManager],
        model_log: Callable[[], Mapping[str, NewestModel]],
        clock_us: Callable[[], int],
    ) -> None:
        self._topics = topics
        self._instance = instance
        self._manager = manager(self._on_event)
        self._model_log = model_log
        self._clock_us = clock_us
        self._events: list[ModelEvent] = []
        self._ahead_of_state: dict[str, NewestModel] = {}
        self._pieces = Pieces()

    def on_decision(self, encoded: bytes, store: ModelStore) -> Iterator[Outgoing]:
        """Take in a decision: keep it in the state, and aspire to it; or a tick: swap in what is loaded.

        Or a piece of the model that is decided about next.
        """
        decision = Decision.FromString(encoded)
        if decision.tick:
            self._manager.swap()
        elif decision.HasField("piece"):
            self._pieces.keep(decision.data_type, decision.piece, store)
        else:
            self._decide(decision, store)
            self._pieces.decided(decision.data_type)
        yield from self._take_events()

    def on_batch(self, batch: TypedBatch, store: ModelStore) -> Iterator[Outgoing]:
        """Score one batch; every record of it leaves as a result or as a rejected record, and is counted."""
        live = self._manager.live(batch.data_type) or self._learn(batch.data_type, store)
        tally = BatchTally(batch.data_type, None if live is None else live.descriptor)
        if live is None:
            detail = f"no model serves data type {batch.data_type!r}; publish one"
            yield reject_all(batch, self._topics.records, Reason.NO_MODEL, detail, self._clock_us, tally=tally)
        else:
            yield from score(batch, self._topics.records, live.servable, live.version, self._clock_us, tally=tally)
        yield tally.outgoing()
        yield from self._take_events()

    def close(self) -> None:
        """Free the live models."""
        self._manager.close()

    def _decide(self, decision: Decision, store: ModelStore) -> None:
        data_type = decision.data_type
        before = serving_state.decode(store.get(data_type))
        if before is not None and decision.offset < before.decided:
            forget(data_type, [decision.admitted], serving_state.models(before), store)
            return
        if before is None:
            # Perhaps the first decision of a backlog: the newest model may be far behind it.
            self._look_ahead(data_type)
        state = serving_state.after(before, decision)
        store.put(data_type, state.SerializeToString())
        told = [*serving_state.models(before), decision.admitted]
        forget(data_type, told, serving_state.models(state), store)
        ahead = self._ahead_of_state.get(data_type)
        if ahead is not None and ahead.decided <= state.decided:
            del self._ahead_of_state[data_type]
        if state.HasField("serving"):
            serving = self._pieces.complete(state.serving, store)
            self._manager.aspire(
                serving, state.decided, retired=decision.retired if decision.HasField("retired") else None
            )
        else:
            served = before.serving if before is not None and before.HasField("serving") else None
            self._manager.retire(data_type, state.decided, served)

    def _learn(self, data_type: str, store: ModelStore) -> LiveModel | None:
        """The model of a data type that has no live one in this instance: from the log if it is ahead of the state."""
        state = serving_state.decode(store.get(data_type))
        if state is None:
            self._look_ahead(data_type)
        ahead = self._ahead_of_state.get(data_type)
        if ahead is not None:
            return self._serve(ServingState(decided=ahead.decided, serving=ahead.model), store)
        return None if state is None else self._serve(state, store)

    def _serve(self, state: ServingState, store: ModelStore) -> LiveModel | None:
        """The serving model of `state`, now; where it cannot be loaded, the last good one."""
        for model in serving_state.models(state):
            self._manager.aspire(self._pieces.complete(model, store), state.decided, needed=True)
            live = self._manager.live(model.descriptor.dataType)
            if live is not None:
                return live
        return None

    def _look_ahead(self, data_type: str) -> None:
        """Learn from the log what serves a data type that has no state."""
        newest = self._model_log().get(data_type)
        if newest is not None:
            self._ahead_of_state[data_type] = newest
            if newest.model is not None:
                self._manager.aspire(newest.model, newest.decided)
            else:
                self._manager.retire(data_type, newest.decided)

    def _on_event(self, kind: EventKind, descriptor: ModelDescriptor, offset: int, detail: str) -> None:
        event = model_event(
            kind,
            descriptor,
            at_ms=self._clock_us() // 1000,
            instance=self._instance,
            position=LogPosition(topic=self._topics.models, offset=offset),
            detail=detail,
        )
        self._events.append(event)

    def _take_events(self) -> Iterator[Outgoing]:
        if self._events:
            events, self._events = self._events, []
            yield outgoing_events(events)

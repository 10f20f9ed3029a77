"""The join of models and records, as both Flink joins run it; free of Flink."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

from modelserving.decoding import TypedBatch
from modelserving.errors import ModelServingError
from modelserving.manager import LiveModel, ServableManager
from modelserving.outgoing import Outgoing
from modelserving.scoring import reject_all, score
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import AdmittedModel, Decision, ServingState

STATE_SCHEMA = 1


class ModelStore(Protocol):
    """Checkpointed state: data type → encoded `ServingState`."""

    def get(self, data_type: str) -> bytes | None:
        """The state of a data type, or None."""
        ...

    def put(self, data_type: str, state: bytes) -> None:
        """Keep the state of a data type; only called while a decision is taken in."""
        ...


class Join:
    """Scores batches with the model that serves their data type, and takes in admission's decisions.

    Args:
        topic: the records' topic, for the results' positions.
        manager: the live models of this instance.
        model_log: reads the model log; called for a data type that has no model in the state.
        clock_us: epoch microseconds.
    """

    def __init__(
        self,
        topic: str,
        manager: ServableManager,
        model_log: Callable[[], Mapping[str, AdmittedModel]],
        clock_us: Callable[[], int],
    ) -> None:
        self._topic = topic
        self._manager = manager
        self._model_log = model_log
        self._clock_us = clock_us

    def on_decision(self, encoded: bytes, store: ModelStore) -> None:
        """Take in a decision: keep it in the state, and aspire to it from the next batch on."""
        decision = Decision.FromString(encoded)
        before = _decode_state(store.get(decision.data_type))
        after = ServingState(schema=STATE_SCHEMA, serving=decision.admitted)
        if before.HasField("serving"):
            if decision.admitted.offset <= before.serving.offset:
                return
            after.last_good.CopyFrom(before.serving)
        else:
            # Perhaps the first decision of a backlog: the newest model may be far behind it.
            self._aspire_to_newest_on_log(decision.data_type)
        store.put(decision.data_type, after.SerializeToString())
        self._manager.aspire(decision.admitted)

    def on_batch(self, batch: TypedBatch, store: ModelStore) -> Iterator[Outgoing]:
        """Score one batch; every record of it leaves as a result or as a rejected record."""
        live = self._manager.live(batch.data_type) or self._learn(batch.data_type, store)
        if live is None:
            detail = f"no model for data type {batch.data_type!r} yet; publish one"
            yield reject_all(batch, self._topic, Reason.NO_MODEL, detail, self._clock_us)
        else:
            yield from score(batch, self._topic, live.servable, live.version, self._clock_us)

    def close(self) -> None:
        """Free the live models."""
        self._manager.close()

    def _learn(self, data_type: str, store: ModelStore) -> LiveModel | None:
        """The model of a data type that has no live one in this instance: from the state, else from the log."""
        state = _decode_state(store.get(data_type))
        if not state.HasField("serving"):
            self._aspire_to_newest_on_log(data_type)
            return self._manager.live(data_type)
        self._manager.aspire(state.serving)
        live = self._manager.live(data_type)
        if live is None and state.HasField("last_good"):
            self._manager.aspire(state.last_good)
            live = self._manager.live(data_type)
        return live

    def _aspire_to_newest_on_log(self, data_type: str) -> None:
        newest = self._model_log().get(data_type)
        if newest is not None:
            self._manager.aspire(newest)


def _decode_state(encoded: bytes | None) -> ServingState:
    if encoded is None:
        return ServingState()
    state = ServingState.FromString(encoded)
    if state.schema > STATE_SCHEMA:
        raise ModelServingError(
            f"the state has schema {state.schema}, this release knows {STATE_SCHEMA}; restore it with a newer release"
        )
    return state

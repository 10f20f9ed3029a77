"""What a join keeps of a data type, and how a decision of admission changes it; pure functions."""

from __future__ import annotations

from modelserving.errors import ModelServingError
from modelserving.versions import is_retired
from modelserving.wire.state_pb2 import AdmittedModel, Decision, ServingState

STATE_SCHEMA = 2


def decode(encoded: bytes | None) -> ServingState | None:
    """The state of a data type in today's schema; None if there is none.

    Raises:
        ModelServingError: a later release wrote it.
    """
    if encoded is None:
        return None
    state = ServingState.FromString(encoded)
    if state.schema > STATE_SCHEMA:
        raise ModelServingError(
            f"the state has schema {state.schema}, this release knows {STATE_SCHEMA}; restore it with a newer release"
        )
    if state.schema == 1:
        state.decided = state.serving.offset
        state.schema = STATE_SCHEMA
    return state


def after(before: ServingState | None, decision: Decision) -> ServingState:
    """The state once `decision` is taken in: the model that serves, and the last good one beside it."""
    before = before or ServingState()
    state = ServingState(schema=STATE_SCHEMA, decided=decision.offset)
    if not decision.HasField("retired"):
        # A decision may come again: delivery at least once, after a restore.
        again = before.HasField("serving") and before.serving.offset == decision.admitted.offset
        last_good = "last_good" if again else "serving"
        state.serving.CopyFrom(decision.admitted)
        if before.HasField(last_good):
            state.last_good.CopyFrom(getattr(before, last_good))
        return state
    kept = [model for model in models(before) if not is_retired(model.descriptor, decision.retired)]
    if decision.HasField("admitted"):
        state.serving.CopyFrom(decision.admitted)
    elif decision.retired.serving >= 0 and kept:
        # Not told apart by offset: of a model that release 0.1.0 admitted, admission does not know it.
        state.serving.CopyFrom(kept.pop(0))
    if kept and before.HasField("last_good") and kept[-1].offset == before.last_good.offset:
        state.last_good.CopyFrom(kept[-1])
    return state


def models(state: ServingState | None) -> list[AdmittedModel]:
    """The serving and the last good model, as far as there are such."""
    if state is None:
        return []
    models = [state.serving] if state.HasField("serving") else []
    return models + ([state.last_good] if state.HasField("last_good") else [])

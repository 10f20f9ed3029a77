"""A large model's bytes travel to the joins, and are kept in their state, in pieces.

What an instance takes in at once, its next batch of records waits for; megabytes would show in the latency.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from modelserving.errors import ModelServingError
from modelserving.wire.state_pb2 import AdmittedModel, Decision, ModelPiece

PIECE_BYTES = 256 * 1024


class PieceStore(Protocol):
    """Checkpointed state, by name."""

    def get(self, name: str) -> bytes | None:
        """What is kept under a name, or None."""
        ...

    def put(self, name: str, value: bytes) -> None:
        """Keep `value`."""
        ...

    def remove(self, name: str) -> None:
        """Keep it no longer."""
        ...


def split(decision: Decision) -> Iterator[Decision]:
    """The pieces of the decision's model, then the decision without its bytes; a small model stays in one."""
    data = decision.admitted.descriptor.data
    if len(data) <= PIECE_BYTES:
        yield decision
        return
    admitted = decision.admitted
    starts = range(0, len(data), PIECE_BYTES)
    for number, start in enumerate(starts):
        piece = ModelPiece(offset=admitted.offset, number=number, data=data[start : start + PIECE_BYTES])
        yield Decision(schema=decision.schema, data_type=decision.data_type, offset=decision.offset, piece=piece)
    last = Decision()
    last.CopyFrom(decision)
    last.admitted.descriptor.data = b""
    last.admitted.pieces = len(starts)
    yield last


class Pieces:
    """The pieces that a join has been given: in its state, and until their model is decided about in memory too."""

    def __init__(self) -> None:
        self._fresh: dict[tuple[str, int], dict[int, bytes]] = {}

    def keep(self, data_type: str, piece: ModelPiece, store: PieceStore) -> None:
        """Take in one piece."""
        store.put(_name(data_type, piece.offset, piece.number), piece.SerializeToString())
        self._fresh.setdefault((data_type, piece.offset), {})[piece.number] = piece.data

    def decided(self, data_type: str) -> None:
        """A decision has come: what came before it is needed in memory no longer."""
        self._fresh = {name: pieces for name, pieces in self._fresh.items() if name[0] != data_type}

    def complete(self, model: AdmittedModel, store: PieceStore) -> AdmittedModel:
        """The model with its bytes.

        Raises:
            ModelServingError: a piece is missing in the state.
        """
        if not model.pieces:
            return model
        whole = AdmittedModel()
        whole.CopyFrom(model)
        whole.pieces = 0
        whole.descriptor.data = b"".join(self._piece(model, number, store) for number in range(model.pieces))
        return whole

    def _piece(self, model: AdmittedModel, number: int, store: PieceStore) -> bytes:
        data_type = model.descriptor.dataType
        fresh = self._fresh.get((data_type, model.offset), {}).get(number)
        if fresh is not None:
            return fresh
        kept = store.get(_name(data_type, model.offset, number))
        if kept is None:
            missing = f"piece {number} of {model.pieces}"
            raise ModelServingError(f"the state lacks {missing} of the model of {data_type!r} at offset {model.offset}")
        return ModelPiece.FromString(kept).data


def forget(data_type: str, models: Sequence[AdmittedModel], kept: Sequence[AdmittedModel], store: PieceStore) -> None:
    """Remove the pieces of `models`, but for those that are `kept`."""
    offsets = {model.offset for model in kept}
    for model in models:
        if model.offset not in offsets:
            for number in range(model.pieces):
                store.remove(_name(data_type, model.offset, number))


def _name(data_type: str, offset: int, number: int) -> str:
    # No data type is named so: a name has no such character.
    return f"{data_type}\x00{offset}\x00{number}"

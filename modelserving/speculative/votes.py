"""Votes: what one model said to some records of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelserving.servable import ModelVersion, RecordFailure
from modelserving.wire import speculative_pb2 as wire
from modelserving.wire.speculative_pb2 import VoteFailure, VoteState

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class ModelVotes:
    """What one model said to r records: a label, a number or a vector; or for each why it did not."""

    model: str
    """The name it was asked by."""
    rows: NDArray[np.int32]
    """(r,) rows of the request's batch, each once."""
    states: NDArray[np.int8]
    """(r,) VoteState; where it is not ANSWERED, the other arrays may hold anything."""
    version: ModelVersion | None = None
    numbers: NDArray[np.float64] | None = None
    """(r,)"""
    classes: tuple[str, ...] = ()
    label_index: NDArray[np.int32] | None = None
    """(r,) index into `classes`."""
    outputs: NDArray[np.float64] | None = None
    """(r, w)"""
    confidence: NDArray[np.float64] | None = None
    """(r,) from 0 to 1; not a number where the model tells none."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Figures of the model version, one of which its answers may be judged by."""
    failures: tuple[RecordFailure, ...] = ()
    """Why for each that FAILED; `row` is an index into `rows`."""
    detail: str = ""
    """Of votes that are no answer, and not in `failures`."""
    taken_us: int = 0
    """From when the lane got the records, or the model was loaded if that was later, to the answer."""
    score_us: int = 0
    """Of that, the model's own work."""

    def moved_to(self, rows: NDArray[np.int32]) -> ModelVotes:
        """The same for a request of which the lane got only these rows."""
        return replace(self, rows=rows[self.rows])


def no_votes(model: str, rows: NDArray[np.int32], state: VoteState, detail: str) -> ModelVotes:
    """The votes of a model that answers none of the records, for one reason."""
    return ModelVotes(model, rows, np.full(len(rows), state, np.int8), detail=detail)


def encode_votes(request: str, votes: ModelVotes) -> bytes:
    """The votes on a request as a message between operators."""
    return votes_message(request, votes).SerializeToString()


def votes_message(request: str, votes: ModelVotes) -> wire.ModelVotes:
    """The message that `encode_votes` encodes."""
    version = votes.version or ModelVersion("", "", "")
    return wire.ModelVotes(
        schema=SCHEMA,
        request=request,
        model=votes.model,
        model_version=version.version,
        model_sha256=version.sha256,
        rows=_bytes(votes.rows, "<i4"),
        states=_bytes(votes.states, "i1"),
        numbers=_bytes(votes.numbers, "<f8"),
        classes=votes.classes,
        label_index=_bytes(votes.label_index, "<i4"),
        outputs=_bytes(votes.outputs, "<f8"),
        confidence=_bytes(votes.confidence, "<f8"),
        metrics=votes.metrics,
        failures=[VoteFailure(row=each.row, reason=each.reason, detail=_text(each.detail)) for each in votes.failures],
        detail=_text(votes.detail),
        taken_us=votes.taken_us,
        score_us=votes.score_us,
    )


def decode_votes(encoded: bytes) -> tuple[str, ModelVotes]:
    """The request, and the votes on it, of what `encode_votes` made.

    Raises:
        ValueError: it is of a later release.
    """
    return votes_of(wire.ModelVotes.FromString(encoded))


def votes_of(message: wire.ModelVotes) -> tuple[str, ModelVotes]:
    """The request, and the votes on it, of a message of `votes_message`.

    Raises:
        ValueError: it is of a later release.
    """
    if message.schema > SCHEMA:
        raise ValueError(f"votes of schema {message.schema} were written by a later release than this")
    rows = np.frombuffer(message.rows, "<i4")
    outputs = _array(message.outputs, "<f8")
    votes = ModelVotes(
        model=message.model,
        rows=rows,
        states=np.frombuffer(message.states, "i1"),
        version=ModelVersion(message.model, message.model_version, message.model_sha256)
        if message.model_sha256 or message.model_version
        else None,
        numbers=_array(message.numbers, "<f8"),
        classes=tuple(message.classes),
        label_index=_array(message.label_index, "<i4"),
        outputs=None if outputs is None else outputs.reshape(len(rows), -1),
        confidence=_array(message.confidence, "<f8"),
        metrics=dict(message.metrics),
        failures=tuple(RecordFailure(each.row, each.reason, each.detail) for each in message.failures),
        detail=message.detail,
        taken_us=message.taken_us,
        score_us=message.score_us,
    )
    return message.request, votes


def _bytes(array: NDArray[Any] | None, dtype: str) -> bytes:
    return b"" if array is None else array.astype(dtype).tobytes()


def _array(encoded: bytes, dtype: str) -> NDArray[Any] | None:
    return np.frombuffer(encoded, dtype) if encoded else None


def _text(detail: str) -> str:
    """An exception's text may hold what UTF-8 cannot express."""
    return detail.encode("utf-8", "replace").decode("utf-8")

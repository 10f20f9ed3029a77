"""Messages: decisions and late answers of a batch, encoded in one call each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from ptars import HandlerPool

from modelserving.servable import ModelVersion
from modelserving.speculative.ballot import Ballot
from modelserving.speculative.deciding import Decided
from modelserving.speculative.request import Request
from modelserving.wire.speculative_pb2 import LateAnswer, SpeculativeDecision, VoteState

_POOL = HandlerPool([SpeculativeDecision.DESCRIPTOR.file])
_DECISIONS = _POOL.get_for_message(SpeculativeDecision.DESCRIPTOR)
_LATE_ANSWERS = _POOL.get_for_message(LateAnswer.DESCRIPTOR)
_POSITION = ("partition", "offset", "timestamp_ms")
_NOBODY = ModelVersion("", "", "")


@dataclass(frozen=True, slots=True)
class Encoded:
    """r messages."""

    values: pa.Array
    """(r,) binary, without the prefix."""
    prefix: bytes
    """What each begins with: what is the same in all, encoded once."""

    @property
    def messages(self) -> list[bytes]:
        """Each as a whole."""
        return [self.prefix + value for value in self.values.to_pylist()]


def encode_decisions(request: Request, decided: Decided, records: pa.RecordBatch, topic: str) -> Encoded:
    """One encoded `SpeculativeDecision` for each of the records that were decided.

    Args:
        request: as it was when it was decided.
        decided: what the request decided just now; at least one record.
        records: all of the request's records: columns of `decoding.RAW_SCHEMA`, of which the value is not needed.
        topic: the records' topic.
    """
    ballot, policy, rows = request.ballot, request.policy, decided.rows
    decided_us = int(request.decided_us[rows[0]])
    prefix = SpeculativeDecision(
        data_type=policy.data_type,
        rule=policy.rule,
        quorum=policy.needed if policy.is_voted else 0,
        decider=policy.decider,
        timeout_ms=policy.timeout_ms,
        received_at_ms=request.received_us // 1000,
        decided_at_ms=decided_us // 1000,
        latency_us=max(0, decided_us - request.received_us),
        late_us=max(0, decided_us - request.deadline_us),
    ).SerializeToString()
    # By record, and within it by trust.
    asked = ballot.asked[:, rows].T
    index, models = np.nonzero(asked)
    counts = asked.sum(axis=1)
    offsets = np.concatenate(([0], np.cumsum(counts)))
    single = np.where(decided.counted.sum(axis=0) == 1, decided.counted.argmax(axis=0), len(ballot.models))
    details = [decided.details.get(row, "") for row in range(len(rows))] if decided.details else [""] * len(rows)
    columns = {
        **_answers(ballot, decided.numbers, decided.labels),
        "outputs": _vectors(
            [decided.vectors.get(row, ()) for row in range(len(rows))] if decided.vectors else len(rows)
        ),
        "why": pa.array(decided.why.astype(np.int32)),
        "detail": pa.array([_text(detail) for detail in details], pa.string()),
        "at_deadline": pa.array(decided.at_deadline),
        "votes": pa.ListArray.from_arrays(
            pa.array(offsets.astype(np.int32)),
            _votes(ballot, models, rows[index], decided.counted[models, index]),
        ),
        "model_name": pa.array([*ballot.models, ""], pa.string()).take(pa.array(single)),
        "record": _positions(records, rows, topic),
    }
    return Encoded(_DECISIONS.record_batch_to_array(pa.RecordBatch.from_pydict(columns)), prefix)


def encode_late_answers(
    request: Request, model: str, rows: NDArray[np.int64], records: pa.RecordBatch, *, topic: str, now_us: int
) -> Encoded:
    """One encoded `LateAnswer` for each of `rows`, those that `Request.add` gave for votes of `model`.

    Args:
        records: all of the request's records: columns of `decoding.RAW_SCHEMA`, of which the value is not needed.
        topic: the records' topic.
        now_us: when the votes came, epoch microseconds.
    """
    ballot = request.ballot
    number = ballot.models.index(model)
    prefix = LateAnswer(
        data_type=request.policy.data_type, after_deadline_us=now_us - request.deadline_us
    ).SerializeToString()
    compared, agreed = request.agreement(number, rows)
    decided_us = request.decided_us[rows]
    columns = {
        "vote": _votes(ballot, np.full(len(rows), number), rows, np.zeros(len(rows), bool)),
        "record": _positions(records, rows, topic),
        "why": pa.array(request.why[rows].astype(np.int32)),
        "agrees": pa.array(agreed, mask=~compared),
        "decided_at_ms": pa.array(decided_us // 1000),
        "after_decision_us": pa.array(np.maximum(0, now_us - decided_us)),
    }
    return Encoded(_LATE_ANSWERS.record_batch_to_array(pa.RecordBatch.from_pydict(columns)), prefix)


def _votes(
    ballot: Ballot, models: NDArray[np.intp], rows: NDArray[np.int64], counted: NDArray[np.bool_]
) -> pa.StructArray:
    """The votes of `models` on `rows`, one each."""
    states, part = ballot.states[models, rows], ballot.part[models, rows]
    versions = [votes.version or _NOBODY for votes in ballot.votes]
    version_of = pa.array(np.where(part < 0, len(versions), part))

    def of_part(values: list[Any], none: Any, kind: pa.DataType) -> pa.Array:
        return pa.array([*values, none], kind).take(version_of)

    answered = states == VoteState.ANSWERED
    bare = answered & np.isnan(ballot.numbers[models, rows]) & (ballot.labels[models, rows] < 0)
    reasons, details = np.zeros(len(rows), np.int32), [""] * len(rows)
    for index in np.flatnonzero(~answered & (part >= 0)).tolist():
        reason, detail = ballot.why_none(int(models[index]), int(rows[index]))
        reasons[index], details[index] = reason, _text(detail)
    vectors: list[tuple[float, ...]] | int = len(rows)
    if bare.any():
        vectors = [
            ballot.vector(int(model), int(row)) if is_bare else ()
            for model, row, is_bare in zip(models, rows, bare, strict=True)
        ]
    columns = {
        "model": pa.array(ballot.models).take(pa.array(models)),
        "model_version": of_part([version.version for version in versions], "", pa.string()),
        "model_sha256": of_part([version.sha256 for version in versions], "", pa.string()),
        **_answers(ballot, ballot.numbers[models, rows], ballot.labels[models, rows]),
        "outputs": _vectors(vectors),
        "confidence": pa.array(ballot.confidence[models, rows], from_pandas=True),
        "quality": pa.array(ballot.quality[models, rows], from_pandas=True),
        "state": pa.array(states.astype(np.int32)),
        "reason": pa.array(reasons),
        "detail": pa.array(details, pa.string()),
        "taken_us": of_part([votes.taken_us for votes in ballot.votes], 0, pa.int64()),
        "score_us": of_part([votes.score_us for votes in ballot.votes], 0, pa.int64()),
        "shadow": pa.array(~ballot.voting[models, rows]),
        "counted": pa.array(counted),
    }
    return pa.StructArray.from_arrays(list(columns.values()), list(columns))


def _answers(ballot: Ballot, numbers: NDArray[np.float64], labels: NDArray[np.int32]) -> dict[str, pa.Array]:
    """The columns of an answer that is a number or a label; null where it is not."""
    names = pa.array(ballot.label_names, pa.string())
    return {
        "number": pa.array(numbers, from_pandas=True),
        "label": names.take(pa.array(labels, mask=labels < 0)),
    }


def _vectors(vectors: list[tuple[float, ...]] | int) -> pa.Array:
    """The vectors, or so many empty ones."""
    if isinstance(vectors, int):
        return pa.ListArray.from_arrays(pa.array(np.zeros(vectors + 1, np.int32)), pa.array([], pa.float64()))
    return pa.array(vectors, pa.list_(pa.float64()))


def _positions(records: pa.RecordBatch, rows: NDArray[np.int64], topic: str) -> pa.StructArray:
    at = pa.array(rows)
    columns = [pa.repeat(topic, len(rows)), *(records.column(name).take(at) for name in _POSITION)]
    return pa.StructArray.from_arrays(columns, ["topic", *_POSITION])


def _text(detail: str) -> str:
    """An exception's text may hold what UTF-8 cannot express."""
    return detail.encode("utf-8", "replace").decode("utf-8")

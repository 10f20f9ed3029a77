"""Scoring a batch: one call where all goes well, as few as possible where not, and nothing lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pytest

from modelserving.configuration import load_data_types
from modelserving.decoding import Decoder, TypedBatch
from modelserving.scoring import reject_all, score
from modelserving.servable import Domain, RecordFailure, Scores
from modelserving.wire.serving_pb2 import Reason
from tests.core.cases import (
    FIRST_OFFSET,
    MODEL,
    RECEIVED_US,
    TOPIC,
    FakeServable,
    clock_us,
    raw,
    reasons,
    rejected_of,
    results_of,
    tally,
    wine,
)

DATA_TYPES = load_data_types()
INPUTS = DATA_TYPES["wine"].feature_names


def typed(rows: int, keys: list[bytes | None] | None = None) -> TypedBatch:
    """A batch of wines, each with its row as alcohol."""
    values = [wine(alcohol=float(row)) for row in range(rows)]
    (batch,) = Decoder(DATA_TYPES, TOPIC).decode(raw(values, keys), RECEIVED_US).batches
    return batch


class Fixed:
    """Answers with what it was given."""

    inputs = INPUTS
    domain: Mapping[str, Domain] = {}
    engine = "fixed"
    engine_reason = ""

    def __init__(self, scores: Scores) -> None:
        self.scores = scores

    def score(self, _: pa.RecordBatch) -> Scores:
        return self.scores

    def close(self) -> None:
        """Nothing to free."""


def test_all_scored_in_one_call() -> None:
    servable = FakeServable(INPUTS)
    (outgoing,) = score(typed(5, [b"a", None, b"", b"d", b"e"]), TOPIC, servable, MODEL, clock_us, tally=tally())
    assert servable.calls == 1
    assert outgoing.role == "results"
    assert outgoing.keys.to_pylist() == [b"a", None, b"", b"d", b"e"]
    results = results_of([outgoing])
    assert [result.number for result in results] == [0, 1, 2, 3, 4]
    for row, result in enumerate(results):
        assert (result.data_type, result.model_name, result.model_version) == ("wine", MODEL.name, MODEL.version)
        assert result.model_sha256 == MODEL.sha256
        assert (result.record.topic, result.record.partition, result.record.offset) == (TOPIC, 3, FIRST_OFFSET + row)
        assert result.record.timestamp_ms == 1_650_000_000_000
        assert (result.scored_at_ms, result.latency_us) == (RECEIVED_US // 1000 + 5, 5_000)


def test_latency_is_never_negative() -> None:
    (outgoing,) = score(typed(1), TOPIC, FakeServable(INPUTS), MODEL, lambda: RECEIVED_US - 9_000, tally=tally())
    assert results_of([outgoing])[0].latency_us == 0


@pytest.mark.parametrize("poison", [[0], [511], [1023], [3, 4, 1000], list(range(1024))], ids=str)
def test_only_what_makes_the_model_raise_is_rejected(poison: list[int]) -> None:
    def fail(batch: pa.RecordBatch) -> Sequence[RecordFailure]:
        if set(poison) & set(batch.column("alcohol").to_pylist()):
            raise ValueError("poison")
        return ()

    servable = FakeServable(INPUTS, fail)
    keys: list[bytes | None] = [b"%d" % row for row in range(1024)]
    outgoing = score(typed(1024, keys), TOPIC, servable, MODEL, clock_us, tally=tally())
    assert [int(result.number) for result in results_of(outgoing)] == [r for r in range(1024) if r not in poison]
    rejected = rejected_of(outgoing)
    assert [one.position.offset - FIRST_OFFSET for one in rejected] == poison
    assert set(reasons(rejected)) == {"MODEL_FAILED"}
    assert rejected[0].detail == "the model raised ValueError: poison"
    for one in outgoing:
        offsets = [result.record.offset for result in results_of([one])]
        offsets += [rejection.position.offset for rejection in rejected_of([one])]
        assert [int(key or b"") + FIRST_OFFSET for key, _ in one.messages] == offsets
    if len(poison) == 1:
        assert servable.calls == 1 + 2 * 10  # both halves at each of log2(1024) levels


def test_failures_of_the_model_keep_their_reason() -> None:
    failures = (RecordFailure(2, Reason.INVALID_VALUE, "two"), RecordFailure(0, Reason.INVALID_VALUE, "zero"))
    outgoing = score(typed(3), TOPIC, FakeServable(INPUTS, lambda _: failures), MODEL, clock_us, tally=tally())
    assert [result.number for result in results_of(outgoing)] == [1]
    assert [(one.detail, one.reason) for one in rejected_of(outgoing)] == [
        ("zero", Reason.INVALID_VALUE),
        ("two", Reason.INVALID_VALUE),
    ]


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("place", ["numbers", "probabilities", "outputs"])
def test_answers_that_are_not_finite_do_not_leave(place: str, odd: float) -> None:
    answers = np.array([0.25, odd, 0.75]) if place == "numbers" else np.array([[0.25, 0.5], [0.5, odd], [0.5, 0.75]])
    scores = {
        "numbers": lambda: Scores(3, numbers=answers),
        "probabilities": lambda: Scores(
            3, classes=("a", "b"), label_index=np.zeros(3, np.int32), probabilities=answers
        ),
        "outputs": lambda: Scores(3, outputs=answers),
    }[place]()
    outgoing = score(typed(3), TOPIC, Fixed(scores), MODEL, clock_us, tally=tally())
    assert [result.record.offset - FIRST_OFFSET for result in results_of(outgoing)] == [0, 2]
    assert reasons(rejected_of(outgoing)) == ["MODEL_FAILED"]
    assert "not finite" in rejected_of(outgoing)[0].detail


def test_failed_rows_may_hold_anything() -> None:
    scores = Scores(
        2,
        classes=("a",),
        label_index=np.array([7, 0], np.int32),
        probabilities=np.array([[np.nan], [1.0]]),
        failures=(RecordFailure(0, Reason.INVALID_VALUE, "zero"),),
    )
    outgoing = score(typed(2), TOPIC, Fixed(scores), MODEL, clock_us, tally=tally())
    assert [result.label for result in results_of(outgoing)] == ["a"]
    assert reasons(rejected_of(outgoing)) == ["INVALID_VALUE"]


def test_a_servable_that_miscounts_is_a_bug() -> None:
    with pytest.raises(RuntimeError, match="gave 2 answers to 3 records"):
        score(typed(3), TOPIC, Fixed(Scores(2, numbers=np.zeros(2))), MODEL, clock_us, tally=tally())


def test_reject_all() -> None:
    batch = typed(3, [b"a", None, b"c"])
    outgoing = reject_all(batch, TOPIC, Reason.NO_MODEL, "no model yet", clock_us, tally=tally())
    assert outgoing.keys.to_pylist() == [b"a", None, b"c"]
    rejected = rejected_of([outgoing])
    assert [one.position.offset - FIRST_OFFSET for one in rejected] == [0, 1, 2]
    assert [one.original for one in rejected] == [wine(alcohol=float(row)) for row in range(3)]
    assert {(one.reason, one.detail, one.data_type, one.model_name) for one in rejected} == {
        (Reason.NO_MODEL, "no model yet", "wine", "")
    }

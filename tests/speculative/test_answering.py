"""Answering: each record gets its vote, whatever the model does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from modelserving.servable import RecordFailure, Scores
from modelserving.speculative.answering import answer
from modelserving.speculative.votes import ModelVotes
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.speculative_pb2 import VoteState


def batch(rows: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"x": np.arange(float(rows))})


def one(scores: Callable[[pa.RecordBatch], Scores], rows: int = 3) -> ModelVotes:
    (votes,) = answer(scores, batch(rows))
    assert votes.rows.tolist() == list(range(rows))
    return votes


def test_numbers() -> None:
    votes = one(lambda asked: Scores(asked.num_rows, numbers=asked.column("x").to_numpy()))
    assert votes.numbers is not None
    assert votes.numbers.tolist() == [0.0, 1.0, 2.0]
    assert votes.states.tolist() == [VoteState.ANSWERED] * 3
    assert votes.confidence is None


def test_labels_with_their_probabilities() -> None:
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5], [1.5, 0.0]])
    index = np.array([1, 0, 0], np.int32)
    votes = one(lambda _: Scores(3, classes=("a", "b"), label_index=index, probabilities=probabilities))
    assert [votes.classes[each] for each in (votes.label_index if votes.label_index is not None else ())] == [*"baa"]
    assert votes.confidence is not None
    assert votes.confidence.tolist() == [0.75, 0.5, 1.0]


def test_labels_with_outputs_that_could_be_probabilities() -> None:
    outputs = np.array([[0.25, 0.75], [-3.0, 0.5], [0.5, 5.0]])
    index = np.array([1, 1, 1], np.int32)
    votes = one(lambda _: Scores(3, classes=("a", "b"), label_index=index, outputs=outputs))
    assert votes.outputs is None
    assert votes.confidence is not None
    assert votes.confidence[0] == 0.75
    assert np.isnan(votes.confidence[1:]).all()


def test_vectors() -> None:
    votes = one(lambda _: Scores(3, outputs=np.ones((3, 2), np.float32)))
    assert votes.outputs is not None
    assert votes.outputs.dtype == np.float64
    assert votes.outputs.tolist() == [[1.0, 1.0]] * 3


def test_failures_and_answers_that_are_not_finite() -> None:
    failures = (RecordFailure(2, Reason.INVALID_VALUE, "no such thing"),)
    votes = one(lambda _: Scores(3, numbers=np.array([1.0, np.inf, 0.0]), failures=failures))
    assert votes.states.tolist() == [VoteState.ANSWERED, VoteState.FAILED, VoteState.FAILED]
    assert {(each.row, each.reason) for each in votes.failures} == {(1, Reason.MODEL_FAILED), (2, Reason.INVALID_VALUE)}


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        (Scores(2, numbers=np.zeros(2)), "2 answers to 3 records"),
        (Scores(3, numbers=np.zeros(2)), "shape"),
        (Scores(3), "neither a number nor a label nor outputs"),
        (Scores(3, classes=("a",), label_index=np.array([0, 1, 0], np.int32)), "a label that it has no name for"),
        (Scores(3, outputs=np.zeros((3, 0))), "shape"),
        (None, "AttributeError"),
    ],
)
def test_answers_that_are_none(scores: Scores, told: str) -> None:
    votes = one(lambda _: scores)
    assert votes.states.tolist() == [VoteState.FAILED] * 3
    assert all(told in failure.detail for failure in votes.failures)


@pytest.mark.parametrize("poison", [{0}, {511}, {3, 4, 1000}, set(range(64))], ids=len)
def test_only_what_makes_the_model_raise_fails(poison: set[int]) -> None:
    def score(asked: pa.RecordBatch) -> Scores:
        if poison & set(asked.column("x").to_pylist()):
            raise ValueError("poison")
        return Scores(asked.num_rows, numbers=asked.column("x").to_numpy())

    states: dict[int, int] = {}
    for votes in answer(score, batch(1024)):
        for index, row in enumerate(votes.rows.tolist()):
            assert row not in states
            states[row] = int(votes.states[index])
            assert states[row] or (votes.numbers is not None and votes.numbers[index] == row)
    assert {row for row, state in states.items() if state == VoteState.FAILED} == poison
    assert len(states) == 1024


def test_past_the_deadline_no_culprit_is_looked_for() -> None:
    calls: list[int] = []

    def score(asked: pa.RecordBatch) -> Scores:
        calls.append(asked.num_rows)
        raise ValueError("x" * 10_000)

    found = answer(score, batch(64), lambda: len(calls) >= 3)
    assert len(calls) <= 7
    assert sum(len(votes.rows) for votes in found) == 64
    assert all(len(failure.detail) == 500 for votes in found for failure in votes.failures)

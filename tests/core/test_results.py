"""Encoded results against a plain encoder of one message after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.results import encode_results
from modelserving.servable import Scores
from modelserving.wire.serving_pb2 import LogPosition, ServingResult
from tests.core.cases import FIRST_OFFSET, MODEL, RECEIVED_US, TOPIC, raw

FINITE = st.floats(allow_nan=False, allow_infinity=False)


def encode(scores: Scores) -> list[bytes]:
    outgoing = encode_results(
        raw([b"x"] * scores.rows),
        scores,
        topic=TOPIC,
        data_type="wïne",
        model=MODEL,
        received_us=RECEIVED_US,
        now_us=RECEIVED_US + 7_000,
    )
    assert outgoing.role == "results"
    return [value for _, value in outgoing.messages]


def plainly(scores: Scores) -> list[ServingResult]:
    """What the results must say, built field by field."""
    results = []
    for row in range(scores.rows):
        result = ServingResult(
            data_type="wïne",
            model_name=MODEL.name,
            model_version=MODEL.version,
            model_sha256=MODEL.sha256,
            record=LogPosition(topic=TOPIC, partition=3, offset=FIRST_OFFSET + row, timestamp_ms=1_650_000_000_000),
            scored_at_ms=(RECEIVED_US + 7_000) // 1000,
            latency_us=7_000,
        )
        if scores.label_index is not None:
            result.label = scores.classes[scores.label_index[row]]
        elif scores.numbers is not None:
            result.number = scores.numbers[row]
        if scores.probabilities is not None and not (scores.label_alone is not None and scores.label_alone[row]):
            for name, probability in zip(scores.classes, scores.probabilities[row], strict=True):
                result.probabilities[name] = probability + 0.0  # ptars makes 0 of a -0 in a map
        if scores.outputs is not None:
            result.outputs.extend(scores.outputs[row])
        results.append(result)
    return results


@st.composite
def all_scores(draw: Any) -> Scores:
    """Scores of every shape."""
    rows = draw(st.integers(0, 6))
    classes = tuple(draw(st.lists(st.text(st.characters(codec="utf-8")), min_size=1, max_size=4, unique=True)))

    def matrix(width: int) -> Any:
        values = draw(st.lists(FINITE, min_size=rows * width, max_size=rows * width))
        # Not contiguous, as a transposed answer of a model is not.
        return np.asfortranarray(np.array(values, np.float64).reshape(rows, width))

    labels = draw(st.lists(st.integers(0, len(classes) - 1), min_size=rows, max_size=rows))
    alone = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    return Scores(
        rows,
        numbers=draw(st.sampled_from([None, matrix(1)[:, 0]])),
        classes=classes,
        label_index=draw(st.sampled_from([None, np.array(labels, np.int32)])),
        probabilities=draw(st.sampled_from([None, matrix(len(classes))])),
        label_alone=draw(st.sampled_from([None, np.array(alone, bool)])),
        outputs=draw(st.sampled_from([None, matrix(draw(st.integers(0, 9)))])),
    )


@given(all_scores())
def test_equal_to_the_plain_encoder(scores: Scores) -> None:
    assert [ServingResult.FromString(value) for value in encode(scores)] == plainly(scores)


def test_zero_is_a_number() -> None:
    decoded = [ServingResult.FromString(value) for value in encode(Scores(2, numbers=np.array([0.0, -0.0])))]
    assert [result.WhichOneof("answer") for result in decoded] == ["number", "number"]


def test_an_empty_label_is_a_label() -> None:
    (value,) = encode(Scores(1, classes=("",), label_index=np.zeros(1, np.int32)))
    assert ServingResult.FromString(value).WhichOneof("answer") == "label"


def test_the_position_is_one_submessage() -> None:
    # A submessage in two parts is legal, but some protobuf libraries keep only its last part.
    (value,) = encode(Scores(1, numbers=np.ones(1)))
    position = plainly(Scores(1, numbers=np.ones(1)))[0].record.SerializeToString()
    assert value.count(b"\x4a" + bytes([len(position)]) + position) == 1


def test_classes_that_do_not_fit_the_probabilities_are_a_bug() -> None:
    with pytest.raises(pa.ArrowInvalid):
        encode(Scores(2, classes=("a", "b", "c"), probabilities=np.zeros((2, 2))))

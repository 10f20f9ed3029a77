"""A row that gets a label without probabilities leaves those of the other rows alone, up to the result."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from modelserving.decoding import TypedBatch
from modelserving.runtimes import pmml
from modelserving.runtimes.pmml import load
from modelserving.runtimes.pmml_agreement import Comparison
from modelserving.runtimes.pmml_vectorised import VectorisedServable
from modelserving.scoring import score
from modelserving.servable import RecordFailure, Scores, Servable
from modelserving.statistics.deltas import BatchTally
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import Reason, ServingResult
from tests.core.cases import FIRST_OFFSET, MODEL, RECEIVED_US, clock_us, raw, results_of
from tests.runtimes.pmml_samples import AGE, CHOICE, HIGH, LOW, SHOP, descriptor, document, shop_batch, stump

TREE = stump(LOW, HIGH, "age", attributes='missingValueStrategy="lastPrediction"').replace(
    '<ScoreDistribution value="yes" recordCount="6"/><ScoreDistribution value="no" recordCount="4"/>', ""
)
"""Its leaves have distributions; its root, where a record without an age ends, has a score alone."""


@pytest.mark.parametrize("difference", [None, "a test says so"], ids=["vectorised", "PMML4S"])
def test_answers_do_not_depend_on_the_rows_beside_them(difference: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pmml, "compare", lambda *_, **__: Comparison(difference, 0, 0))
    servable = load(descriptor(document(TREE, CHOICE, AGE)), SHOP)
    assert servable.engine == ("PMML4S" if difference else VectorisedServable.engine)
    answers = results(servable, [20.0, None, float("nan"), 40.0])
    shares = {age: dict(result.probabilities) for age, result in answers.items()}
    assert shares == {
        20.0: {"yes": 0.75, "no": 0.25, "never": 0.0},
        None: {},
        40.0: {"yes": 0.0, "no": 1.0, "never": 0.0},
    }
    for age, together in answers.items():
        assert results(servable, [age]) == {age: together}
    servable.close()


def results(servable: Servable, ages: list[float | None]) -> dict[float | None, ServingResult]:
    """What is answered to records of these ages in one batch, by age; a record that is rejected is left out."""
    features, records = shop_batch(ages), raw([b"x"] * len(ages))
    batch = pa.RecordBatch.from_arrays(
        [*features.columns, *records.columns],
        names=[*features.schema.names, *(f"@{name}" for name in records.schema.names)],
    )
    names = ModelDescriptor(name=MODEL.name, version=MODEL.version, sha256=MODEL.sha256, dataType="shop")
    outgoing = score(
        TypedBatch("shop", RECEIVED_US, batch), "shop", servable, MODEL, clock_us, tally=BatchTally("shop", names)
    )
    found = {ages[each.record.offset - FIRST_OFFSET]: each for each in results_of(outgoing)}
    for each in found.values():
        each.ClearField("record")
    return found


def test_the_engines_are_compared_where_rows_have_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows that have none do not hide that those of others are wrong."""
    whole = VectorisedServable.score

    def wrong(self: VectorisedServable, batch: object) -> Scores:
        scores = whole(self, batch)
        if scores.probabilities is None:
            return scores
        return Scores(
            scores.rows,
            classes=scores.classes,
            label_index=scores.label_index,
            probabilities=scores.probabilities * [1.0, 0.5, 1.0],
            label_alone=scores.label_alone,
            failures=scores.failures,
        )

    # what is above 30 has no distribution
    data = descriptor(document(stump(LOW, 'score="no">', "age"), CHOICE, AGE))
    servable = load(data, SHOP)
    assert servable.engine == VectorisedServable.engine
    monkeypatch.setattr(VectorisedServable, "score", wrong)
    servable = load(data, SHOP)
    assert servable.engine == "PMML4S"
    assert "'yes' [0.75, 0.125, 0.0] where the other says 'yes' [0.75, 0.25, 0.0]" in servable.engine_reason
    servable.close()


def test_a_probability_that_is_not_finite_is_no_answer_unless_there_is_to_be_none() -> None:
    scores = Scores(
        3,
        classes=("a", "b"),
        label_index=np.zeros(3, np.int32),
        probabilities=np.array([[1.0, 0.0], [np.nan, np.nan], [np.nan, np.nan]]),
        label_alone=np.array([False, True, False]),
    )
    assert scores.unanswered() == [
        RecordFailure(2, Reason.MODEL_FAILED, "the model answered with a probability that is not finite")
    ]

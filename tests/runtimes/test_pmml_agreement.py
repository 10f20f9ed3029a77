"""What decides which engine evaluates a PMML model: faults of the vectorised one, and how near answers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from modelserving.runtimes import pmml
from modelserving.runtimes.pmml import load
from modelserving.runtimes.pmml_agreement import compare
from modelserving.runtimes.pmml_vectorised import VectorisedServable
from modelserving.servable import Domain, RecordFailure, Scores
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Reason
from tests.runtimes.pmml_random import MIXED
from tests.runtimes.pmml_random import document as random_document
from tests.runtimes.pmml_samples import AGE, AMOUNT, COLOUR, SHOP, descriptor, document, linear, schema, shop_batch

LINEAR = descriptor(document(linear("age"), AMOUNT, AGE))


class Answering:
    """A servable of the feature age with the numbers, or the probabilities of two classes, that a function gives."""

    inputs = ("age",)
    engine = "fixed"
    engine_reason = ""
    domain: Mapping[str, Domain] = MappingProxyType({})

    def __init__(self, answer: Callable[[NDArray[np.float64]], NDArray[np.float64]], *, shares: bool = False) -> None:
        self._answer, self._shares = answer, shares

    def score(self, batch: Any) -> Scores:
        ages = batch.column("age").fill_null(1.0).to_numpy()
        answers = self._answer(ages)
        if not self._shares:
            return Scores(len(ages), numbers=answers)
        shares = np.column_stack([answers, 1 - answers])
        labels = shares.argmax(axis=1).astype(np.int32)
        return Scores(len(ages), classes=("rare", "common"), label_index=labels, probabilities=shares)

    def close(self) -> None:
        pass


def patched(monkeypatch: pytest.MonkeyPatch, change: Callable[[Any, Scores], Scores]) -> None:
    """Have the vectorised evaluator's answers changed."""
    whole = VectorisedServable.score
    monkeypatch.setattr(VectorisedServable, "score", lambda self, batch: change(batch, whole(self, batch)))


class TestFaults:
    """What the vectorised evaluator raises leaves the model to PMML4S."""

    def test_while_it_compiles(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fault(*_: object) -> None:
            raise IndexError("no such leaf")

        monkeypatch.setattr(pmml, "VectorisedServable", fault)
        self.by_pmml4s("the vectorised evaluator raises IndexError: no such leaf")

    @pytest.mark.parametrize("missing", [False, True], ids=["any record", "a record without a value"])
    def test_while_it_is_compared(self, missing: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        whole = VectorisedServable.score

        def fault(self: VectorisedServable, batch: Any) -> Scores:
            if missing and not batch.column("age").null_count:
                return whole(self, batch)
            raise IndexError("no such leaf")

        monkeypatch.setattr(VectorisedServable, "score", fault)
        self.by_pmml4s("the vectorised evaluator answers differently: it raises IndexError: no such leaf")

    @staticmethod
    def by_pmml4s(reason: str) -> None:
        servable = load(LINEAR, SHOP)
        assert (servable.engine, servable.engine_reason) == ("PMML4S", reason)
        numbers = servable.score(shop_batch([2.0])).numbers
        assert numbers is not None
        assert numbers.tolist() == [5.0]
        servable.close()


@pytest.mark.parametrize(
    ("answer", "factor", "agree"),
    [
        pytest.param(lambda ages: ages, 1 + 1e-5, True, id="rounding"),
        pytest.param(lambda ages: ages * 1e-6, 1 + 1e-5, True, id="rounding of small numbers"),
        pytest.param(lambda ages: ages * 1e-6, 1.5, False, id="other small numbers"),
        pytest.param(lambda ages: np.where(ages > 1, 1e-6, -1e-6), -1.0, False, id="other small leaf"),
        pytest.param(lambda ages: ages * 1e-6 + 0.25, 1 + 1e-5, True, id="rounding of those of one size"),
    ],
)
def test_numbers_of_a_model_of_floats(answer: Callable[[Any], Any], factor: float, agree: bool) -> None:
    """Sums that cancel keep fewer digits than others, in relation to the greatest answer."""
    other = Answering(lambda ages: answer(ages) * factor)
    comparison = compare(Answering(answer), other, {"age": True}, single=True)
    assert (comparison.difference is None) == agree


@pytest.mark.parametrize(
    ("share", "other", "agree"),
    [
        pytest.param(0.25, 0.25 + 1e-5, True, id="rounding"),
        pytest.param(1e-6, 1e-6 + 5e-8, True, id="what the common one lacks to 1"),
        pytest.param(1e-6, 3e-6, False, id="other small probability"),
        pytest.param(1e-5, 2e-5, False, id="other probability of a rare class"),
    ],
)
def test_probabilities_of_a_model_of_floats(share: float, other: float, agree: bool) -> None:
    one, two = (
        Answering(lambda ages, given=given: np.full(len(ages), given), shares=True)  # type: ignore[misc]
        for given in (share, other)
    )
    assert (compare(one, two, {"age": True}, single=True).difference is None) == agree


def test_a_wrong_leaf_of_a_small_boosting_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = (
        f'<TreeModel functionName="regression" x-mathContext="float">{schema("amount", "age")}<Node><True/>'
        '<Node score="1e-6"><SimplePredicate field="age" operator="lessThan" value="30"/></Node>'
        '<Node score="-1e-6"><SimplePredicate field="age" operator="greaterOrEqual" value="30"/></Node>'
        "</Node></TreeModel>"
    )
    data = descriptor(document(tree, AMOUNT, AGE))
    assert load(data, SHOP).engine == VectorisedServable.engine

    def change(_: Any, scores: Scores) -> Scores:
        assert scores.numbers is not None
        return Scores(scores.rows, numbers=np.abs(scores.numbers), failures=scores.failures)

    patched(monkeypatch, change)
    servable = load(data, SHOP)
    assert servable.engine == "PMML4S"
    assert "answers differently: 9.999999974752427e-07 where the other says -1e-06" in servable.engine_reason
    servable.close()


class TestUnusualValues:
    """Complete records with values that the document does not hint at decide too."""

    ANY_COLOUR = COLOUR.split("<Value")[0] + "</DataField>"

    @pytest.mark.parametrize("number", [-4.0, -0.5, 0.0])
    def test_numbers_that_are_not_positive(self, number: float, monkeypatch: pytest.MonkeyPatch) -> None:
        def change(batch: Any, scores: Scores) -> Scores:
            assert scores.numbers is not None
            wrong = batch.column("age").fill_null(1.0).to_numpy() == number
            return Scores(scores.rows, numbers=scores.numbers + wrong, failures=scores.failures)

        patched(monkeypatch, change)
        servable = load(LINEAR, SHOP)
        assert servable.engine == "PMML4S"
        assert f"for age={number!r}" in servable.engine_reason
        servable.close()

    def test_a_number_that_one_engine_alone_answers(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def change(batch: Any, scores: Scores) -> Scores:
            below = np.flatnonzero(batch.column("age").fill_null(1.0).to_numpy() < 0)
            failures = tuple(RecordFailure(int(row), Reason.MODEL_FAILED, "no answer") for row in below)
            return Scores(scores.rows, numbers=scores.numbers, failures=failures or scores.failures)

        patched(monkeypatch, change)
        servable = load(LINEAR, SHOP)
        assert servable.engine == "PMML4S"
        assert "'no answer' where the other says" in servable.engine_reason
        servable.close()

    def test_a_number_that_neither_answers_does_not_decide(self) -> None:
        """A model that takes a logarithm."""
        logarithm = (
            '<LocalTransformations><DerivedField name="d" optype="continuous" dataType="double"><Apply function="ln">'
            '<FieldRef field="age"/></Apply></DerivedField></LocalTransformations><RegressionTable intercept="0">'
            '<NumericPredictor name="d" coefficient="1"/></RegressionTable></RegressionModel>'
        )
        model = linear("age").partition("<RegressionTable")[0] + logarithm
        servable = load(descriptor(document(model, AMOUNT, AGE)), SHOP)
        assert servable.engine == VectorisedServable.engine
        assert [failure.row for failure in servable.score(shop_batch([2.0, -1.0, 0.0])).failures] == [1, 2]

    @pytest.mark.parametrize(
        ("colour", "engine"), [(ANY_COLOUR, "PMML4S"), (COLOUR, VectorisedServable.engine)], ids=["any", "listed"]
    )
    def test_categories_that_the_document_does_not_name(
        self, colour: str, engine: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of a field with listed ones they are invalid."""

        def change(batch: Any, scores: Scores) -> Scores:
            assert scores.numbers is not None
            wrong = [value not in ("red", "blue", None) for value in batch.column("colour").to_pylist()]
            return Scores(scores.rows, numbers=scores.numbers + wrong, failures=scores.failures)

        patched(monkeypatch, change)
        servable = load(descriptor(document(linear("colour"), AMOUNT, colour)), SHOP)
        assert servable.engine == engine
        assert ("for colour='value that no model names'" in servable.engine_reason) == (engine == "PMML4S")
        servable.close()

    def test_a_category_to_which_pmml4s_has_no_answer_does_not_decide(self) -> None:
        """In naive Bayes it runs out of an array's bounds."""
        servable = load(ModelDescriptor(modeltype=ModelType.PMML, data=random_document(1, "naive Bayes")), MIXED)
        assert servable.engine == VectorisedServable.engine
        servable.close()

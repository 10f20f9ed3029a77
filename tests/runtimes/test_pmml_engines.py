"""Which engine evaluates a PMML model, why, and that both answer the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from modelserving.runtimes import pmml
from modelserving.runtimes.pmml import PmmlServable, load
from modelserving.runtimes.pmml_agreement import Comparison, compare
from modelserving.runtimes.pmml_vectorised import VectorisedServable
from modelserving.runtimes.vectorised.coverage import NotCovered
from modelserving.servable import Domain, Scores
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.state_pb2 import Engine
from tests.runtimes.pmml_samples import (
    AGE,
    AMOUNT,
    CHOICE,
    COLOUR,
    HIGH,
    LOW,
    SHOP,
    TOTAL,
    descriptor,
    document,
    ensemble,
    linear,
    shop_batch,
    stump,
)
from tests.runtimes.wine import EXAMPLE, WINE, wine_batch

FOREST = ensemble("majorityVote", [stump(LOW, HIGH, "age"), stump(HIGH, LOW, "age"), stump(LOW, HIGH, "age")])
EXAMPLES = sorted(
    name for name in json.loads((EXAMPLE / "models" / "expected.json").read_text())["models"] if name.endswith(".pmml")
)


def example(name: str) -> ModelDescriptor:
    return ModelDescriptor(name=name, modeltype=ModelType.PMML, data=(EXAMPLE / "models" / name).read_bytes())


def by_pmml4s(monkeypatch: pytest.MonkeyPatch, model: ModelDescriptor, data_type: Any) -> PmmlServable:
    """The model with PMML4S, although the vectorised evaluator covers it."""
    with monkeypatch.context() as patch:
        patch.setattr(pmml, "compare", lambda *_, **__: Comparison("a test says so", 0, 0))
        servable = load(model, data_type)
    assert isinstance(servable, PmmlServable)
    return servable


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_are_vectorised_and_answer_as_pmml4s(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    vectorised = load(example(name), WINE)
    assert (vectorised.engine, isinstance(vectorised, VectorisedServable)) == (VectorisedServable.engine, True)
    other = by_pmml4s(monkeypatch, example(name), WINE)
    assert other.engine == "PMML4S"
    assert "a test says so" in other.engine_reason
    one, two = vectorised.score(wine_batch(5)), other.score(wine_batch(5))
    for field in ("numbers", "label_index", "probabilities"):
        own, wanted = getattr(one, field), getattr(two, field)
        assert (own is None) == (wanted is None)
        if own is not None:
            np.testing.assert_allclose(own, wanted, rtol=1e-9, atol=1e-12)
    vectorised.close()
    other.close()


class TestFoundBefore:
    """A model whose engine was found when it was tried."""

    MODEL = example("forest.pmml")

    @pytest.fixture
    def compared(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """One entry for each comparison, which the vectorised evaluator passes."""
        comparisons: list[str] = []

        def pass_(*_: object, **__: object) -> Comparison:
            comparisons.append("compared")
            return Comparison(None, 0, 0)

        monkeypatch.setattr(pmml, "compare", pass_)
        return comparisons

    def test_the_other_engine_need_not_load_a_vectorised_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pmml, "Evaluator", None)
        servable = load(self.MODEL, WINE, Engine(name=VectorisedServable.engine, reason="found before"))
        assert isinstance(servable, VectorisedServable)
        assert servable.engine_reason == "found before"
        assert not servable.score(wine_batch(5)).failures

    def test_one_of_pmml4s_is_not_compiled(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(pmml, "VectorisedServable", None)
        servable = load(self.MODEL, WINE, Engine(name="PMML4S", reason="found before"))
        assert isinstance(servable, PmmlServable)
        assert servable.engine_reason == "found before"
        servable.close()

    @pytest.mark.parametrize("engine", [None, Engine(), Engine(name="vectorised-0", reason="found before")])
    def test_by_none_or_by_one_of_another_release_it_is_found_anew(
        self, engine: Engine | None, compared: list[str]
    ) -> None:
        servable = load(self.MODEL, WINE, engine)
        assert compared == ["compared"]
        assert (servable.engine, servable.engine_reason) == (
            VectorisedServable.engine,
            "it answers generated records as PMML4S does",
        )

    def test_one_that_is_no_longer_covered_goes_to_pmml4s(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise NotCovered("a forest")

        monkeypatch.setattr(pmml, "VectorisedServable", refuse)
        servable = load(self.MODEL, WINE, Engine(name=VectorisedServable.engine, reason="found before"))
        assert isinstance(servable, PmmlServable)
        assert servable.engine_reason == "not covered: a forest"
        servable.close()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(document(linear("age", "Basket total", "colour"), AMOUNT, AGE, TOTAL, COLOUR), id="regression"),
        pytest.param(document(stump(LOW, HIGH, "age"), CHOICE, AGE), id="tree"),
        pytest.param(document(FOREST, CHOICE, AGE), id="votes"),
    ],
)
def test_rows_without_an_answer_fail_alike(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    vectorised = load(descriptor(data), SHOP)
    assert vectorised.engine == VectorisedServable.engine
    batch = shop_batch(
        [1.0, None, float("nan"), 40.0, float("inf"), 1e308],
        [1.0, 2.0, 3.0, None, 5.0, 1e308],
        [*["red"] * 4, "x", None],
    )
    expected = by_pmml4s(monkeypatch, descriptor(data), SHOP).score(batch)
    scores = vectorised.score(batch)
    assert expected.failures != ()
    assert scores.failures == expected.failures
    assert scores.classes == expected.classes


def test_what_is_not_covered_is_left_to_pmml4s() -> None:
    servable = load(descriptor(document(linear("age"), AMOUNT.replace("double", "integer"), AGE)), SHOP)
    assert servable.engine == "PMML4S"
    assert servable.engine_reason == "not covered: a regression of an integer"
    servable.close()


BINS = (
    '<DiscretizeBin binValue="1"><Interval closure="openClosed" leftMargin="0" rightMargin="10"/></DiscretizeBin>'
    '<DiscretizeBin binValue="2"><Interval closure="closedOpen" leftMargin="20" rightMargin="30"/></DiscretizeBin>'
)
TABLE = (
    '<FieldColumnPair field="colour" column="data:input"/><InlineTable xmlns:data="urn:table"><row><data:input>red'
    "</data:input><data:output>1</data:output></row><row><data:input>blue</data:input><data:output>2</data:output></row>"
    "</InlineTable>"
)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param(
            f'<Discretize field="age" dataType="double" defaultValue="9">{BINS}</Discretize>', [1, 2, 9], id="bins"
        ),
        pytest.param(
            f'<MapValues outputColumn="data:output" dataType="double" defaultValue="9">{TABLE}</MapValues>', [1, 2, 1],
            id="table",
        ),
        pytest.param(
            '<Apply function="if"><Apply function="isIn"><Apply function="uppercase"><FieldRef field="colour"/></Apply>'
            '<Constant dataType="string">RED</Constant></Apply><Apply function="modulo"><FieldRef field="age"/>'
            '<Constant dataType="double">3</Constant></Apply><Constant dataType="double">9</Constant></Apply>',
            [1, 9, 0],
            id="functions",
        ),
    ],
)  # fmt: skip
def test_both_engines_look_up_values_alike(
    expression: str, expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    field = f'<DerivedField name="d" optype="continuous" dataType="double">{expression}</DerivedField>'
    model = linear("age", "colour").partition("<RegressionTable")[0] + (
        f'<LocalTransformations>{field}</LocalTransformations><RegressionTable intercept="0">'
        '<NumericPredictor name="d" coefficient="1"/></RegressionTable></RegressionModel>'
    )
    data = descriptor(document(model, AMOUNT, AGE, COLOUR))
    batch = shop_batch([10.0, 20.0, 30.0], colour=["red", "blue", "red"])
    servable = load(data, SHOP)
    assert (servable.engine, servable.engine_reason.split(",")[0]) == (
        VectorisedServable.engine,
        "it answers generated records as PMML4S does",
    )
    for each in (servable, by_pmml4s(monkeypatch, data, SHOP)):
        numbers = each.score(batch).numbers
        assert numbers is not None
        assert numbers.tolist() == expected
        each.close()


def test_a_model_on_which_the_engines_differ_is_left_to_pmml4s(monkeypatch: pytest.MonkeyPatch) -> None:
    score = VectorisedServable.score

    def wrong(self: VectorisedServable, batch: Any) -> Scores:
        scores = score(self, batch)
        assert scores.numbers is not None
        return Scores(scores.rows, numbers=scores.numbers + 1e-6 * (scores.numbers > 50), failures=scores.failures)

    monkeypatch.setattr(VectorisedServable, "score", wrong)
    data = document(
        linear("age", "Basket total"),
        AMOUNT,
        AGE.replace("/>", "><Interval closure='closedClosed' leftMargin='0' rightMargin='100'/></DataField>"),
        TOTAL,
    )
    servable = load(descriptor(data), SHOP)
    assert servable.engine == "PMML4S"
    assert "answers differently" in servable.engine_reason
    assert "age=" in servable.engine_reason
    servable.close()


class Fixed:
    """A servable with answers of its own, over any batch."""

    inputs = ("age",)
    engine = "fixed"
    engine_reason = ""
    domain: Mapping[str, Domain] = MappingProxyType({})

    def __init__(self, share: float, label: int, numbers: float | None = None) -> None:
        self._share, self._label, self._number = share, label, numbers

    def score(self, batch: Any) -> Scores:
        rows = batch.num_rows
        if self._number is not None:
            return Scores(rows, numbers=np.full(rows, self._number))
        shares = np.tile([self._share, 1 - self._share], (rows, 1))
        return Scores(
            rows, classes=("a", "b"), label_index=np.full(rows, self._label, dtype=np.int32), probabilities=shares
        )

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        pytest.param(Fixed(0.75, 0), Fixed(0.75, 0), True, id="equal"),
        pytest.param(Fixed(0.75, 0), Fixed(0.75, 1), False, id="other label"),
        pytest.param(Fixed(0.5, 0), Fixed(0.5, 1), True, id="other label of two as probable"),
        pytest.param(Fixed(0.75, 0), Fixed(0.75 + 1e-8, 0), False, id="other probability"),
        pytest.param(Fixed(0, 0, 3.0), Fixed(0, 0, 3.0 + 1e-10), True, id="rounding"),
        pytest.param(Fixed(0, 0, 3.0), Fixed(0, 0, 3.0 + 1e-7), False, id="other number"),
    ],
)
def test_what_counts_as_agreement(one: Fixed, other: Fixed, agree: bool) -> None:
    assert (compare(one, other, {"age": True}).difference is None) == agree


def test_a_closed_servable_does_not_score() -> None:
    servable = load(descriptor(document(linear("age"), AMOUNT, AGE)), SHOP)
    assert servable.engine == VectorisedServable.engine
    servable.close()
    with pytest.raises(RuntimeError, match="closed"):
        servable.score(shop_batch([1.0]))


def test_records_that_lack_values_do_not_decide_but_are_told() -> None:
    """PMML4S averages the trees that have a prediction; the specification has no result then."""
    forest = ensemble("average", [stump(LOW, HIGH, "age"), stump(LOW, HIGH, "age"), constant_shares()])
    servable = load(descriptor(document(forest, CHOICE, AGE)), SHOP)
    assert servable.engine == VectorisedServable.engine
    assert "lack values" in servable.engine_reason
    scores = servable.score(shop_batch([None, 20.0]))
    assert [failure.row for failure in scores.failures] == [0]


def constant_shares() -> str:
    """A tree that gives every record the same probabilities."""
    return stump(LOW, LOW.replace("<Score", " <Score"), "age", attributes='noTrueChildStrategy="returnLastPrediction"')

"""What the vectorised evaluator does not cover is said at compile time, and what it covers holds for any batch."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from modelserving.runtimes.pmml_document import parse
from modelserving.runtimes.pmml_fields import bind
from modelserving.runtimes.vectorised.answers import Answer
from modelserving.runtimes.vectorised.compiled import CompiledDocument
from modelserving.runtimes.vectorised.coverage import NotCovered
from modelserving.wire.serving_pb2 import Reason
from tests.runtimes.pmml_random import KINDS, MIXED, batch, document, records
from tests.runtimes.pmml_samples import (
    AGE,
    AMOUNT,
    CHOICE,
    COLOUR,
    HIGH,
    LOW,
    SHOP,
    TOTAL,
    constant,
    ensemble,
    linear,
    schema,
    shop_batch,
    stump,
)
from tests.runtimes.pmml_samples import document as sample


def compiled(data: bytes) -> CompiledDocument:
    parsed = parse(data)
    return CompiledDocument(parsed, bind(parsed.inputs, SHOP))


def compiled_random(kind: str) -> CompiledDocument:
    parsed = parse(document(1, kind))
    return CompiledDocument(parsed, bind(parsed.inputs, MIXED))


FOREST = ensemble("average", [stump(LOW, HIGH, "age"), stump(HIGH, LOW, "age")])
DERIVED = (
    '</MiningSchema><LocalTransformations><DerivedField name="d" optype="continuous" dataType="{}">{}</DerivedField>'
    "</LocalTransformations>"
)
NEIGHBOURS = f'<NearestNeighborModel functionName="classification">{schema("choice", "age")}</NearestNeighborModel>'
LINEAR = linear("age").replace('<NumericPredictor name="age"', '<NumericPredictor name="d"')


def derived(expression: str, data_type: str = "double") -> bytes:
    return sample(LINEAR.replace("</MiningSchema>", DERIVED.format(data_type, expression)), AMOUNT, AGE, COLOUR)


@pytest.mark.parametrize(
    ("data", "construct"),
    [
        pytest.param(
            sample(stump(LOW, HIGH, "age", attributes='missingValueStrategy="weightedConfidence"'), CHOICE, AGE),
            "weightedConfidence",
            id="several paths",
        ),
        pytest.param(
            sample(stump(LOW, HIGH, "age", attributes='missingValueStrategy="aggregateNodes"'), CHOICE, AGE),
            "aggregateNodes",
            id="aggregated paths",
        ),
        pytest.param(sample(ensemble("max", [constant("yes")]), CHOICE, AGE), "'max'", id="max of probabilities"),
        pytest.param(sample(ensemble("selectAll", [constant("yes")]), CHOICE, AGE), "'selectAll'", id="select all"),
        pytest.param(
            sample(ensemble("average", [constant("yes")]), CHOICE, AGE), "without probabilities", id="labels averaged"
        ),
        pytest.param(
            sample(
                FOREST.replace('<MiningField name="age"/>', '<MiningField name="age" missingValueReplacement="1"/>'),
                CHOICE,
                AGE,
            ),
            "missingValueReplacement",
            id="field rules of a segment",
        ),
        pytest.param(
            sample(stump(LOW, HIGH.replace('score="no"', 'score="nobody"'), "age"), CHOICE, AGE), "no class", id="score"
        ),
        pytest.param(
            sample(
                stump(LOW, HIGH, "age")
                .replace('defaultChild="2"', 'defaultChild="9"')
                .replace("<TreeModel", '<TreeModel missingValueStrategy="defaultChild"'),
                CHOICE,
                AGE,
            ),
            "'9'",
            id="default child that does not exist",
        ),
        pytest.param(
            sample(
                linear("age").replace('functionName="regression"', 'functionName="regression" x-mathContext="decimal"'),
                AMOUNT,
                AGE,
            ),
            "x-mathContext",
            id="arithmetic of another width",
        ),
        pytest.param(sample(linear("age"), AMOUNT.replace("double", "integer"), AGE), "integer", id="integer target"),
        pytest.param(
            sample(linear("colour").replace("CategoricalPredictor", "NumericPredictor"), AMOUNT, COLOUR),
            "type string",
            id="coefficient of a category",
        ),
        pytest.param(
            sample(linear("age").replace('name="age" coefficient', 'name="height" coefficient'), AMOUNT, AGE),
            "'height'",
            id="unknown field",
        ),
        pytest.param(
            derived('<Apply function="formatNumber"><FieldRef field="age"/></Apply>'), "formatNumber", id="function"
        ),
        pytest.param(derived("<Aggregate/>"), "Aggregate", id="expression"),
        pytest.param(derived('<FieldRef field="age"/>', "integer"), "integer", id="conversion"),
        pytest.param(
            derived('<Apply function="+" defaultValue="none"><FieldRef field="age"/><FieldRef field="age"/></Apply>'),
            "defaultValue='none'",
            id="default of a function of another type",
        ),
        pytest.param(
            sample(
                NEIGHBOURS,
                CHOICE,
                AGE,
            ),
            "NearestNeighborModel",
            id="model",
        ),
    ],
)
def test_not_covered(data: bytes, construct: str) -> None:
    with pytest.raises(NotCovered, match=construct) as caught:
        compiled(data)
    copy = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (copy.construct, str(copy)) == (caught.value.construct, str(caught.value))


def test_an_unfinished_construct_that_nothing_reads_does_no_harm() -> None:
    output = '<Output><OutputField name="x" feature="entityId" dataType="string" optype="categorical"/></Output>'
    data = sample(linear("age").replace("</MiningSchema>", f"</MiningSchema>{output}"), AMOUNT, AGE)
    answer, _, _ = compiled(data).score(shop_batch([2.0]))
    assert answer.numbers is not None
    assert answer.numbers.tolist() == [5.0]


def rows(answer: Answer) -> list[np.ndarray]:  # type: ignore[type-arg]
    return [each for each in (answer.numbers, answer.labels, answer.probabilities) if each is not None]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "derived fields"])
def test_a_row_scores_alone_as_in_a_batch_and_in_any_thread(kind: str) -> None:
    model = compiled_random(kind)
    whole = batch(records(1, 300))
    expected = rows(model.score(whole)[0])
    assert model.score(whole.slice(0, 0))[0] is not None
    for row in range(0, 300, 7):
        for alone, together in zip(rows(model.score(whole.slice(row, 1))[0]), expected, strict=True):
            np.testing.assert_array_equal(alone, together[row : row + 1])
    with ThreadPoolExecutor(4) as pool:
        for answer in pool.map(lambda _: model.score(whole)[0], range(8)):
            for again, first in zip(rows(answer), expected, strict=True):
                np.testing.assert_array_equal(again, first)


def test_field_rules_are_those_of_the_document() -> None:
    field = AGE.replace("/>", '><Interval closure="closedOpen" leftMargin="0" rightMargin="100"/></DataField>')
    model = linear("age", "Basket total", "colour").replace(
        '<MiningField name="Basket total"/>', '<MiningField name="Basket total" missingValueReplacement="4"/>'
    )
    data = sample(model, AMOUNT, field, TOTAL, COLOUR)
    given = shop_batch([1.0, 100.0, 1.0, None], [None, 1.0, 2.0, 1.0], ["red", "red", "green", "blue"])
    answer, failures, missing = compiled(data).score(given)
    assert {failure.row: Reason.Name(failure.reason) for failure in failures} == {
        1: "INVALID_VALUE",
        2: "INVALID_VALUE",
    }
    assert answer.numbers is not None
    assert answer.numbers[0] == 105.0
    assert np.isnan(answer.numbers[3])
    assert list(missing) == ["age"]
    assert missing["age"].tolist() == [False, False, False, True]


def test_a_category_that_the_document_does_not_name_equals_none() -> None:
    data = sample(linear("colour"), AMOUNT, COLOUR.replace('<Value value="red"/><Value value="blue"/>', ""))
    answer, failures, _ = compiled(data).score(shop_batch([1.0] * 4, colour=["red", "mauve", "", None]))
    assert failures == []
    assert answer.numbers is not None
    assert answer.numbers.tolist() == [101.0, 1.0, 1.0, 1.0]

"""PMML answers, completed where PMML4S is incomplete, and the rules for invalid and missing values."""

from __future__ import annotations

import gc
import math
import subprocess
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pytest

from modelserving.loader import load
from modelserving.servable import Scores
from modelserving.wire.serving_pb2 import Reason
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
    descriptor,
    document,
    ensemble,
    linear,
    schema,
    shop_batch,
    stump,
)

NAN, INF = math.nan, math.inf


def score(data: bytes, batch: pa.RecordBatch) -> Scores:
    servable = load(descriptor(data), SHOP)
    try:
        return servable.score(batch)
    finally:
        servable.close()


def reasons(scores: Scores) -> dict[int, str]:
    return {failure.row: Reason.Name(failure.reason) for failure in scores.failures}


def labels(scores: Scores) -> list[str]:
    assert scores.label_index is not None
    return [scores.classes[index] for index in scores.label_index]


def test_regression_reads_features_of_normalised_name() -> None:
    data = document(linear("age", "Basket total"), AMOUNT, AGE, TOTAL)
    servable = load(descriptor(data), SHOP)
    assert servable.inputs == ("age", "basket_total")
    scores = servable.score(shop_batch([1.0, 2.5], [10.0, -4.0]))
    assert scores.numbers is not None
    assert scores.numbers.tolist() == [8.0, 4.0]
    assert scores.label_index is None
    assert scores.probabilities is None
    assert scores.failures == ()
    assert servable.score(shop_batch([])).rows == 0


def test_tree_gives_every_class_a_probability() -> None:
    scores = score(document(stump(LOW, HIGH, "age"), CHOICE, AGE), shop_batch([20.0, 40.0]))
    assert scores.classes == ("yes", "no", "never")
    assert labels(scores) == ["yes", "no"]
    assert scores.probabilities is not None
    assert scores.probabilities.tolist() == [[0.75, 0.25, 0.0], [0.0, 1.0, 0.0]]


def test_classes_without_declared_values_come_from_the_model() -> None:
    bare = '<DataField name="choice" optype="categorical" dataType="string"/>'
    scores = score(document(stump(LOW, HIGH, "age"), bare, AGE), shop_batch([20.0, 40.0]))
    assert scores.classes == ("yes", "no")
    assert scores.probabilities is not None
    assert scores.probabilities.tolist() == [[0.75, 0.25], [0.0, 1.0]]


def test_integer_classes_are_named_as_in_the_document() -> None:
    target = CHOICE.replace("string", "integer").replace("yes", "5").replace("no", "6").replace("never", "7")
    low = 'score="5"><ScoreDistribution value="5" recordCount="1"/>'
    high = 'score="6"><ScoreDistribution value="6" recordCount="1"/>'
    tree = stump(low, high, "age").replace('score="yes"', 'score="5"').replace('"yes"', '"5"').replace('"no"', '"6"')
    scores = score(document(tree, target, AGE), shop_batch([20.0, 40.0]))
    assert labels(scores) == ["5", "6"]
    assert scores.probabilities is not None
    assert scores.probabilities.tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


def test_tree_without_distributions_gives_labels_alone() -> None:
    scores = score(document(constant("never"), CHOICE, AGE), shop_batch([20.0]))
    assert labels(scores) == ["never"]
    assert scores.probabilities is None
    assert scores.failures == ()


def test_averaging_forest_counts_a_class_that_a_leaf_does_not_list_as_zero() -> None:
    forest = ensemble("average", [stump(LOW, HIGH, "age"), stump(HIGH, LOW, "age")])
    scores = score(document(forest, CHOICE, AGE), shop_batch([20.0, 40.0]))
    assert scores.probabilities is not None
    assert scores.probabilities.tolist() == [[0.375, 0.625, 0.0], [0.375, 0.625, 0.0]]
    assert labels(scores) == ["no", "no"]


@pytest.mark.parametrize(
    ("votes", "elected"),
    [
        pytest.param(["no", "yes", "no"], "no", id="majority"),
        pytest.param(["never", "yes", "no"], "never", id="tie goes to the earlier vote"),
        pytest.param(["never", "yes", "no", "no", "yes"], "yes", id="tie of two"),
    ],
)
def test_majority_vote(votes: list[str], elected: str) -> None:
    forest = ensemble("majorityVote", [constant(vote) for vote in votes])
    scores = score(document(forest, CHOICE, AGE), shop_batch([20.0]))
    assert labels(scores) == [elected]
    assert scores.probabilities is not None
    assert scores.probabilities[0].tolist() == [votes.count(name) / len(votes) for name in scores.classes]


def test_weighted_majority_vote() -> None:
    forest = ensemble(
        "weightedMajorityVote",
        [constant(vote) for vote in ("yes", "no", "yes")],
        segment_attributes=['weight="1"', 'weight="5"', 'weight="2"'],
    )
    scores = score(document(forest, CHOICE, AGE), shop_batch([20.0]))
    assert labels(scores) == ["no"]
    assert scores.probabilities is not None
    assert scores.probabilities[0].tolist() == [3 / 8, 5 / 8, 0.0]


def test_chain_gives_the_answer_of_its_last_model() -> None:
    first = (
        f'<RegressionModel functionName="regression">{schema("amount", "age")}<Output><OutputField name="base" '
        'optype="continuous" dataType="double" feature="predictedValue"/></Output>'
        '<RegressionTable intercept="0"><NumericPredictor name="age" coefficient="0.1"/></RegressionTable>'
        "</RegressionModel>"
    )
    last = (
        '<RegressionModel functionName="classification" normalizationMethod="softmax">'
        f"{schema('choice', 'base')}"
        '<RegressionTable targetCategory="yes" intercept="0"><NumericPredictor name="base" coefficient="1"/>'
        "</RegressionTable>"
        '<RegressionTable targetCategory="no" intercept="1"/><RegressionTable targetCategory="never" intercept="-1"/>'
        "</RegressionModel>"
    )
    scores = score(document(ensemble("modelChain", [first, last]), CHOICE, AMOUNT, AGE), shop_batch([20.0]))
    powers = [math.exp(2.0), math.exp(1.0), math.exp(-1.0)]
    assert scores.probabilities is not None
    assert scores.probabilities[0] == pytest.approx([power / sum(powers) for power in powers], rel=1e-9)
    assert labels(scores) == ["yes"]


def test_select_first_answers_by_the_segment_that_applies() -> None:
    tree = stump(LOW, HIGH, "age")
    segments = ensemble("selectFirst", [tree, constant("never")]).replace(
        '<Segment id="0" ><True/>',
        '<Segment id="0"><SimplePredicate field="age" operator="lessThan" value="50"/>',
    )
    scores = score(document(segments, CHOICE, AGE), shop_batch([60.0, 20.0]))
    assert labels(scores) == ["never", "yes"]


ORDINARY = [-0.0, 5e-324, 1e308, -1e308, 2.0**-1040]


def test_extreme_numbers_are_ordinary() -> None:
    data = document(linear("Basket total"), AMOUNT, TOTAL)
    scores = score(data, shop_batch([0.0] * len(ORDINARY), ORDINARY))
    assert scores.failures == ()
    assert scores.numbers is not None
    assert scores.numbers.tolist() == [1 + 0.5 * value for value in ORDINARY]


def test_an_answer_that_overflows_fails_its_row_alone() -> None:
    scores = score(document(linear("age"), AMOUNT, AGE), shop_batch([1.0, 1e308, 2.0, -1e308]))
    assert reasons(scores) == {1: "MODEL_FAILED", 3: "MODEL_FAILED"}
    assert scores.numbers is not None
    assert scores.numbers[[0, 2]].tolist() == [3.0, 5.0]
    assert np.isfinite(scores.numbers).all()


FIELDS = {
    "plain": ("age", AGE),
    "interval": (
        "age",
        AGE.replace("/>", '><Interval closure="closedOpen" leftMargin="0" rightMargin="100"/></DataField>'),
    ),
    "open interval": ("age", AGE.replace("/>", '><Interval closure="openOpen" leftMargin="0"/></DataField>')),
    "listed": ("age", AGE.replace("/>", '><Value value="1"/><Value value="2.50"/></DataField>')),
    "marked": (
        "age",
        AGE.replace("/>", '><Value value="-1" property="invalid"/><Value value="-9" property="missing"/></DataField>'),
    ),
    "integer": ("age", AGE.replace("double", "integer")),
    "listed beside an interval": (
        "age",
        AGE.replace("/>", '><Interval closure="closedClosed" leftMargin="0"/><Value value="1"/></DataField>'),
    ),
    "float": (
        "age",
        AGE.replace("double", "float").replace("/>", '><Interval closure="openClosed" rightMargin="1.1"/></DataField>'),
    ),
}


@pytest.mark.parametrize(
    ("field", "attributes", "value", "answer"),
    [
        pytest.param("plain", "", NAN, "INVALID_VALUE", id="NaN"),
        pytest.param("plain", "", INF, "INVALID_VALUE", id="Infinity"),
        pytest.param("plain", "", -INF, "INVALID_VALUE", id="-Infinity"),
        pytest.param("plain", "", None, "MISSING_FEATURE", id="missing"),
        pytest.param("plain", 'missingValueReplacement="4"', None, 9.0, id="missing with replacement"),
        pytest.param("plain", 'missingValueTreatment="returnInvalid"', None, "MISSING_FEATURE", id="missing invalid"),
        pytest.param("plain", 'invalidValueTreatment="asIs"', NAN, "INVALID_VALUE", id="NaN as is"),
        pytest.param("plain", 'invalidValueTreatment="asMissing"', INF, "MISSING_FEATURE", id="Infinity as missing"),
        pytest.param(
            "plain",
            'invalidValueTreatment="asMissing" missingValueReplacement="4"',
            NAN,
            9.0,
            id="NaN as missing with replacement",
        ),
        pytest.param(
            "plain", 'outliers="asExtremeValues" lowValue="0" highValue="5"', INF, 11.0, id="Infinity as extreme value"
        ),
        pytest.param(
            "plain", 'outliers="asExtremeValues" lowValue="0" highValue="5"', -7.0, 1.0, id="outlier as extreme value"
        ),
        pytest.param(
            "plain",
            'outliers="asMissingValues" lowValue="0" highValue="5" missingValueReplacement="4"',
            6.0,
            9.0,
            id="outlier as missing",
        ),
        pytest.param("interval", "", 0.0, 1.0, id="closed bound"),
        pytest.param("interval", "", 100.0, "INVALID_VALUE", id="open bound"),
        pytest.param("interval", "", -1.0, "INVALID_VALUE", id="outside the interval"),
        pytest.param("interval", 'invalidValueTreatment="asIs"', -1.0, -1.0, id="outside as is"),
        pytest.param(
            "interval", 'invalidValueTreatment="asValue" invalidValueReplacement="3"', -1.0, 7.0, id="outside as value"
        ),
        pytest.param("interval", 'invalidValueTreatment="asMissing"', -1.0, "MISSING_FEATURE", id="outside as missing"),
        pytest.param("open interval", "", 1e9, 2e9 + 1, id="interval without bound"),
        pytest.param("listed", "", 2.5, 6.0, id="listed value"),
        pytest.param("listed", "", 3.0, "INVALID_VALUE", id="value not listed"),
        pytest.param("marked", "", -1.0, "INVALID_VALUE", id="value marked invalid"),
        pytest.param("marked", 'missingValueReplacement="4"', -9.0, 9.0, id="value marked missing"),
        pytest.param("marked", "", 5.0, 11.0, id="value not marked"),
        pytest.param("integer", "", 3.0, 7.0, id="integer"),
        pytest.param("integer", "", 3.5, "INVALID_VALUE", id="fraction for an integer"),
        # the rest as JPMML has it
        pytest.param("integer", 'invalidValueTreatment="asIs"', 3.5, "INVALID_VALUE", id="fraction as is"),
        pytest.param(
            "interval", 'invalidValueTreatment="asIs" invalidValueReplacement="3"', -1.0, 7.0, id="as is, replaced"
        ),
        pytest.param("interval", 'invalidValueTreatment="asValue"', -1.0, -1.0, id="as value, of which there is none"),
        pytest.param(
            "interval",
            'invalidValueTreatment="asMissing" missingValueTreatment="returnInvalid"',
            -1.0,
            "INVALID_VALUE",
            id="as missing, which is invalid",
        ),
        pytest.param("listed beside an interval", "", 3.0, "INVALID_VALUE", id="not listed, within the interval"),
        pytest.param("float", "", 1.1, "INVALID_VALUE", id="float, greater than 1.1 in 32 bits"),
    ],
)
def test_field_rules(field: str, attributes: str, value: float | None, answer: float | str) -> None:
    name, data_field = FIELDS[field]
    model = linear(name).replace(f'<MiningField name="{name}"/>', f'<MiningField name="{name}" {attributes}/>')
    good = 1.0
    scores = score(document(model, AMOUNT, data_field), shop_batch([good, value, good]))
    assert scores.numbers is not None
    assert scores.numbers[[0, 2]].tolist() == [3.0, 3.0]
    if isinstance(answer, str):
        assert reasons(scores) == {1: answer}
        assert "'age'" in scores.failures[0].detail
    else:
        assert scores.failures == ()
        assert scores.numbers[1] == answer


@pytest.mark.parametrize(
    ("attributes", "value", "answer"),
    [
        pytest.param("", "red", 101.0, id="declared category"),
        pytest.param("", "green", "INVALID_VALUE", id="category never seen"),
        pytest.param('invalidValueTreatment="asIs"', "green", 1.0, id="category never seen as is"),
        pytest.param('invalidValueTreatment="asMissing"', "green", 1.0, id="category never seen as missing"),
        pytest.param('missingValueReplacement="red"', None, 101.0, id="missing with replacement"),
        pytest.param("", None, 1.0, id="a missing category's term is 0"),
    ],
)
def test_categories(attributes: str, value: str | None, answer: float | str) -> None:
    model = linear("colour").replace('<MiningField name="colour"/>', f'<MiningField name="colour" {attributes}/>')
    scores = score(document(model, AMOUNT, COLOUR), shop_batch([1.0, 1.0], colour=["blue", value]))
    assert scores.numbers is not None
    assert scores.numbers[0] == 11.0
    if isinstance(answer, str):
        assert reasons(scores) == {1: answer}
        assert "'colour' is 'green'" in scores.failures[0].detail
    else:
        assert scores.failures == ()
        assert scores.numbers[1] == answer


@pytest.mark.parametrize(
    ("attributes", "answer"),
    [
        pytest.param("", "MISSING_FEATURE", id="no strategy"),
        pytest.param('missingValueStrategy="defaultChild"', "no", id="default child"),
        pytest.param('missingValueStrategy="lastPrediction"', "yes", id="last prediction"),
        pytest.param('missingValueStrategy="nullPrediction"', "MISSING_FEATURE", id="null prediction"),
        pytest.param('noTrueChildStrategy="returnLastPrediction"', "yes", id="last prediction without a true child"),
    ],
)
def test_trees_answer_with_a_missing_value_by_their_strategy(attributes: str, answer: str) -> None:
    scores = score(document(stump(LOW, HIGH, "age", attributes=attributes), CHOICE, AGE), shop_batch([None, 20.0]))
    if answer == "MISSING_FEATURE":
        assert reasons(scores) == {0: answer}
    else:
        assert scores.failures == ()
        assert labels(scores) == [answer, "yes"]


def test_rules_of_the_outer_model_hold_for_its_segments() -> None:
    """A nested schema without attributes does not undo what the outer one says about invalid values."""
    field = AGE.replace("/>", '><Interval closure="closedClosed" leftMargin="0" rightMargin="50"/></DataField>')
    forest = ensemble("average", [stump(LOW, HIGH, "age")])
    lenient = forest.replace('<MiningField name="age"/>', '<MiningField name="age" invalidValueTreatment="asIs"/>', 1)
    scores = score(document(lenient, CHOICE, field), shop_batch([60.0]))
    assert labels(scores) == ["no"]


def test_votes_of_trees_with_a_missing_value() -> None:
    """A tree without prediction counts as a vote for no answer (missingPredictionTreatment continue)."""
    undecided, decided = stump(LOW, HIGH, "age"), constant("never")
    lost = score(
        document(ensemble("majorityVote", [undecided, undecided, decided]), CHOICE, AGE), shop_batch([None, 20.0])
    )
    assert reasons(lost) == {0: "MISSING_FEATURE"}
    won = score(document(ensemble("majorityVote", [undecided, decided, decided]), CHOICE, AGE), shop_batch([None]))
    assert labels(won) == ["never"]
    skipped = ensemble("majorityVote", [undecided, undecided, decided], 'missingPredictionTreatment="skipSegment"')
    assert labels(score(document(skipped, CHOICE, AGE), shop_batch([None]))) == ["never"]


def test_threads_load_and_score_at_once() -> None:
    data = document(stump(LOW, HIGH, "age"), CHOICE, AGE)
    shared = load(descriptor(data), SHOP)
    ages = np.linspace(0.0, 60.0, 500)
    expected = ["yes" if age <= 30 else "no" for age in ages]

    def work(_: int) -> bool:
        own = load(descriptor(data), SHOP)
        batch = shop_batch(ages.tolist())
        return labels(own.score(batch)) == expected and labels(shared.score(batch)) == expected

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(12)))


def test_a_java_machine_that_runs_already_is_used() -> None:
    """In a process of its own: something else has started the JVM, without PMML4S on its class path."""
    data = document(linear("age"), AMOUNT, AGE)
    program = f"""
import jpype
jpype.startJVM(convertStrings=False)
from modelserving.runtimes.pmml4s import Evaluator
print(Evaluator({data!r}).evaluate(["age"], [(2.0,)])[1])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "[[5.0]]", done.stderr


def test_close_frees_the_java_model() -> None:
    servable = load(descriptor(document(linear("age"), AMOUNT.replace("double", "integer"), AGE)), SHOP)
    evaluator = weakref.ref(servable._evaluator)  # type: ignore[attr-defined]
    servable.close()
    gc.collect()
    assert evaluator() is None
    with pytest.raises(RuntimeError, match="closed"):
        servable.score(shop_batch([1.0]))
    servable.close()

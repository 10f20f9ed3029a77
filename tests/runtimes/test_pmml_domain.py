"""What PMML documents say of the values of their inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.loader import load
from modelserving.probe import probe_batch
from modelserving.runtimes.pmml_document import parse
from modelserving.runtimes.pmml_domain import MAX_VALUES, domains, unusual
from modelserving.runtimes.pmml_fields import bind, invalid
from modelserving.servable import Domain
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from tests.runtimes.pmml_samples import (
    AGE,
    AMOUNT,
    CHOICE,
    COLOUR,
    HIGH,
    LOW,
    SHOP,
    document,
    linear,
    schema,
    stump,
)
from tests.runtimes.wine import EXAMPLE, WINE


def domain(data: bytes, feature: str) -> Domain:
    parsed = parse(data)
    return domains(parsed, bind(parsed.inputs, SHOP))[feature]


def age(*content: str, data_type: str = "double") -> str:
    """The data field age, with content."""
    return AGE.replace("double", data_type).replace("/>", f">{''.join(content)}</DataField>")


def interval(left: float | None, right: float | None, closure: str = "closedClosed") -> str:
    margins = (
        f'leftMargin="{left!r}"' if left is not None else "",
        f'rightMargin="{right!r}"' if right is not None else "",
    )
    return f'<Interval closure="{closure}" {" ".join(margins)}/>'


def tree(predicate: str, *fields: str) -> str:
    """A tree of one leaf under a predicate."""
    return (
        f'<TreeModel functionName="classification">{schema("choice", *fields)}'
        f'<Node score="yes"><True/><Node score="no">{predicate}</Node></Node></TreeModel>'
    )


def test_nothing_is_said() -> None:
    assert domain(document(linear("age"), AGE, AMOUNT), "age") == Domain()


def test_of_whole_numbers_nothing_is_said() -> None:
    """With fractions hardly any record of some inputs would be valid: no model of whole numbers could be tried."""
    assert domain(document(linear("age"), age(data_type="integer"), AMOUNT), "age").numbers == (1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([age()], (-4.0, -2.0, -1.0, -0.5, 0.0), id="any number"),
        pytest.param([age(data_type="integer")], (-4.0, -2.0, -1.0, 0.0), id="whole numbers"),
        pytest.param([age(interval(-1.0, 80.0))], (-1.0, -0.5, 0.0), id="interval"),
        pytest.param([age('<Value value="-1" property="missing"/>')], (-4.0, -2.0, -0.5, 0.0), id="missing"),
        pytest.param([COLOUR.split("<Value")[0] + "</DataField>"], ("value that no model names",), id="any category"),
        pytest.param([COLOUR], (), id="listed categories"),
    ],
)
def test_unusual_values_are_valid(fields: list[str], expected: tuple[object, ...]) -> None:
    (field,) = parse(document(linear("colour" if "colour" in fields[0] else "age"), AMOUNT, *fields)).inputs
    assert unusual(field) == expected


def test_unusual_values_are_no_outliers() -> None:
    model = linear('age" outliers="asMissingValues" lowValue="-1')
    assert unusual(parse(document(model, AMOUNT, AGE)).inputs[0]) == (-1.0, -0.5, 0.0)


def test_a_closed_interval() -> None:
    found = domain(document(linear("age"), age(interval(18.0, 80.0)), AMOUNT), "age")
    assert found == Domain(numbers=(18.0, 49.0, 80.0))


def test_an_open_interval() -> None:
    found = domain(document(linear("age"), age(interval(18.0, 80.0, "openOpen")), AMOUNT), "age")
    assert found == Domain(numbers=(49.0,))


def test_an_interval_with_one_end() -> None:
    assert domain(document(linear("age"), age(interval(18.0, None)), AMOUNT), "age") == Domain(numbers=(18.0, 27.0))
    assert domain(document(linear("age"), age(interval(None, 18.0)), AMOUNT), "age") == Domain(numbers=(9.0, 18.0))


def test_values_of_a_number() -> None:
    found = domain(document(linear("age"), age('<Value value="1"/><Value value="7"/>'), AMOUNT), "age")
    assert found == Domain(numbers=(1.0, 7.0))


def test_whole_numbers() -> None:
    found = domain(document(linear("age"), age(interval(1.0, 4.0), data_type="integer"), AMOUNT), "age")
    assert found == Domain(numbers=(1.0, 2.0, 4.0))


def test_thresholds_of_a_tree() -> None:
    """The threshold, one below it and one above: so that both branches are taken."""
    assert domain(document(stump(LOW, HIGH, "age"), AGE, CHOICE), "age") == Domain(numbers=(15.0, 30.0, 45.0))


def test_thresholds_within_the_interval() -> None:
    data = document(stump(LOW, HIGH, "age"), age(interval(20.0, 33.0)), CHOICE)
    assert domain(data, "age") == Domain(numbers=(20.0, 25.0, 30.0, 31.5, 33.0))


def test_thresholds_below_zero() -> None:
    data = document(tree('<SimplePredicate field="age" operator="lessThan" value="-4"/>', "age"), AGE, CHOICE)
    assert domain(data, "age") == Domain(numbers=(-6.0, -4.0, -2.0))


@pytest.mark.parametrize(
    ("predicate", "numbers"),
    [
        pytest.param('<SimplePredicate field="age" operator="isMissing"/>', (), id="without a value"),
        pytest.param('<SimplePredicate field="age" operator="equal" value="old"/>', (), id="value that is no number"),
        pytest.param('<SimplePredicate field="age" operator="equal" value="INF"/>', (), id="infinite value"),
        pytest.param('<SimplePredicate field="other" operator="equal" value="3"/>', (), id="of another field"),
        pytest.param(
            '<SimpleSetPredicate field="age" booleanOperator="isIn"><Array n="2" type="real">2 4</Array>'
            "</SimpleSetPredicate>",
            (1.0, 2.0, 3.0, 4.0, 4.5),
            id="set",
        ),
        pytest.param(
            '<CompoundPredicate booleanOperator="and"><SimplePredicate field="age" operator="greaterThan" value="2"/>'
            '<SimplePredicate field="age" operator="lessThan" value="4"/></CompoundPredicate>',
            (1.0, 2.0, 3.0, 4.0, 4.5),
            id="compound",
        ),
    ],
)
def test_predicates(predicate: str, numbers: tuple[float, ...]) -> None:
    assert domain(document(tree(predicate, "age"), AGE, CHOICE), "age") == Domain(numbers=numbers)


def test_the_range_of_a_neural_networks_input_and_statistics() -> None:
    norm = (
        '<NormContinuous field="age"><LinearNorm orig="10" norm="0"/><LinearNorm orig="30" norm="1"/></NormContinuous>'
    )
    derived = (
        f'<LocalTransformations><DerivedField name="n" optype="continuous" dataType="double">{norm}</DerivedField>'
    )
    statistics = '<ModelStats><UnivariateStats field="age"><NumericInfo minimum="8" maximum="50"/></UnivariateStats>'
    model = linear("age").replace(
        "<RegressionTable", f"{statistics}</ModelStats>{derived}</LocalTransformations><RegressionTable"
    )
    found = domain(document(model, AGE, AMOUNT), "age")
    assert found == Domain(numbers=(4.0, 8.0, 9.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.5))


@pytest.mark.parametrize(
    ("expression", "numbers", "categories"),
    [
        pytest.param(
            '<Discretize field="age"><DiscretizeBin binValue="x"><Interval closure="openClosed" leftMargin="2" '
            'rightMargin="4"/></DiscretizeBin></Discretize>',
            (1.0, 2.0, 3.0, 4.0, 4.5),
            (),
            id="bins",
        ),
        pytest.param(
            '<MapValues outputColumn="t:out"><FieldColumnPair field="age" column="t:a"/>'
            '<FieldColumnPair field="colour" column="t:c"/><InlineTable xmlns:t="urn:table">'
            "<row><t:a>2</t:a><t:c>mauve</t:c><t:out>7</t:out></row><row><t:a>4</t:a><t:c>x</t:c><t:out>8</t:out></row>"
            "</InlineTable></MapValues>",
            (1.0, 2.0, 3.0, 4.0, 4.5),
            ("mauve", "x"),
            id="rows of a table",
        ),
        pytest.param(
            '<Apply function="if"><Apply function="isIn"><FieldRef field="colour"/><Constant>mauve</Constant>'
            '<Constant>x</Constant></Apply><Apply function="+"><FieldRef field="age"/><Constant>4</Constant></Apply>'
            '<Apply function="*"><Constant>2</Constant><FieldRef field="age"/></Apply></Apply>',
            (1.0, 2.0, 3.0, 4.0, 4.5),
            ("mauve", "x"),
            id="constants beside a field",
        ),
    ],
)
def test_what_expressions_name(expression: str, numbers: tuple[float, ...], categories: tuple[str, ...]) -> None:
    derived = f'<DerivedField name="d" optype="continuous" dataType="double">{expression}</DerivedField>'
    model = f'<NeuralNetwork functionName="regression">{schema("amount", "age", "colour")}<LocalTransformations>'
    colour = '<DataField name="colour" optype="categorical" dataType="string"/>'
    data = document(f"{model}{derived}</LocalTransformations></NeuralNetwork>", AGE, colour, AMOUNT)
    assert domain(data, "age") == Domain(numbers=numbers)
    assert domain(data, "colour") == Domain(categories=categories)


def test_outliers_bounds() -> None:
    data = document(linear('age" outliers="asExtremeValues" lowValue="2" highValue="4'), AGE, AMOUNT)
    assert domain(data, "age") == Domain(numbers=(1.0, 2.0, 3.0, 4.0, 4.5))


def test_categories() -> None:
    assert domain(document(linear("colour"), COLOUR, AMOUNT), "colour") == Domain(categories=("blue", "red"))


def test_categories_of_predictors_and_predicates() -> None:
    plain = '<DataField name="colour" optype="categorical" dataType="string"/>'
    assert domain(document(linear("colour"), plain, AMOUNT), "colour") == Domain(categories=("blue", "red"))
    predicate = (
        '<SimpleSetPredicate field="colour" booleanOperator="isIn"><Array n="3" type="string">'
        r'"light blue" red "say \"no\""</Array></SimpleSetPredicate>'
    )
    found = domain(document(tree(predicate, "colour"), plain, CHOICE), "colour")
    assert found == Domain(categories=("light blue", "red", 'say "no"'))


def test_invalid_values_are_left_out() -> None:
    field = COLOUR.replace('value="blue"', 'value="blue" property="invalid"')
    assert domain(document(linear("colour"), field, AMOUNT), "colour") == Domain(categories=("red",))


def test_a_domain_is_bounded() -> None:
    nodes = "".join(f'<SimplePredicate field="age" operator="equal" value="{number}"/>' for number in range(5000))
    predicate = f'<CompoundPredicate booleanOperator="or">{nodes}</CompoundPredicate>'
    numbers = domain(document(tree(predicate, "age"), AGE, CHOICE), "age").numbers
    assert len(numbers) == MAX_VALUES
    assert numbers[0] < 0
    assert numbers[-1] > 4999


bounds = st.floats(-1e300, 1e300) | st.integers(-10, 10).map(float)
closures = st.sampled_from(["openOpen", "openClosed", "closedOpen", "closedClosed"])


@given(left=bounds, right=bounds, closure=closures, thresholds=st.lists(bounds, max_size=5))
def test_numbers_are_ascending_and_valid(left: float, right: float, closure: str, thresholds: list[float]) -> None:
    nodes = "".join(f'<SimplePredicate field="age" operator="equal" value="{each!r}"/>' for each in thresholds)
    predicate = f'<CompoundPredicate booleanOperator="or">{nodes}<True/></CompoundPredicate>'
    data = document(tree(predicate, "age"), age(interval(min(left, right), max(left, right), closure)), CHOICE)
    parsed = parse(data)
    numbers = np.array(domain(data, "age").numbers, dtype=np.float64)
    assert not invalid(numbers, parsed.inputs[0]).any()
    assert (np.diff(numbers) > 0).all()
    if closure == "closedClosed":
        assert {min(left, right), max(left, right)} <= set(numbers)
    assert {each for each in thresholds if min(left, right) < each < max(left, right)} <= set(numbers)


@pytest.mark.parametrize("file", ["forest", "tree", "linear", "glm", "neural-network"])
def test_the_example_models_answer_every_row(file: str) -> None:
    data = (EXAMPLE / "models" / f"{file}.pmml").read_bytes()
    servable = load(ModelDescriptor(name=file, modeltype=ModelType.PMML, data=data), WINE)
    scores = servable.score(probe_batch(WINE, servable))
    assert scores.unanswered() == []
    if file in ("forest", "tree"):
        assert scores.label_index is not None
        assert len(set(scores.label_index.tolist())) > 1  # more than one branch is taken
    servable.close()

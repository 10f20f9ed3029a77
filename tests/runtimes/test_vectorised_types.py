"""What a value's type decides: how truths are compared, where numbers are rounded, how they are divided.

The expected answers are JPMML's. Where it raises there is none, but for a missing argument of a function.
"""

from __future__ import annotations

import math

import pytest

from modelserving.runtimes.pmml_document import parse
from modelserving.runtimes.pmml_fields import bind
from modelserving.runtimes.vectorised.compiled import CompiledDocument
from modelserving.runtimes.vectorised.coverage import NotCovered
from tests.runtimes.pmml_random import MIXED, batch
from tests.runtimes.test_vectorised_expressions import (
    HEAD,
    NONE,
    SCHEMA,
    apply,
    constant,
    derived,
    document,
    ref,
    truth,
    values,
)

IS_RED = derived("is_red", apply("equal", ref("c"), constant("red")), "boolean")
TENTH = 0.1
SINGLE_TENTH = 0.10000000149011612


def model(tag: str, attributes: str, content: str, fields: str = IS_RED) -> bytes:
    """A regression."""
    return (
        f'{HEAD}<{tag} functionName="regression" {attributes}><MiningSchema><MiningField name="number" '
        f'usageType="target"/>{SCHEMA}</MiningSchema><LocalTransformations>{fields}</LocalTransformations>{content}'
        f"</{tag}></PMML>"
    ).encode()


def tree(*nodes: tuple[str, int], fields: str = IS_RED) -> bytes:
    """A tree with a child for each predicate and score, and 0 where none is true."""
    children = "".join(f'<Node score="{score}">{predicate}</Node>' for predicate, score in nodes)
    attributes = 'noTrueChildStrategy="returnLastPrediction"'
    return model("TreeModel", attributes, f'<Node score="0"><True/>{children}</Node>', fields)


def simple(field: str, operator: str, value: object = None) -> str:
    given = "" if value is None else f'value="{value}"'
    return f'<SimplePredicate field="{field}" operator="{operator}" {given}/>'


def in_set(operator: str, *texts: str) -> str:
    return (
        f'<SimpleSetPredicate field="is_red" booleanOperator="{operator}"><Array type="string" n="{len(texts)}">'
        f"{' '.join(texts)}</Array></SimpleSetPredicate>"
    )


REGRESSION = model(
    "RegressionModel",
    "",
    '<RegressionTable intercept="0"><CategoricalPredictor name="is_red" value="true" coefficient="2"/>'
    '<CategoricalPredictor name="is_red" value="false" coefficient="5"/></RegressionTable>',
)
GENERAL = model(
    "GeneralRegressionModel",
    'modelType="generalLinear"',
    '<ParameterList><Parameter name="p"/><Parameter name="q"/></ParameterList><FactorList><Predictor name="is_red"/>'
    '</FactorList><CovariateList/><PPMatrix><PPCell value="true" predictorName="is_red" parameterName="p"/>'
    '<PPCell value="false" predictorName="is_red" parameterName="q"/></PPMatrix><ParamMatrix>'
    '<PCell parameterName="p" beta="2"/><PCell parameterName="q" beta="5"/></ParamMatrix>',
)
MACHINE = model(
    "SupportVectorMachineModel",
    "",
    '<LinearKernelType/><VectorDictionary><VectorFields><CategoricalPredictor name="is_red" value="true" '
    'coefficient="1"/><CategoricalPredictor name="is_red" value="false" coefficient="1"/></VectorFields>'
    '<VectorInstance id="v"><Array type="real" n="2">2 5</Array></VectorInstance></VectorDictionary>'
    '<SupportVectorMachine><SupportVectors><SupportVector vectorId="v"/></SupportVectors><Coefficients>'
    '<Coefficient value="1"/></Coefficients></SupportVectorMachine>',
)


@pytest.mark.parametrize(
    ("data", "red", "blue", "missing"),
    [
        pytest.param(REGRESSION, 2, 5, 0, id="regression"),
        pytest.param(GENERAL, 2, 5, NONE, id="general regression"),
        pytest.param(MACHINE, 2, 5, NONE, id="support vectors"),
        pytest.param(
            document(IS_RED + derived("d", '<NormDiscrete field="is_red" value="true"/>')), 1, 0, NONE, id="true as 1"
        ),
        pytest.param(
            document(IS_RED + derived("d", '<NormDiscrete field="is_red" value="false"/>')), 0, 1, NONE, id="false as 1"
        ),
        pytest.param(
            tree((simple("is_red", "equal", "true"), 2), (simple("is_red", "equal", "false"), 5)), 2, 5, 0, id="equal"
        ),
        pytest.param(tree((simple("is_red", "notEqual", "true"), 2)), 0, 2, 0, id="notEqual"),
        pytest.param(tree((simple("is_red", "isMissing"), 2)), 0, 0, 2, id="isMissing"),
        pytest.param(tree((simple("is_red", "isNotMissing"), 2)), 2, 2, 0, id="isNotMissing"),
        pytest.param(tree((in_set("isIn", "false"), 2)), 0, 2, 0, id="isIn"),
        pytest.param(tree((in_set("isNotIn", "false"), 2)), 2, 0, 0, id="isNotIn"),
        pytest.param(tree((in_set("isIn", "true", "false"), 2)), 2, 2, 0, id="isIn both"),
        pytest.param(
            tree(
                (
                    '<CompoundPredicate booleanOperator="or">'
                    f"{simple('is_red', 'equal', 'true')}{simple('c', 'equal', 'blue')}</CompoundPredicate>",
                    2,
                ),
                (simple("is_red", "isMissing"), 5),
            ),
            2,
            2,
            5,
            id="beside a category",
        ),
    ],
)
def test_a_truth_is_compared_with_a_truth(data: bytes, red: float, blue: float, missing: float | None) -> None:
    assert values(data, "c", "red", "blue", None) == [red, blue, missing]


def test_counts_of_a_truth() -> None:
    def pair(value: str, yes: int, no: int) -> str:
        return f'<PairCounts value="{value}"><TargetValueCounts>{counts(yes, no)}</TargetValueCounts></PairCounts>'

    def counts(yes: int, no: int) -> str:
        return f'<TargetValueCount value="yes" count="{yes}"/><TargetValueCount value="no" count="{no}"/>'

    data = (
        f'{HEAD}<NaiveBayesModel functionName="classification" threshold="0.001"><MiningSchema>'
        f'<MiningField name="class" usageType="target"/>{SCHEMA}</MiningSchema><LocalTransformations>{IS_RED}'
        f'</LocalTransformations><BayesInputs><BayesInput fieldName="is_red">{pair("true", 3, 1)}{pair("false", 1, 3)}'
        f'</BayesInput></BayesInputs><BayesOutput fieldName="class"><TargetValueCounts>{counts(4, 4)}'
        "</TargetValueCounts></BayesOutput></NaiveBayesModel></PMML>"
    ).encode()
    parsed = parse(data)
    given = batch([{"a": None, "b": None, "f": None, "n": None, "c": each} for each in ("red", "blue", None)])
    answer, _, _ = CompiledDocument(parsed, bind(parsed.inputs, MIXED)).score(given)
    assert answer.probabilities is not None
    yes = answer.probabilities[:, parsed.classes.index("yes")]
    assert yes.tolist() == pytest.approx([0.75, 0.25, 0.5])


@pytest.mark.parametrize("text", ["red", "TRUE", "1"])
def test_what_is_no_truth_is_not_compared_with_one(text: str) -> None:
    for data in (REGRESSION, GENERAL, MACHINE, tree((simple("is_red", "equal", "true"), 2))):
        with pytest.raises(NotCovered, match=f"{text!r} for field 'is_red' of type boolean"):
            values(data.replace(b'value="true"', f'value="{text}"'.encode()), "c", "red")


def test_truths_have_no_order() -> None:
    with pytest.raises(NotCovered, match="boolean"):
        values(tree((simple("is_red", "lessThan", "true"), 2)), "c", "red")


LN = apply("ln", ref("a"))


@pytest.mark.parametrize(
    ("function", "expected"),
    [("sum", [NONE, 4, 4]), ("avg", [NONE, 2, 4]), ("min", [NONE, 0, 4]), ("max", [NONE, 4, 4])],
)
def test_what_has_no_result_is_not_missing_to_an_aggregate(function: str, expected: list[float | None]) -> None:
    """JPMML has no answer then, whatever the aggregate."""
    data = document(apply(function, LN, constant(4, "double")))
    assert values(data, "a", -1.0, 1.0, None) == expected


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param(ref("f", 'mapMissingTo="0.1"'), id="FieldRef"),
        pytest.param(apply("+", ref("f"), ref("f"), attributes='mapMissingTo="0.1"'), id="mapMissingTo"),
        pytest.param(apply("min", ref("f"), ref("f"), attributes='defaultValue="0.1"'), id="defaultValue"),
        pytest.param(apply("abs", ref("f"), attributes='mapMissingTo="0.1"'), id="abs"),
    ],
)
def test_what_is_given_instead_of_a_missing_value_has_the_type_of_the_field(expression: str) -> None:
    assert values(document(expression, "float"), "f", None) == [SINGLE_TENTH]
    assert values(document(expression, "double"), "f", None) == [TENTH]
    below = tree((simple("d", "lessThan", TENTH), 2), fields=derived("d", expression, "float"))
    assert values(below, "f", None, -1.0) == [0, 0 if "abs" in expression else 2]


def test_a_float_stays_one() -> None:
    """Also its amount: what it is compared with is rounded, as it is itself."""
    assert values(document(truth(apply("equal", apply("abs", ref("f")), constant(TENTH, "double")))), "f", -0.1) == [1]
    assert values(document(apply("+", apply("abs", ref("f")), ref("f"))), "f", 0.1) == [0.20000000298023224]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("floor", [-3, -1, 0, 0, 2, 2]),
        ("ceil", [-2, 0, 1, 1, 3, 3]),
        ("round", [-2, 0, 0, 1, 3, 3]),
    ],
)
@pytest.mark.parametrize("data_type", ["integer", "double", "float"])
def test_rounding(function: str, expected: list[float], data_type: str) -> None:
    """Halves go up, and only halves and what is beyond them."""
    given = (-2.5, -0.5, math.nextafter(0.5, 0.0), 0.5, 2.5, 2.75)
    assert values(document(apply(function, ref("a")), data_type), "a", *given) == expected


WHOLE = apply("round", apply("*", ref("a"), constant(100, "integer")))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param(apply("/", WHOLE, constant(100, "double")), 1.23, id="division by a double"),
        pytest.param(apply("+", WHOLE, constant(1, "integer")), 124, id="sum of integers"),
        pytest.param(apply("sum", WHOLE, constant(1, "integer")), 124, id="aggregate of integers"),
        pytest.param(apply("avg", WHOLE, constant(2, "integer")), 62.5, id="average of integers"),
        pytest.param(apply("exp", apply("floor", ref("a"))), math.e, id="function of an integer"),
        pytest.param(apply("abs", apply("floor", apply("-", constant(0, "integer"), ref("a")))), 2, id="abs"),
        pytest.param(apply("round", WHOLE), 123, id="rounding of an integer"),
    ],
)
def test_what_is_rounded_is_an_integer(expression: str, expected: float) -> None:
    assert values(document(expression), "a", 1.234) == pytest.approx([expected], rel=1e-15)


EITHER = apply("if", apply("greaterThan", ref("a"), constant(1, "double")), apply("floor", ref("a")), ref("a"))


def test_an_integer_or_a_double() -> None:
    assert values(document(EITHER), "a", 0.5, 1.5, 2.5, None) == [0.5, 1, 2, NONE]
    assert values(document(apply("*", EITHER, constant(2, "integer"))), "a", 0.25, 1.5) == [0.5, 2]
    assert values(document(apply("/", EITHER, constant(2, "double"))), "a", 0.5, 1.5) == [0.25, 0.5]
    assert values(document(EITHER, "float"), "a", 0.1, 1.5) == [SINGLE_TENTH, 1]


@pytest.mark.parametrize(
    ("expression", "data_type", "construct"),
    [
        pytest.param(apply("/", WHOLE, constant(100, "integer")), "double", "function /", id="integers"),
        pytest.param(apply("/", EITHER, constant(2, "integer")), "double", "function /", id="perhaps integers"),
        pytest.param(
            apply("/", apply("+", EITHER, constant(2, "integer")), WHOLE), "double", "function /", id="their sums"
        ),
        pytest.param(apply("+", EITHER, ref("f")), "double", "type integer or double, float", id="perhaps a float"),
        pytest.param(EITHER, "integer", "type integer from", id="an integer of what may be none"),
    ],
)
def test_divisions_and_types_that_differ_by_record_are_not_covered(
    expression: str, data_type: str, construct: str
) -> None:
    with pytest.raises(NotCovered, match=construct):
        values(document(expression, data_type), "a", 1.0)

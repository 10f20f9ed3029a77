"""The values of derived fields, by hand: tables, functions of categories, and what is done about missing values."""

from __future__ import annotations

import math

import pytest

from modelserving.runtimes.pmml_document import parse
from modelserving.runtimes.pmml_fields import bind
from modelserving.runtimes.vectorised.compiled import CompiledDocument
from modelserving.runtimes.vectorised.coverage import NotCovered
from tests.runtimes.pmml_random import MIXED, Record, batch
from tests.runtimes.pmml_random import document as random_document

NONE = None
NEXT = math.nextafter(1.0, 2.0)
HEAD = random_document(0, "regression").decode().partition("<RegressionModel")[0]
SCHEMA = "".join(f'<MiningField name="{name}"/>' for name in (*"abfnc",))


def document(fields: str, data_type: str = "double") -> bytes:
    """A regression whose number is the field `d`; `fields` are derived ones, or the expression of `d`."""
    if not fields.startswith("<DerivedField"):
        fields = derived("d", fields, data_type)
    return (
        f'{HEAD}<RegressionModel functionName="regression"><MiningSchema><MiningField name="number" '
        f'usageType="target"/>{SCHEMA}</MiningSchema><LocalTransformations>{fields}</LocalTransformations>'
        '<RegressionTable intercept="0"><NumericPredictor name="d" coefficient="1"/></RegressionTable>'
        "</RegressionModel></PMML>"
    ).encode()


def derived(name: str, expression: str, data_type: str = "double") -> str:
    return f'<DerivedField name="{name}" optype="continuous" dataType="{data_type}">{expression}</DerivedField>'


def values(data: bytes, field: str, *given: float | str | None) -> list[float | None]:
    """The number for records that have only this field; NONE where there is none."""
    parsed = parse(data)
    empty: Record = dict.fromkeys(("a", "b", "f", "n", "c"))
    answer, failures, _ = CompiledDocument(parsed, bind(parsed.inputs, MIXED)).score(
        batch([{**empty, field: value} for value in given])
    )
    assert failures == []
    assert answer.numbers is not None
    return [None if math.isnan(number) else number for number in answer.numbers.tolist()]


def ref(field: str, attributes: str = "") -> str:
    return f'<FieldRef field="{field}" {attributes}/>'


def constant(value: object, data_type: str = "string") -> str:
    return f'<Constant dataType="{data_type}">{value}</Constant>'


def apply(function: str, *given: str, attributes: str = "") -> str:
    return f'<Apply function="{function}" {attributes}>{"".join(given)}</Apply>'


def truth(test: str) -> str:
    """1 where it is true, 0 where it is false, none where it is missing."""
    return apply("if", test, constant(1, "double"), constant(0, "double"))


def is_text(expression: str, text: str) -> str:
    return truth(apply("equal", expression, constant(text)))


def discretize(*bins: tuple[object, str], attributes: str = 'dataType="double"') -> str:
    inner = "".join(f'<DiscretizeBin binValue="{value}"><Interval {each}/></DiscretizeBin>' for value, each in bins)
    return f'<Discretize field="a" {attributes}>{inner}</Discretize>'


def between(closure: str) -> str:
    return discretize((7, f'closure="{closure}" leftMargin="0" rightMargin="1"'))


@pytest.mark.parametrize(
    ("closure", "at_left", "at_right"),
    [("openOpen", NONE, NONE), ("openClosed", NONE, 7), ("closedOpen", 7, NONE), ("closedClosed", 7, 7)],
)
def test_margins_belong_to_a_bin_as_its_closure_says(closure: str, at_left: float | None, at_right: float) -> None:
    given = (math.nextafter(0.0, -1.0), 0.0, 0.5, math.nextafter(1.0, 0.0), 1.0, NEXT)
    assert values(document(between(closure)), "a", *given) == [NONE, at_left, 7, 7, at_right, NONE]


UP_TO_0 = 'closure="openClosed" rightMargin="0"'
FROM_1 = 'closure="closedOpen" leftMargin="1"'


@pytest.mark.parametrize(
    ("attributes", "default", "missing"),
    [
        pytest.param("", NONE, NONE, id="neither"),
        pytest.param('defaultValue="9"', 9, NONE, id="default"),
        pytest.param('mapMissingTo="8"', NONE, 8, id="missing"),
        pytest.param('defaultValue="9" mapMissingTo="8"', 9, 8, id="both"),
    ],
)
@pytest.mark.parametrize("data_type", ["double", "integer", "string"])
def test_what_no_bin_or_row_has_gets_the_default_and_what_is_missing_its_own(
    attributes: str, default: float | None, missing: float | None, data_type: str
) -> None:
    attributes = f'{attributes} dataType="{data_type}"'
    binned = document(discretize((2, FROM_1), (1, UP_TO_0), attributes=attributes))
    assert values(binned, "a", -1e308, 0.0, 0.5, 1.0, 1e308, None) == [1, 1, default, 2, 2, missing]
    rows = "<row><k>red</k><v>1</v></row><row><k>blue</k><v>2</v></row>"
    table = (
        f'<MapValues outputColumn="v" {attributes}><FieldColumnPair field="c" column="k"/>'
        f"<InlineTable>{rows}</InlineTable></MapValues>"
    )
    assert values(document(table), "c", "red", "blue", "green", None) == [1, 2, default, missing]


def test_a_table_of_several_fields_needs_all_of_them() -> None:
    rows = "".join(
        f"<row><i>{i}</i><j>{j}</j><v>{value}</v></row>"
        for i, j, value in (("red", 1, 10), ("red", 2.5, 20), ("x", 1, 30))
    )
    table = (
        '<MapValues outputColumn="v" dataType="double" mapMissingTo="-1" defaultValue="0">'
        '<FieldColumnPair field="c" column="i"/><FieldColumnPair field="a" column="j"/>'
        f"<InlineTable>{rows}</InlineTable></MapValues>"
    )
    parsed = parse(document(table))
    given = (("red", 1.0), ("red", 2.5), ("x", 1.0), ("x", 2.5), ("red", 9.0), ("y", 1.0), ("red", None), (None, 1.0))
    answer, _, _ = CompiledDocument(parsed, bind(parsed.inputs, MIXED)).score(
        batch([{"a": a, "b": None, "f": None, "n": None, "c": c} for c, a in given])
    )
    assert answer.numbers is not None
    assert answer.numbers.tolist() == [10, 20, 30, 0, 0, 0, -1, -1]


def test_columns_of_a_table_may_have_a_prefix() -> None:
    """As those of JPMML's converters have."""
    table = (
        '<MapValues outputColumn="data:output" dataType="double"><FieldColumnPair field="c" column="data:input"/>'
        '<InlineTable xmlns:data="http://jpmml.org/jpmml-model/InlineTable"><row><data:input>red</data:input>'
        "<data:output>4</data:output></row></InlineTable></MapValues>"
    )
    assert values(document(table), "c", "red", "blue") == [4, NONE]


@pytest.mark.parametrize(
    ("expression", "field", "given", "expected"),
    [
        pytest.param(
            truth(apply("isIn", ref("c"), constant("red"), constant("blue"))),
            "c",
            ("red", "blue", "green", None),
            [1, 1, 0, 0],
            id="isIn, categories",
        ),
        pytest.param(
            truth(apply("isNotIn", ref("c"), constant("red"), constant("blue"))),
            "c",
            ("red", "blue", "green", None),
            [0, 0, 1, 1],
            id="isNotIn, categories",
        ),
        pytest.param(
            truth(apply("isIn", ref("a"), constant(0.1, "double"), constant(2, "integer"))),
            "a",
            (0.1, 2.0, NEXT, None),
            [1, 1, 0, 0],
            id="isIn, numbers",
        ),
        pytest.param(
            truth(apply("isIn", ref("f"), constant(0.1, "double"), constant(2, "integer"))),
            "f",
            (0.1, 2.0, 0.2),
            [1, 1, 0],
            id="isIn, floats",
        ),
        pytest.param(
            truth(apply("equal", ref("f"), constant(0.1, "double"))), "f", (0.1, 0.2), [1, 0], id="a float equals"
        ),
        pytest.param(
            truth(apply("equal", constant(0.1, "double"), ref("f"))), "f", (0.1, 0.2), [0, 0], id="equals a float"
        ),
        pytest.param(
            apply("modulo", ref("n"), constant(-3, "integer")), "n", (-4.0, 0.0, 2.0, 4.0, None), [-1, 0, -1, -2, NONE],
            id="modulo, whole",
        ),
        pytest.param(
            apply("modulo", ref("a"), constant(1.5, "double")), "a", (-2.0, 2.0, None), [1, 0.5, NONE], id="modulo"
        ),
        pytest.param(
            is_text(apply("uppercase", ref("c")), "RED"), "c", ("red", "Red", "RED", "blue", None), [1, 1, 1, 0, NONE],
            id="uppercase",
        ),
        pytest.param(is_text(apply("lowercase", ref("c")), "red"), "c", ("rEd", "x"), [1, 0], id="lowercase"),
        pytest.param(
            is_text(apply("trimBlanks", ref("c")), "red"), "c", (" red", "red\t ", "r ed"), [1, 1, 0], id="trimBlanks"
        ),
        pytest.param(
            is_text(apply("substring", ref("c"), constant(2, "integer"), constant(3, "integer")), "bcd"), "c",
            ("abcde", "xbcd", "bcd", "a", ""), [1, 1, 0, 0, 0],
            id="substring",
        ),
        pytest.param(
            is_text(apply("concat", ref("c"), constant("-"), ref("c")), "a-a"), "c", ("a", "b", None), [1, 0, 0],
            id="concat",
        ),
        pytest.param(
            is_text(apply("concat", ref("c"), constant("-")), "-"), "c", ("", "-", None), [1, 0, 1],
            id="concat, what is missing is empty",
        ),
        pytest.param(
            truth(apply("equal", ref("c"), apply("lowercase", ref("c")))), "c", ("mauve", "Mauve", None), [1, 0, NONE],
            id="two categories that the document does not name",
        ),
        pytest.param(
            truth(apply("notEqual", ref("c"), apply("lowercase", ref("c")))), "c", ("mauve", "Mauve"), [0, 1],
            id="two categories that differ",
        ),
        pytest.param(
            is_text(apply("if", apply("equal", ref("c"), constant("x")), constant("red"), ref("c")), "red"), "c",
            ("x", "red", "y", None), [1, 1, 0, NONE],
            id="if, categories",
        ),
        pytest.param(
            apply("if", apply("equal", ref("c"), constant("x")), constant("1.5"), constant("2")), "c", ("x", "y"),
            [1.5, 2],
            id="categories as numbers",
        ),
        pytest.param(is_text(ref("c", 'mapMissingTo="red"'), "red"), "c", ("red", "x", None), [1, 0, 1], id="FieldRef"),
        pytest.param(
            apply("min", ref("a"), ref("b", 'mapMissingTo="3"'), attributes='mapMissingTo="7"'), "a", (1.0, 5.0, None),
            [1, 3, 7],
            id="mapMissingTo is for any argument",
        ),
        pytest.param(
            apply("min", ref("a"), ref("b"), attributes='defaultValue="7"'), "a", (1.0, None), [1, 7],
            id="defaultValue is for a missing result",
        ),
        pytest.param(
            apply("+", ref("a"), ref("a"), attributes='mapMissingTo="7" defaultValue="8"'), "a", (1.0, None), [2, 7],
            id="mapMissingTo before defaultValue",
        ),
        pytest.param(
            truth(apply("isMissing", ref("a"), attributes='mapMissingTo="false"')), "a", (1.0, None), [0, 0],
            id="a truth instead of a missing argument",
        ),
        pytest.param(
            apply("if", apply("greaterThan", ref("a"), constant(1, "double")), ref("a"), attributes='defaultValue="7"'),
            "a", (2.0, 0.0), [2, 7],
            id="defaultValue of if",
        ),
        pytest.param(
            truth(apply("and", apply("isNotMissing", ref("a")), constant("false", "boolean"))), "a", (1.0,), [0],
            id="Constant false",
        ),
    ],
)  # fmt: skip
def test_functions(expression: str, field: str, given: tuple[float | str | None, ...], expected: list[float]) -> None:
    data = document(expression)
    assert values(data, field, *given) == expected
    assert [values(data, field, each)[0] for each in given] == expected


def test_a_derived_category_is_one_to_all_that_read_it() -> None:
    """Also one that no record has in these letters, in a field of a field, and in a table."""
    fields = (
        derived("upper", apply("uppercase", ref("c")), "string")
        + derived("copy", ref("upper"), "string")
        + derived("indicator", '<NormDiscrete field="copy" value="RED"/>')
        + derived("same", truth(apply("equal", ref("copy"), ref("upper"))))
        + derived(
            "listed",
            '<MapValues outputColumn="v" dataType="double" defaultValue="0"><FieldColumnPair field="copy" column="k"/>'
            "<InlineTable><row><k>BLUE</k><v>10</v></row></InlineTable></MapValues>",
        )
        + derived("d", apply("sum", ref("indicator"), ref("listed"), apply("*", ref("same"), constant(100, "double"))))
    )
    assert values(document(fields), "c", "red", "Blue", "mauve") == [101, 110, 100]


NOT_COVERED = '<Apply function="formatNumber"><FieldRef field="a"/><Constant>%d</Constant></Apply>'


def test_a_field_that_is_not_covered_refuses_only_those_that_read_it() -> None:
    unread = derived("odd", NOT_COVERED, "string")
    assert values(document(unread + derived("d", ref("a"))), "a", 2.0) == [2]
    with pytest.raises(NotCovered, match="formatNumber"):
        values(document(unread + derived("d", is_text(ref("odd"), "2"))), "a", 2.0)


def test_a_field_that_is_not_covered_hides_one_of_its_name_outside() -> None:
    outer = f"<TransformationDictionary>{derived('odd', ref('a'))}</TransformationDictionary>"
    data = document(derived("odd", NOT_COVERED, "string") + derived("d", ref("odd")))
    data = data.replace(b"<RegressionModel", f"{outer}<RegressionModel".encode())
    with pytest.raises(NotCovered, match="formatNumber"):
        values(data, "a", 2.0)


@pytest.mark.parametrize(
    ("expression", "construct"),
    [
        pytest.param(discretize((1, UP_TO_0), (2, 'closure="closedOpen" leftMargin="0"')), "overlap", id="overlap"),
        pytest.param(discretize(), "without bins", id="no bins"),
        pytest.param(discretize((1, 'closure="open" leftMargin="0"')), "closure", id="closure"),
        pytest.param(discretize(("x", UP_TO_0)), "'x'", id="a bin of another type"),
        pytest.param(discretize(("1.5", UP_TO_0), attributes='dataType="integer"'), "'1.5'", id="half an integer"),
        pytest.param(discretize((1, UP_TO_0)).replace('"a"', '"c"'), "category", id="bins of a category"),
        pytest.param(
            '<MapValues outputColumn="v"><FieldColumnPair field="c" column="k"/><TableLocator/></MapValues>',
            "without InlineTable",
            id="a table elsewhere",
        ),
        pytest.param(
            '<MapValues outputColumn="v"><FieldColumnPair field="c" column="k"/><InlineTable>'
            "<row><k>x</k><v>1</v></row><row><k>x</k><v>2</v></row></InlineTable></MapValues>",
            "in two rows",
            id="a row twice",
        ),
        pytest.param(
            '<MapValues outputColumn="v"><FieldColumnPair field="c" column="k"/><InlineTable><row><k>x</k></row>'
            "</InlineTable></MapValues>",
            "without column 'v'",
            id="a row without a value",
        ),
        pytest.param(apply("modulo", ref("n"), ref("n")), "modulo", id="whole numbers modulo what may be 0"),
        pytest.param(apply("modulo", ref("n"), constant(0, "integer")), "modulo", id="whole numbers modulo 0"),
        pytest.param(truth(apply("isIn", ref("a"), ref("b"))), "isIn", id="isIn of fields"),
        pytest.param(truth(apply("isIn", ref("a"), constant("x"))), "isIn", id="isIn of another type"),
        pytest.param(truth(apply("isIn", ref("n"), constant(0.5, "double"))), "'0.5'", id="a fraction among integers"),
        pytest.param(truth(apply("equal", ref("c"), ref("a"))), "with a number", id="a category and a number"),
        pytest.param(
            is_text(apply("substring", ref("c"), ref("n"), constant(1, "integer")), "x"), "substring", id="substring"
        ),
        pytest.param(
            is_text(apply("substring", ref("c"), constant(0, "integer"), constant(1, "integer")), "x"),
            "position 0",
            id="substring from 0",
        ),
        pytest.param(ref("c"), "type double from a value of type string", id="what a record brings as a number"),
        pytest.param(apply("if", ref("c"), ref("a"), ref("b")), "category", id="a category as a condition"),
    ],
)
def test_not_covered(expression: str, construct: str) -> None:
    with pytest.raises(NotCovered, match=construct):
        values(document(expression), "a", 1.0)

"""Trees by masks of leaves reach the leaves that a walk reaches, whatever the values and however the masks are laid."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelserving.runtimes.pmml_document import parse
from modelserving.runtimes.pmml_fields import bind
from modelserving.runtimes.vectorised import forest
from modelserving.runtimes.vectorised.compiled import CompiledDocument
from modelserving.runtimes.vectorised.coverage import NotCovered
from tests.runtimes.pmml_random import MIXED, Record, batch, document, records
from tests.runtimes.pmml_random_fields import COLOURS, GRID, NUMBERS, schema
from tests.runtimes.pmml_walk import reached

VALUES = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([*GRID, -0.0, 5e-324, -5e-324])
RECORDS = st.fixed_dictionaries(
    {
        "a": VALUES,
        "b": VALUES,
        "f": VALUES.filter(lambda value: value is None or abs(value) < 1e38),
        "n": st.none() | st.integers(-3, 5).map(float),
        "c": st.none() | st.sampled_from([*COLOURS, "black", ""]),
    }
)


def compiled(data: bytes) -> CompiledDocument:
    parsed = parse(data)
    return CompiledDocument(parsed, bind(parsed.inputs, MIXED))


def numbers(data: bytes, given_records: list[Record]) -> list[float | None]:
    answer, failures, _ = compiled(data).score(batch(given_records))
    assert failures == []
    assert answer.numbers is not None
    return [None if np.isnan(each) else float(each) for each in answer.numbers]


@settings(max_examples=150)
@given(seed=st.integers(0, 10_000), rows=st.lists(RECORDS, min_size=1, max_size=20))
def test_a_tree_is_walked(seed: int, rows: list[Record]) -> None:
    data = document(seed, "tree without targets")
    model = parse(data).model
    walked = [reached(model, row) for row in rows]
    assert numbers(data, rows) == [None if score is None else float(score) for score in walked]


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_a_walk_does_not_depend_on_how_trees_are_put_together(seed: int) -> None:
    data = document(seed, "regression forest")
    rows = records(seed, 30)
    together = numbers(data, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forest, "BLOCK_BYTES", 1)
        assert numbers(data, rows) == together


def wide(leaves: int) -> bytes:
    """A tree of one long row of children, each for one value of `a` and with its number for a score."""
    nodes = "".join(
        f'<Node score="{index}"><SimplePredicate field="a" operator="lessThan" value="{index + 0.5}"/></Node>'
        for index in range(leaves - 1)
    )
    fields = "".join(f'<DataField name="{name}" optype="continuous" dataType="double"/>' for name in NUMBERS)
    fields += '<DataField name="c" optype="categorical" dataType="string"/>'
    return (
        '<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/>'
        f'<DataDictionary>{fields}<DataField name="number" optype="continuous" dataType="double"/></DataDictionary>'
        f'<TreeModel functionName="regression">{schema("number")}<Node score="-1"><True/>{nodes}'
        f'<Node score="{leaves - 1}"><True/></Node></Node></TreeModel></PMML>'
    ).encode()


def row(**values: float | str | None) -> Record:
    return {"a": None, "b": None, "f": None, "n": None, "c": None, **values}


@pytest.mark.parametrize("leaves", [1, 2, 8, 9, 16, 17, 32, 33, 63, 64, 65, 128, 129, 300])
def test_every_leaf_of_a_tree_of_any_width(leaves: int) -> None:
    rows = [row(a=float(index)) for index in range(leaves)]
    random.Random(leaves).shuffle(rows)  # noqa: S311
    assert numbers(wide(leaves), rows) == [each["a"] for each in rows]


def test_a_tree_too_large_for_masks_is_not_covered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forest, "MAX_BYTES", 1000)
    with pytest.raises(NotCovered, match="300 leaves"):
        compiled(wide(300))


def test_a_threshold_of_a_float_field_is_rounded_as_the_value_is() -> None:
    data = wide(2).replace(
        b'name="a" optype="continuous" dataType="double"', b'name="a" optype="continuous" dataType="float"'
    )
    data = data.replace(b'operator="lessThan" value="0.5"', b'operator="lessOrEqual" value="0.1"')
    assert numbers(data, [row(a=0.1), row(a=0.1000000016), row(a=0.11)]) == [0.0, 0.0, 1.0]
    double = wide(2).replace(b'operator="lessThan" value="0.5"', b'operator="lessOrEqual" value="0.1"')
    assert numbers(double, [row(a=0.1), row(a=0.1000000016)]) == [0.0, 1.0]


def test_many_children_of_different_fields_are_covered_or_said_not_to_be() -> None:
    def alternating(count: int) -> bytes:
        nodes = "".join(
            f'<Node score="{index}">'
            f'<SimplePredicate field="{"ab"[index % 2]}" operator="equal" value="{index}"/></Node>'
            for index in range(count)
        )
        data = wide(2)
        return data[: data.index(b'<Node score="0">')] + nodes.encode() + data[data.index(b"</Node></TreeModel>") :]

    assert numbers(alternating(40), [row(b=39.0), row(a=38.0, b=0.0), row(a=39.0)]) == [39.0, 38.0, None]
    with pytest.raises(NotCovered, match="deep"):
        compiled(alternating(5000))


def test_negative_zero_is_zero() -> None:
    data = wide(2).replace(b'value="0.5"', b'value="0"')
    assert numbers(data, [row(a=-0.0), row(a=0.0), row(a=-5e-324)]) == [1.0, 1.0, 0.0]

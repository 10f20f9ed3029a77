"""Random derived fields for `pmml_random.py` that look values up, or are made of categories."""

from __future__ import annotations

import random
from itertools import pairwise

from tests.runtimes.pmml_random_fields import COLOURS, GRID, NUMBERS
from tests.runtimes.pmml_random_terms import regression

_WORDS = (*COLOURS, "black", "RED", "1", "2")


def tables(chance: random.Random) -> str:
    """A regression of numbers out of tables, and of categories."""
    names = tuple(f"d{index}" for index in range(3))
    fields = "".join(
        f'<DerivedField name="{name}" optype="continuous" dataType="{chance.choice(("double", "double", "float"))}">'
        f"{_number(chance)}</DerivedField>"
        for name in names
    )
    fields += f'<DerivedField name="s" optype="categorical" dataType="string">{_category(chance)}</DerivedField>'
    categories = "".join(
        f'<CategoricalPredictor name="s" value="{word}" coefficient="{chance.uniform(-1, 1)}"/>'
        for word in chance.sample(_WORDS, 4)
    )
    model = regression(chance, False, inputs=names).replace("</RegressionTable>", f"{categories}</RegressionTable>")
    for name in names:
        model = model.replace(f'<MiningField name="{name}"/>', "")
    transformed = f"<LocalTransformations>{fields}</LocalTransformations>"
    before = "</Targets>" if "</Targets>" in model else "</MiningSchema>"
    return model.replace(before, f"{before}{transformed}")


def _attribute(chance: random.Random, name: str, value: object, share: float = 0.5) -> str:
    return f' {name}="{value}"' if chance.random() < share else ""


def _discretize(chance: random.Random, data_type: str, outputs: tuple[object, ...]) -> str:
    """With gaps between some bins, and bins that hold one number or none."""
    margins = sorted(chance.sample(GRID, chance.randint(1, 6)))
    ends: list[float | None] = [chance.choice((None, margins[0])), *margins, None]
    bins: list[str] = []
    closed = True
    for left, right in pairwise(ends):
        if (left is None and right is None) or chance.random() < 0.15:
            continue
        # the first bin may begin anyhow; one after another not where that one ended
        start = "open" if bins and closed else chance.choice(("open", "closed"))
        end = chance.choice(("Open", "Closed"))
        if left == right:
            start, end = "closed", "Closed"
        closed = end == "Closed"
        given = "".join(
            f' {name}="{value}"' for name, value in (("leftMargin", left), ("rightMargin", right)) if value is not None
        )
        bins.append(
            f'<DiscretizeBin binValue="{chance.choice(outputs)}"><Interval closure="{start}{end}"{given}/>'
            "</DiscretizeBin>"
        )
    return (
        f'<Discretize field="{chance.choice(NUMBERS)}" dataType="{data_type}"'
        f"{_attribute(chance, 'mapMissingTo', chance.choice(outputs))}"
        f"{_attribute(chance, 'defaultValue', chance.choice(outputs))}>{''.join(bins)}</Discretize>"
    )


def _map_values(chance: random.Random, data_type: str, outputs: tuple[object, ...]) -> str:
    fields = chance.sample(("a", "n", "c"), chance.randint(1, 2))
    listed: dict[str, tuple[object, ...]] = {"a": GRID, "n": (-2, -1, 0, 1, 2, 3), "c": (*COLOURS, "black")}
    keys = {tuple(chance.choice(listed[field]) for field in fields) for _ in range(9)}
    rows = "".join(
        "<row>"
        + "".join(f"<x{field}>{key}</x{field}>" for field, key in zip(fields, row, strict=True))
        + f"<out>{chance.choice(outputs)}</out></row>"
        for row in sorted(keys, key=str)
    )
    pairs = "".join(f'<FieldColumnPair field="{field}" column="x{field}"/>' for field in fields)
    return (
        f'<MapValues outputColumn="out" dataType="{data_type}"'
        f"{_attribute(chance, 'mapMissingTo', chance.choice(outputs))}"
        f"{_attribute(chance, 'defaultValue', chance.choice(outputs))}>{pairs}"
        f"<InlineTable>{rows}</InlineTable></MapValues>"
    )


def _table(chance: random.Random, data_type: str, outputs: tuple[object, ...]) -> str:
    return chance.choice((_discretize, _map_values))(chance, data_type, outputs)


def _apply(function: str, *given: str, attributes: str = "") -> str:
    return f'<Apply function="{function}"{attributes}>{"".join(given)}</Apply>'


def _text(value: object) -> str:
    return f'<Constant dataType="string">{value}</Constant>'


def _whole(value: int) -> str:
    return f'<Constant dataType="integer">{value}</Constant>'


def _test(chance: random.Random, depth: int) -> str:
    numbers = "".join(f'<Constant dataType="double">{value}</Constant>' for value in chance.sample(GRID, 3))
    words = "".join(_text(word) for word in chance.sample(_WORDS, 3))
    membership = chance.choice(("isIn", "isNotIn"))
    return chance.choice(
        (
            _apply(membership, f'<FieldRef field="{chance.choice(("a", "b"))}"/>', numbers),
            _apply(membership, '<FieldRef field="n"/>', _whole(chance.randint(-2, 4)), _whole(chance.randint(-2, 4))),
            _apply(membership, _category(chance, depth + 1), words),
            _apply(chance.choice(("equal", "notEqual")), _category(chance, depth + 1), _text(chance.choice(_WORDS))),
            _apply(chance.choice(("equal", "notEqual")), _category(chance, depth + 1), _category(chance, depth + 1)),
            _apply("isMissing", _category(chance, depth + 1)),
        )
    )


def _number(chance: random.Random, depth: int = 0) -> str:
    # to JPMML they are texts: arithmetic has no result for them, only the field's type makes numbers of them
    missing = _attribute(chance, "mapMissingTo", chance.choice(GRID), 0.3 if depth == 0 else 0)
    default = _attribute(chance, "defaultValue", chance.choice(GRID), 0.3 if depth == 0 else 0)
    draw = chance.random()
    if depth >= 2 or draw < 0.1:
        return f'<FieldRef field="{chance.choice(("a", "b"))}"{missing}/>'
    if draw < 0.2 and depth == 0:
        # numbers that the field's type makes of texts
        return _table(chance, "string", ("1", "2.5", "-3"))
    if draw < 0.5:
        return _table(chance, "double", GRID)
    if draw < 0.6 and depth == 0:
        return _apply("modulo", '<FieldRef field="n"/>', _whole(chance.choice((-2, 2, 3))), attributes=missing)
    if draw < 0.7:
        divisor = f'<Constant dataType="double">{chance.choice((-1.5, 0.1, 0.3, 2.0))}</Constant>'
        return _apply("modulo", _number(chance, depth + 1), divisor, attributes=missing + default)
    if draw < 0.8:
        function = chance.choice(("min", "max", "sum", "avg", "+"))
        given = (_number(chance, depth + 1), _number(chance, depth + 1))
        return _apply(function, *given, attributes=missing + default)
    other = _number(chance, depth + 1)
    if chance.random() < 0.3:
        return _apply("if", _test(chance, depth), other, attributes=default)
    return _apply("if", _test(chance, depth), other, _number(chance, depth + 1), attributes=missing + default)


def _category(chance: random.Random, depth: int = 0) -> str:
    missing = _attribute(chance, "mapMissingTo", chance.choice(_WORDS), 0.3)
    default = _attribute(chance, "defaultValue", chance.choice(_WORDS), 0.3)
    draw = chance.random()
    if depth >= 3 or draw < 0.15:
        return f'<FieldRef field="c"{missing}/>'
    if draw < 0.45:
        return _table(chance, "string", (*COLOURS, " Red ", "Blue", "1"))

    def inner() -> str:
        return _category(chance, depth + 1)

    if draw < 0.65:
        function = chance.choice(("uppercase", "lowercase", "trimBlanks"))
        return _apply(function, inner(), attributes=missing + default)
    if draw < 0.75:
        return _apply("substring", inner(), _whole(chance.randint(1, 4)), _whole(chance.randint(0, 5)))
    if draw < 0.85:
        return _apply("concat", inner(), chance.choice((inner(), _text("d"))), attributes=missing)
    other = inner()
    if chance.random() < 0.3:
        return _apply("if", _test(chance, depth), other, attributes=default)
    return _apply("if", _test(chance, depth), other, inner(), attributes=missing + default)

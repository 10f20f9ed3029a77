"""Random trees for `pmml_random.py`."""

from __future__ import annotations

import random

from tests.runtimes.pmml_random_fields import CLASSES, COLOURS, GRID, NUMBERS, schema, targets


def _value(chance: random.Random, field: str) -> str:
    return str(chance.randint(-2, 4)) if field == "n" else str(chance.choice(GRID))


def _simple(chance: random.Random, field: str | None = None) -> str:
    field = field or chance.choice((*NUMBERS, "c"))
    if chance.random() < 0.1:
        operator = chance.choice(("isMissing", "isNotMissing"))
        return f'<SimplePredicate field="{field}" operator="{operator}"/>'
    if chance.random() < 0.2:
        operator = chance.choice(("isIn", "isNotIn"))
        if field == "c":
            items = " ".join(f'"{each}"' for each in chance.sample(COLOURS, 2))
            array = f'<Array type="string" n="2">{items}</Array>'
        else:
            kind = "int" if field == "n" else "real"
            array = f'<Array type="{kind}" n="2">{_value(chance, field)} {_value(chance, field)}</Array>'
        return f'<SimpleSetPredicate field="{field}" booleanOperator="{operator}">{array}</SimpleSetPredicate>'
    if field == "c":
        operator = chance.choice(("equal", "notEqual"))
        return f'<SimplePredicate field="c" operator="{operator}" value="{chance.choice(COLOURS)}"/>'
    operator = chance.choice(("lessThan", "lessOrEqual", "greaterThan", "greaterOrEqual", "equal", "notEqual"))
    return f'<SimplePredicate field="{field}" operator="{operator}" value="{_value(chance, field)}"/>'


def predicate(chance: random.Random, depth: int = 0) -> str:
    """Any predicate."""
    draw = chance.random()
    if draw < 0.04:
        return "<False/>"
    if draw < 0.3 and depth < 2:
        operator = chance.choice(("and", "or", "xor", "surrogate"))
        parts = "".join(predicate(chance, depth + 1) for _ in range(chance.randint(2, 3)))
        return f'<CompoundPredicate booleanOperator="{operator}">{parts}</CompoundPredicate>'
    return _simple(chance)


_COMPLEMENT = {"lessThan": "greaterOrEqual", "lessOrEqual": "greaterThan", "greaterThan": "lessOrEqual"}


def _siblings(chance: random.Random) -> list[str]:
    """The predicates of a node's children."""
    draw = chance.random()
    if draw < 0.55:
        field, operator = chance.choice(NUMBERS), chance.choice(tuple(_COMPLEMENT))
        value = _value(chance, field)
        first = f'<SimplePredicate field="{field}" operator="{operator}" value="{value}"/>'
        if chance.random() < 0.3:
            return [first, "<True/>"]
        return [first, f'<SimplePredicate field="{field}" operator="{_COMPLEMENT[operator]}" value="{value}"/>']
    if draw < 0.7:
        field = chance.choice((*NUMBERS, "c"))
        return [_simple(chance, field) for _ in range(chance.randint(2, 3))]
    parts = [predicate(chance) for _ in range(chance.randint(1, 3))]
    return [*parts, "<True/>"] if chance.random() < 0.4 else parts


def tree(
    chance: random.Random,
    classes: bool,
    *,
    target: bool = True,
    distributions: bool = True,
    depth: int = 4,
    sure: bool = False,
    rescaled: bool = True,
) -> str:
    """A tree; a `sure` one always has a prediction."""
    strategy = chance.choice(("none", "none", "lastPrediction", "nullPrediction", "defaultChild", "defaultChild"))
    childless = chance.choice(("returnNullPrediction", "returnLastPrediction"))
    if sure:
        strategy, childless = strategy.replace("nullPrediction", "none"), "returnLastPrediction"
    numbers = iter(range(10_000))

    def node(predicate: str, level: int) -> tuple[str, str]:
        name = str(next(numbers))
        children = []
        if level < depth and chance.random() < 0.85:
            children = [node(each, level + 1) for each in _siblings(chance)]
        default = f' defaultChild="{chance.choice(children)[0]}"' if children and strategy == "defaultChild" else ""
        if classes:
            shares = ""
            if distributions:
                listed = chance.sample(CLASSES, chance.randint(1, 3))
                shares = "".join(
                    f'<ScoreDistribution value="{x}" recordCount="{chance.randint(1, 4)}"/>' for x in listed
                )
            score = chance.choice(CLASSES)
        else:
            shares, score = "", str(round(chance.uniform(-5, 5), 3))
        inner = "".join(text for _, text in children)
        return name, f'<Node id="{name}" score="{score}"{default}>{predicate}{shares}{inner}</Node>'

    function, name = ("classification", "class") if classes else ("regression", "number")
    root = "<True/>" if sure or chance.random() < 0.8 else predicate(chance)
    rescaling = targets(chance, classes) if rescaled else ""
    return (
        f'<TreeModel functionName="{function}" missingValueStrategy="{strategy}" noTrueChildStrategy="{childless}">'
        f"{schema(name if target else None)}{rescaling}{node(root, 0)[1]}</TreeModel>"
    )

"""Random PMML documents with rules for their inputs, and records that these rules are about.

What a document of `pmml_random.py` has for inputs gets valid, invalid and missing values, intervals, outliers, and
treatments and replacements: https://dmg.org/pmml/v4-4-1/MiningSchema.html and DataDictionary.html.
"""

from __future__ import annotations

import random

from tests.runtimes.pmml_random import Record, document, records
from tests.runtimes.pmml_random_fields import COLOURS, GRID, NUMBERS

ABSENT = -9.0
"""What stands for a missing number where a document says so; `unknown` is that of a category."""

REFUSED = 1.7
"""A number that a document may call invalid; it is 2 of a whole one, and `blue` of a category."""

_CLOSURES = ("openOpen", "openClosed", "closedOpen", "closedClosed")


def ruled(seed: int, kind: str) -> bytes:
    """A document of one of the `KINDS` of `pmml_random`, the same for the same seed, with rules for its inputs."""
    chance = random.Random(f"{seed} {kind} rules")  # noqa: S311
    text = document(seed, kind).decode()
    for name in (*NUMBERS, "c"):
        head, found, tail = text.partition(f'<DataField name="{name}" ')
        attributes, _, rest = tail.partition("/>")
        text = f"{head}{found}{attributes}>{_values(chance, name)}</DataField>{rest}"
        # the first schema is that of the document's model
        text = text.replace(f'<MiningField name="{name}"/>', f'<MiningField name="{name}" {_rules(chance, name)}/>', 1)
    return text.encode()


def strange(seed: int, count: int) -> list[Record]:
    """Records like those of `pmml_random`, with values that documents call missing, invalid or outlying."""
    chance = random.Random(f"{seed} strange")  # noqa: S311
    given = records(seed, count)
    for record in given:
        for name in NUMBERS:
            if chance.random() < 0.2:
                record[name] = chance.choice((ABSENT, -40.0, 60.0, 2.5, 2.0 if name == "n" else REFUSED))
        if chance.random() < 0.2:
            record["c"] = chance.choice(("unknown", "blue", "", "Red"))
    return given


def _values(chance: random.Random, name: str) -> str:
    """What is in a DataField."""
    marked = [("missing", _text(name, ABSENT))] if chance.random() < 0.3 else []
    if chance.random() < 0.2:
        marked.append(("invalid", _text(name, REFUSED)))
    if chance.random() < (0.4 if name == "c" else 0.1):
        # some of the numbers beside the interval, if there is one
        valid = COLOURS[:2] if name == "c" else [_text(name, number) for number in GRID[2:]]
        marked += [("valid", text) for text in valid if text not in [each for _, each in marked]]
    values = "".join(f'<Value value="{text}" property="{kind}"/>' for kind, text in marked)
    return (_intervals(chance) if name != "c" else "") + values


def _intervals(chance: random.Random) -> str:
    """None, one, maybe without an end, or two apart."""
    if chance.random() < 0.5:
        return ""
    if chance.random() < 0.3:
        return "".join(
            f'<Interval closure="{chance.choice(_CLOSURES)}" leftMargin="{left}" rightMargin="{right}"/>'
            for left, right in ((-1.5, 0.1), (0.3, 3.0))
        )
    left, right = chance.choice(((-1.5, 3.0), (-0.1, 1.7), (0.1, None), (None, 2.0)))
    ends = "" if left is None else f' leftMargin="{left}"'
    ends += "" if right is None else f' rightMargin="{right}"'
    return f'<Interval closure="{chance.choice(_CLOSURES)}"{ends}/>'


def _rules(chance: random.Random, name: str) -> str:
    """The attributes of a MiningField."""
    rules = []
    invalid = chance.choice((None, "returnInvalid", "asIs", "asIs", "asMissing", "asMissing", "asValue", "asValue"))
    if invalid is not None:
        rules.append(f'invalidValueTreatment="{invalid}"')
    if invalid in ("asIs", "asValue") and chance.random() < (0.3 if invalid == "asIs" else 0.8):
        rules.append(f'invalidValueReplacement="{_other(chance, name)}"')
    outliers = None
    if name != "c" and chance.random() < 0.35:
        low, high = chance.choice(((-1.0, 2.0), (0.0, None), (None, 1.0), (-30.0, 30.0)))
        outliers = chance.choice(("asMissingValues", "asExtremeValues"))
        rules.append(f'outliers="{outliers}"')
        ends = (("low", low), ("high", high))
        rules += [f'{end}Value="{_text(name, number)}"' for end, number in ends if number is not None]
    if chance.random() < 0.35:
        rules.append(f'missingValueReplacement="{_other(chance, name)}"')
        if chance.random() < 0.5:
            treatments = ("asIs", "asMean", "asMedian", "asMode", "asValue")
            rules.append(f'missingValueTreatment="{chance.choice(treatments)}"')
    elif invalid != "asMissing" and outliers != "asMissingValues" and chance.random() < 0.3:
        # of a value that another rule calls missing, JPMML returns invalid only if the model comes to read it
        rules.append('missingValueTreatment="returnInvalid"')
    return " ".join(rules)


def _text(name: str, number: float) -> str:
    """The value of a field that takes the place of that number."""
    if name == "c":
        return "unknown" if number == ABSENT else COLOURS[1]
    return str(round(number)) if name == "n" else repr(number)


def _other(chance: random.Random, name: str) -> str:
    return chance.choice((*COLOURS, "other")) if name == "c" else _text(name, chance.choice(GRID))

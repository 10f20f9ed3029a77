"""The vectorised evaluator answers as JPMML, of every kind of model, also with missing values."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelserving.runtimes.pmml_document import PmmlDocument, parse
from modelserving.runtimes.pmml_fields import bind
from modelserving.runtimes.vectorised.answers import Answer
from modelserving.runtimes.vectorised.compiled import CompiledDocument
from tests.runtimes.pmml_exports import compared
from tests.runtimes.pmml_random import MIXED, batch, records

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "jpmml" / "answers.json").read_text())

NOT_IN_JPMML = {"MissingArgumentException"}
"""JPMML raises where the specification has a missing value: of a function that it gives one to."""


@pytest.mark.parametrize("case", CASES, ids=[f"{case['kind']} {case['seed']}" for case in CASES])
def test_answers(case: dict[str, Any]) -> None:
    data = compared(case["kind"], case["seed"])
    assert hashlib.sha256(data).hexdigest() == case["sha256"], "documents differ: run jpmml/make_answers.py"
    parsed = parse(data)
    compiled = CompiledDocument(parsed, bind(parsed.inputs, MIXED))
    given = records(case["seed"], len(case["answers"]))
    answer, failures, _ = compiled.score(batch(given))
    assert failures == []
    wrong = [
        (given[row], expected, got)
        for row, expected in enumerate(case["answers"])
        if expected.get("error") not in NOT_IN_JPMML and not same(got := at(answer, row, parsed), expected)
    ]
    assert wrong == []


def at(answer: Answer, row: int, parsed: PmmlDocument) -> tuple[float | str | None, dict[str, float]]:
    """The value, None for none, and the probabilities if there are any."""
    if answer.labels is None:
        assert answer.numbers is not None
        return (None if not math.isfinite(answer.numbers[row]) else float(answer.numbers[row])), {}
    label = None if answer.labels[row] < 0 else parsed.classes[answer.labels[row]]
    shares = {} if answer.probabilities is None else dict(zip(parsed.classes, answer.probabilities[row], strict=True))
    return label, shares


def same(got: tuple[float | str | None, dict[str, float]], expected: dict[str, Any]) -> bool:
    value, shares = got
    wanted = expected.get("value")
    if wanted in ("NaN", "Infinity", "-Infinity"):
        wanted = None
    if value is None or wanted is None or isinstance(value, str):
        equal = value == (None if wanted is None else str(wanted))
    else:
        equal = math.isclose(value, wanted, rel_tol=1e-9, abs_tol=0.0)
    probabilities = expected.get("probabilities", {})
    return equal and all(
        math.isclose(shares[name], share, rel_tol=1e-9, abs_tol=0.0) or (wanted is None and np.isnan(shares[name]))
        for name, share in probabilities.items()
    )


def test_the_cases_hold_answers_of_all_kinds() -> None:
    """The comparison above compares something: most rows have an answer, some have none."""
    answers = [answer for case in CASES for answer in case["answers"]]
    answered = [answer for answer in answers if answer.get("value") is not None]
    assert len(answered) > 0.6 * len(answers)
    assert len(answered) < len(answers)
    assert sum("probabilities" in answer for answer in answered) > 400

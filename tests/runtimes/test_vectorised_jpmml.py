"""The vectorised evaluator answers as JPMML, of every kind of model, also with missing, invalid and outlying values."""

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
from modelserving.servable import RecordFailure
from modelserving.wire.serving_pb2 import Reason
from tests.runtimes.pmml_exports import compared
from tests.runtimes.pmml_random import MIXED, Record, batch, records
from tests.runtimes.pmml_random_rules import ruled, strange

Case = dict[str, Any]

_ANSWERS = Path(__file__).parent / "jpmml"
CASES: list[Case] = json.loads((_ANSWERS / "answers.json").read_text())
RULED: list[Case] = json.loads((_ANSWERS / "ruled.json").read_text())
"""With rules for the inputs."""

NOT_IN_JPMML = {"MissingArgumentException"}
"""JPMML raises where the specification has a missing value: of a function that it gives one to."""


@pytest.mark.parametrize("case", CASES, ids=[f"{case['kind']} {case['seed']}" for case in CASES])
def test_answers(case: Case) -> None:
    failed = differing(case, compared(case["kind"], case["seed"]), records(case["seed"], len(case["answers"])))
    assert failed == {}


@pytest.mark.parametrize("case", RULED, ids=[f"{case['kind']} {case['seed']}" for case in RULED])
def test_answers_by_the_rules_for_inputs(case: Case) -> None:
    """A record that JPMML refuses fails, for what is wrong with it; no other does."""
    given = strange(case["seed"], len(case["answers"]))
    failed = differing(case, ruled(case["seed"], case["kind"]), given)
    assert sorted(failed) == [row for row, expected in enumerate(case["answers"]) if "field" in expected]
    for row, failure in failed.items():
        refused = [name for name in given[row] if f"feature {name!r} is" in failure.detail]
        assert len(refused) == 1
        missing = given[row][refused[0]] is None
        assert failure.reason == (Reason.MISSING_FEATURE if missing else Reason.INVALID_VALUE)


def differing(case: Case, data: bytes, given: list[Record]) -> dict[int, RecordFailure]:
    """Assert that all answers are those of the case, and return the rows that failed."""
    assert hashlib.sha256(data).hexdigest() == case["sha256"], "documents differ: run jpmml/make_answers.py"
    parsed = parse(data)
    compiled = CompiledDocument(parsed, bind(parsed.inputs, MIXED))
    answer, failures, _ = compiled.score(batch(given))
    failed = {failure.row: failure for failure in failures}
    wrong = [
        (given[row], expected, got)
        for row, expected in enumerate(case["answers"])
        if row not in failed
        and expected.get("error") not in NOT_IN_JPMML
        and not same(got := at(answer, row, parsed), expected)
    ]
    assert wrong == []
    return failed


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


def test_the_ruled_cases_hold_rules_of_all_kinds() -> None:
    answers = [answer for case in RULED for answer in case["answers"]]
    assert sum("field" in answer for answer in answers) > 300
    assert sum(answer.get("value") is not None for answer in answers) > 700
    text = b"".join(ruled(case["seed"], case["kind"]) for case in RULED).decode()
    for rule in (
        *(f'invalidValueTreatment="{each}"' for each in ("returnInvalid", "asIs", "asMissing", "asValue")),
        *(f'outliers="{each}"' for each in ("asMissingValues", "asExtremeValues")),
        *(f'property="{each}"' for each in ("valid", "invalid", "missing")),
        *(f'closure="{each}"' for each in ("openOpen", "openClosed", "closedOpen", "closedClosed")),
        'missingValueTreatment="returnInvalid"',
        "missingValueReplacement",
    ):
        assert text.count(rule) > 10, rule

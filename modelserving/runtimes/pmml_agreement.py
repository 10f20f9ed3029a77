"""Two engines on the same model: do they answer generated records alike?

Records without a value, or with a category that the model nowhere names, do not decide: PMML4S departs from the
specification there, and from JPMML (it takes a missing number for 0 in a regression, leaves a tree without a prediction
out of an average, answers nothing to a category that it does not know). How often the two differ on them is told.

Were they to decide, models would go to the engine that is wrong. Of the example's models and those that the tests hold
against JPMML (the exports, and 8 random ones of each kind), 114 are vectorised. In 70 of these, the example's forest
among them, PMML4S differs on such records: 548 records, in trees, ensembles, regressions, scorecards, naive Bayes,
support vectors and clusters. To 542 of them JPMML has an answer, and it is that of the vectorised evaluator every time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.probe import CATEGORIES, MODERATE
from modelserving.servable import Domain, Scores, Servable

COMPLETE = 192
"""Generated records with a value for each input."""

INCOMPLETE = 64
"""Generated records that may lack values, beside one for each input that lacks this input alone."""

MOST_LACKING = 256
"""Of the records that go where the model's trees go, how many are tried without some of their values too."""

MISSING_SHARE = 0.15
"""Of the values of these."""

RELATIVE = 1e-9
"""By how much two numbers may differ, relative to the greater one."""

ABSOLUTE = 1e-12
"""By how much two numbers may differ in any case: sums of terms that cancel keep no more digits."""

SINGLE = 2e-5
"""The same, both, of a model whose arithmetic is that of floats: PMML4S computes with doubles all the same. It is the
rounding of a sum of some hundred floats; a wrong leaf of a boosting that matters is off by more."""

Close = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]

_SHOWN_VALUES = 8
_STRANGE = "value that no model names"


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the answers of two engines compare."""

    difference: str | None
    """The first record with a value for each input on which the two differ, described; None if there is none."""
    incomplete: int
    """How many records lacked a value, or had one that the model does not name."""
    incomplete_different: int
    """On how many of these the two differ."""


def compare(
    one: Servable,
    other: Servable,
    inputs: Mapping[str, bool],
    *,
    directed: Sequence[Mapping[str, float | str]] = (),
    single: bool = False,
) -> Comparison:
    """Compare two servables of the same model on generated records.

    Args:
        one: a servable; the records are over its domain.
        other: another.
        inputs: the features that both read, and which of them are numbers.
        directed: records with values for some of these: where to go in the model.
        single: whether the model's arithmetic is that of floats.
    """
    close: Close = partial(_close, relative=SINGLE, absolute=SINGLE) if single else _close
    # apart, since a model that gives one row no probabilities gives its batch none
    complete = _records(one.domain, inputs, COMPLETE + len(directed), True, directed)
    lacking = min(len(directed), MOST_LACKING)
    incomplete = _records(one.domain, inputs, INCOMPLETE + len(inputs) + lacking, False, directed[:lacking])
    first, second = one.score(complete), other.score(complete)
    difference = None
    deciding = np.flatnonzero(_different(first, second, close))
    if len(deciding):
        row = int(deciding[0])
        values = ", ".join(f"{name}={complete.column(name)[row].as_py()!r}" for name in list(inputs)[:_SHOWN_VALUES])
        difference = f"{_shown(first, row)} where the other says {_shown(second, row)}, for {values}"
    wrong = _different(one.score(incomplete), other.score(incomplete), close, shares=False)
    return Comparison(difference, incomplete.num_rows, int(wrong.sum()))


def _records(
    domain: Mapping[str, Domain],
    inputs: Mapping[str, bool],
    rows: int,
    complete: bool,
    directed: Sequence[Mapping[str, float | str]],
) -> pa.RecordBatch:
    """Records with a known value for each input; or such as may lack some, and one that lacks each input."""
    random = np.random.default_rng(len(inputs))
    columns = []
    for position, (name, numeric) in enumerate(inputs.items()):
        known = domain.get(name, Domain())
        values: Sequence[float] | Sequence[str] = (
            known.numbers or MODERATE if numeric else known.categories or CATEGORIES
        )
        column: list[float | str | None] = [values[at] for at in random.integers(len(values), size=rows)]
        for row, given in enumerate(directed, rows - len(directed)):
            column[row] = given.get(name, column[row])
        if not complete:
            for row in np.flatnonzero(random.random(rows) < MISSING_SHARE).tolist():
                column[row] = None if numeric or random.random() < 0.5 else _STRANGE
            column[INCOMPLETE + position] = None
        columns.append(pa.array(column, pa.float64() if numeric else pa.string()))
    return pa.RecordBatch.from_arrays(columns, names=list(inputs))


def _different(one: Scores, other: Scores, close: Close, *, shares: bool = True) -> NDArray[np.bool_]:
    """(n,) which rows differ; with `shares` also if only one of the two has probabilities."""
    wrong = np.zeros(one.rows, dtype=bool)
    failed = [{failure.row: failure.reason for failure in scores.failures} for scores in (one, other)]
    for row in failed[0].keys() | failed[1].keys():
        wrong[row] = failed[0].get(row) != failed[1].get(row)
    answered = np.ones(one.rows, dtype=bool)
    answered[list(failed[0].keys() | failed[1].keys())] = False
    if one.numbers is not None and other.numbers is not None:
        wrong |= answered & ~close(one.numbers, other.numbers)
    if one.label_index is not None and other.label_index is not None:
        tied = np.zeros(one.rows, dtype=bool)
        if one.probabilities is not None and other.probabilities is not None:
            wrong |= answered & ~close(one.probabilities, other.probabilities).all(axis=1)
            rows = np.arange(one.rows)
            # which of two equally probable classes comes first is a matter of rounding
            tied = close(one.probabilities[rows, one.label_index], one.probabilities[rows, other.label_index])
        elif shares and (one.probabilities is not None or other.probabilities is not None):
            wrong |= answered
        wrong |= answered & ~tied & (one.label_index != other.label_index)
    return wrong


def _close(
    one: NDArray[np.float64], other: NDArray[np.float64], relative: float = RELATIVE, absolute: float = ABSOLUTE
) -> NDArray[np.bool_]:
    close: NDArray[np.bool_] = np.abs(one - other) <= relative * np.maximum(np.abs(one), np.abs(other)) + absolute
    return close


def _shown(scores: Scores, row: int) -> str:
    for failure in scores.failures:
        if failure.row == row:
            return repr(failure.detail)
    if scores.numbers is not None:
        return repr(float(scores.numbers[row]))
    if scores.label_index is None:
        return "nothing"
    shares = "" if scores.probabilities is None else f" {scores.probabilities[row].tolist()}"
    return f"{scores.classes[scores.label_index[row]]!r}{shares}"

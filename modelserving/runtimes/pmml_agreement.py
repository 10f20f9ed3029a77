"""Two engines on the same model: do they answer generated records alike?

Records without a value, or with a category that the model nowhere names, do not decide: PMML4S departs from the
specification there, and from JPMML (it takes a missing number for 0 in a regression, leaves a tree without a prediction
out of an average, answers nothing to a category that it does not know). How often the two differ on them is told.

Were they to decide, models would go to the engine that is wrong. Of the example's models and those that the tests hold
against JPMML (the exports, and 8 random ones of each kind), 117 are vectorised. In 72 of these, the example's forest
among them, PMML4S differs on such records: 649 records, in trees, ensembles, regressions, scorecards, naive Bayes,
support vectors and clusters. To 531 of them JPMML has an answer, and it is that of the vectorised evaluator every time.

Where the document lists no valid categories, though, one that it does not name is as good as another: it decides if
both engines answer it, which they then do alike in all of these models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.probe import CATEGORIES, MODERATE
from modelserving.runtimes.pmml_domain import STRANGE
from modelserving.servable import Domain, Scores, Servable

COMPLETE = 192
"""Generated records with a value for each input."""

INCOMPLETE = 64
"""Generated records that may lack values, beside one for each input that lacks this input alone."""

MOST_LACKING = 256
"""Of the records that go where the model's trees go, how many are tried without some of their values too."""

MISSING_SHARE = 0.15
"""Of the values of these."""

UNUSUAL = 96
"""Generated records with a value for each input, some of which are unusual numbers; and as many with such categories,
beside one for each input."""

UNUSUAL_SHARE = 0.4
"""Of the values of these."""

RELATIVE = 1e-9
"""By how much two numbers may differ, relative to the greater one."""

ABSOLUTE = 1e-12
"""By how much two numbers may differ in any case: sums of terms that cancel keep no more digits."""

SINGLE = 2e-5
"""The same, both, of a model whose arithmetic is that of floats: PMML4S computes with doubles all the same. It is the
rounding of a sum of some hundred floats; a wrong leaf of a boosting that matters is off by more. Where all answers are
below 1, `ABSOLUTE` takes their size: of small ones a wrong leaf would else be within it."""

SINGLE_SHARE = 2.0**-23
"""By how much two probabilities of such a model may differ in any case: the greater of two is kept to these digits, and
the other one may be what it lacks to 1."""

_SHOWN_VALUES = 8


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the answers of two engines compare."""

    difference: str | None
    """The first record with a value for each input on which the two differ, described; or what the first of the two
    raises. None if there is neither."""
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
    unusual: Mapping[str, Sequence[float | str]] = MappingProxyType({}),
    single: bool = False,
) -> Comparison:
    """Compare two servables of the same model on generated records.

    Args:
        one: a servable; the records are over its domain. An exception that it raises is a difference.
        other: another.
        inputs: the features that both read, and which of them are numbers.
        directed: records with values for some of these: where to go in the model.
        unusual: ordinary values of some of these that the servables' domain does not have.
        single: whether the model's arithmetic is that of floats.
    """
    numbers, categories = (
        {name: values for name, values in unusual.items() if values and inputs[name] == numeric}
        for numeric in (True, False)
    )
    missing = {name: (None,) if numeric else (None, STRANGE) for name, numeric in inputs.items()}
    lacking = directed[:MOST_LACKING]
    batches = [
        _records(one.domain, inputs, COMPLETE, directed),
        _records(one.domain, inputs, UNUSUAL if numbers else 0, odd=numbers, share=UNUSUAL_SHARE),
        _records(one.domain, inputs, UNUSUAL if categories else 0, odd=categories, share=UNUSUAL_SHARE),
        _records(one.domain, inputs, INCOMPLETE, lacking, odd=missing, share=MISSING_SHARE),
    ]
    try:
        answers = [one.score(batch) for batch in batches]
    except Exception as error:  # noqa: BLE001 - a fault in it may raise anything
        return Comparison(f"it raises {type(error).__name__}: {error}", 0, 0)
    others = [other.score(batch) for batch in batches]
    *deciding, lacking_differ = (_different(*pair, single) for pair in zip(answers, others, strict=True))
    # a number may be one that the model has no answer for; PMML4S often has none for a category that it does not know
    deciding[1] &= _answered(answers[1]) | _answered(others[1])
    deciding[2] &= _answered(answers[2]) & _answered(others[2])
    difference = None
    for batch, differ, first, second in zip(batches, deciding, answers, others, strict=False):
        if differ.any():
            row = int(differ.argmax())
            values = ", ".join(f"{name}={batch.column(name)[row].as_py()!r}" for name in list(inputs)[:_SHOWN_VALUES])
            difference = f"{_shown(first, row)} where the other says {_shown(second, row)}, for {values}"
            break
    return Comparison(difference, len(lacking_differ), int(lacking_differ.sum()))


def _records(
    domain: Mapping[str, Domain],
    inputs: Mapping[str, bool],
    rows: int,
    directed: Sequence[Mapping[str, float | str]] = (),
    *,
    odd: Mapping[str, Sequence[float | str | None]] = MappingProxyType({}),
    share: float = 0.0,
) -> pa.RecordBatch:
    """Records with a known value for each input, and the `directed` ones.

    A share of the values of inputs that are `odd` is replaced by these, in one more record for each input always.
    """
    random = np.random.default_rng(len(inputs))
    whole = rows + len(directed) + (len(inputs) if odd else 0)
    columns = []
    for position, (name, numeric) in enumerate(inputs.items()):
        known = domain.get(name, Domain())
        values: Sequence[float] | Sequence[str] = (
            known.numbers or MODERATE if numeric else known.categories or CATEGORIES
        )
        column: list[float | str | None] = [values[at] for at in random.integers(len(values), size=whole)]
        for row, given in enumerate(directed, whole - len(directed)):
            column[row] = given.get(name, column[row])
        others = odd.get(name, ())
        if others:
            for row in np.flatnonzero(random.random(whole) < share).tolist():
                column[row] = others[0] if len(others) == 1 else others[int(random.random() * len(others))]
            column[rows + position] = others[0]
        columns.append(pa.array(column, pa.float64() if numeric else pa.string()))
    return pa.RecordBatch.from_arrays(columns, names=list(inputs))


def _different(one: Scores, other: Scores, single: bool) -> NDArray[np.bool_]:
    """(n,) which rows differ; `single` if the model's arithmetic is that of floats."""
    wrong = np.zeros(one.rows, dtype=bool)
    failed = [{failure.row: failure.reason for failure in scores.failures} for scores in (one, other)]
    for row in failed[0].keys() | failed[1].keys():
        wrong[row] = failed[0].get(row) != failed[1].get(row)
    answered = _answered(one) & _answered(other)
    if one.numbers is not None and other.numbers is not None:
        wrong[answered] |= ~_close(one.numbers[answered], other.numbers[answered], single)
    if one.label_index is not None and other.label_index is not None:
        shares, others = _shares(one), _shares(other)
        given, wanted = (~np.isnan(each).any(axis=1) for each in (shares, others))
        wrong |= answered & (given != wanted)
        both = answered & given & wanted
        wrong[both] |= ~_close(shares[both], others[both], single, SINGLE_SHARE).all(axis=1)
        # which of two equally probable classes comes first is a matter of rounding
        at = np.flatnonzero(both)
        tied = np.zeros(one.rows, dtype=bool)
        tied[at] = _close(shares[at, one.label_index[at]], shares[at, other.label_index[at]], single)
        wrong |= answered & ~tied & (one.label_index != other.label_index)
    return wrong


def _answered(scores: Scores) -> NDArray[np.bool_]:
    """(n,) which rows have an answer."""
    answered = np.ones(scores.rows, dtype=bool)
    answered[[failure.row for failure in scores.failures]] = False
    return answered


def _shares(scores: Scores) -> NDArray[np.float64]:
    """(n, k) the probabilities of the classes, NaN for none."""
    if scores.probabilities is None:
        return np.full((scores.rows, len(scores.classes)), np.nan)
    return scores.probabilities


def _close(
    one: NDArray[np.float64], other: NDArray[np.float64], single: bool, least: float = ABSOLUTE
) -> NDArray[np.bool_]:
    """Which of the numbers, (n,) or (n, k), are as good as equal; those in a column are of one size."""
    sizes = np.maximum(np.abs(one), np.abs(other))
    bounds = RELATIVE * sizes + ABSOLUTE
    if single:
        bounds = SINGLE * sizes + np.maximum(least, SINGLE * np.minimum(1.0, sizes.max(axis=0, initial=0.0)))
    close: NDArray[np.bool_] = np.abs(one - other) <= bounds
    return close


def _shown(scores: Scores, row: int) -> str:
    for failure in scores.failures:
        if failure.row == row:
            return repr(failure.detail)
    if scores.numbers is not None:
        return repr(float(scores.numbers[row]))
    if scores.label_index is None:
        return "nothing"
    told = _shares(scores)[row]
    shares = "" if np.isnan(told).any() else f" {told.tolist()}"
    return f"{scores.classes[scores.label_index[row]]!r}{shares}"

"""Naive Bayes models whose threshold is 0, as those of scikit-learn: what a class rules out stays impossible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from modelserving.runtimes.pmml_document import parse
from modelserving.runtimes.pmml_fields import bind
from modelserving.runtimes.vectorised.columns import Numbers
from modelserving.runtimes.vectorised.compiled import CompiledDocument
from modelserving.runtimes.vectorised.coverage import NotCovered
from tests.runtimes.pmml_random import MIXED, Record, batch
from tests.runtimes.test_vectorised_expressions import HEAD, SCHEMA

CLASSES = ("yes", "no", "never")
MEANS = {"a": (0.0, 1.0, 5.0), "b": (0.0, -2.0, 0.5)}
VARIANCES = {"a": (1.0, 0.25, 4.0), "b": (1.0, 0.5, 1e-3)}


def counts(*given: float) -> str:
    each = "".join(
        f'<TargetValueCount value="{name}" count="{count}"/>' for name, count in zip(CLASSES, given, strict=True)
    )
    return f"<TargetValueCounts>{each}</TargetValueCounts>"


def gaussian(field: str) -> str:
    stats = "".join(
        f'<TargetValueStat value="{name}"><GaussianDistribution mean="{mean}" variance="{variance}"/></TargetValueStat>'
        for name, mean, variance in zip(CLASSES, MEANS[field], VARIANCES[field], strict=True)
    )
    return f'<BayesInput fieldName="{field}"><TargetValueStats>{stats}</TargetValueStats></BayesInput>'


COLOURS = (
    f'<BayesInput fieldName="c"><PairCounts value="red">{counts(3, 0, 1)}</PairCounts>'
    f'<PairCounts value="blue">{counts(1, 2, 0)}</PairCounts></BayesInput>'
)


def document(*inputs: str, threshold: str = "0.0") -> bytes:
    return (
        f'{HEAD}<NaiveBayesModel functionName="classification" threshold="{threshold}"><MiningSchema>'
        f'<MiningField name="class" usageType="target"/>{SCHEMA}</MiningSchema><BayesInputs>{"".join(inputs)}'
        f'</BayesInputs><BayesOutput fieldName="class">{counts(40, 50, 60)}</BayesOutput></NaiveBayesModel></PMML>'
    ).encode()


GAUSSIAN_NB = document(gaussian("a"), gaussian("b"))


def scored(data: bytes, *given: Mapping[str, float | str | None]) -> tuple[list[str | None], list[list[float]]]:
    """The labels, None for none, and the probabilities in the order of `CLASSES`."""
    parsed = parse(data)
    empty: Record = dict.fromkeys(("a", "b", "f", "n", "c"))
    answer, failures, _ = CompiledDocument(parsed, bind(parsed.inputs, MIXED)).score(
        batch([{**empty, **each} for each in given])
    )
    assert failures == []
    assert answer.labels is not None
    assert answer.probabilities is not None
    labels = [None if label < 0 else parsed.classes[label] for label in answer.labels]
    return labels, answer.probabilities[:, [parsed.classes.index(name) for name in CLASSES]].tolist()


NEAR = ((0.1, 0.2), (1.0, -1.5), (4.0, 0.45), (2.0, 0.5), (-1.0, -3.0))


def expected(rows: Sequence[tuple[float, float]]) -> Numbers:
    """By the formula of scikit-learn, which adds logarithms."""
    total = np.log(np.array([40.0, 50.0, 60.0])) + np.zeros((len(rows), 3))
    for field, values in zip("ab", np.array(rows).T, strict=True):
        variances = np.array(VARIANCES[field])
        total -= 0.5 * np.log(2.0 * np.pi * variances)
        total -= 0.5 * (values[:, np.newaxis] - np.array(MEANS[field])) ** 2 / variances
    shares = np.exp(total - total.max(axis=1, keepdims=True))
    result: Numbers = shares / shares.sum(axis=1, keepdims=True)
    return result


def test_gaussian_naive_bayes_of_scikit_learn() -> None:
    labels, probabilities = scored(GAUSSIAN_NB, *({"a": a, "b": b} for a, b in NEAR))
    np.testing.assert_allclose(probabilities, expected(NEAR), rtol=1e-9, atol=1e-300)
    assert labels == ["yes", "no", "never", "never", "yes"]


def test_where_densities_have_few_digits() -> None:
    """JPMML multiplies densities, and near the least of numbers they come out in steps."""
    close = gaussian("a").replace('mean="1.0" variance="0.25"', 'mean="0.0" variance="1.001"')
    labels, probabilities = scored(document(close.replace('"5.0"', '"1000.0"')), {"a": 38.44}, {"a": 38.58})
    assert labels == ["no", "no"]
    np.testing.assert_allclose(probabilities, [[0.2758620689655, 0.7241379310345, 0], [4 / 9, 5 / 9, 0]], rtol=1e-9)


def test_what_no_class_can_be_has_no_answer() -> None:
    """JPMML answers the first class, with probabilities that are no numbers."""
    labels, probabilities = scored(GAUSSIAN_NB, {"a": 1e6, "b": 0.0}, {"a": -1e300, "b": 1e300}, {"a": 0.1, "b": 0.2})
    assert labels == [None, None, "yes"]
    assert np.isnan(probabilities[:2]).all()
    assert not np.isnan(probabilities[2]).any()


def test_a_count_of_0() -> None:
    """It rules a class out, for those values alone that have the count."""
    given = ({"c": "red"}, {"c": "blue"}, {"c": "green"}, {"c": None})
    labels, probabilities = scored(document(COLOURS), *given)
    assert labels == ["never", "no", "never", "never"]
    prior = [4 / 15, 5 / 15, 6 / 15]
    np.testing.assert_allclose(probabilities, [[1 / 3, 0, 2 / 3], [1 / 6, 5 / 6, 0], prior, prior], rtol=1e-9)


def test_a_threshold_below_0_is_not_covered() -> None:
    with pytest.raises(NotCovered, match="threshold below 0"):
        scored(document(COLOURS, threshold="-0.1"), {"c": "red"})

"""The large ensembles of the benchmarks answer as scikit-learn did when they were trained, for the whole table."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bench.models import descriptor, ensembles
from modelserving.loader import load
from modelserving.runtimes.pmml_vectorised import VectorisedServable
from tests.runtimes.wine import WINE, wine_batch


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ensembles() / "expected.json").read_text())
    return found


def test_forest(expected: dict[str, Any]) -> None:
    servable = load(descriptor("forest-100", "wine"), WINE)
    scores = servable.score(wine_batch())
    servable.close()
    assert servable.engine == VectorisedServable.engine
    assert scores.failures == ()
    assert scores.label_index is not None
    assert scores.probabilities is not None
    answers = expected["forest-100"]
    assert list(scores.classes) == [str(value) for value in answers["classes"]]
    np.testing.assert_array_equal(
        [scores.classes[index] for index in scores.label_index], [str(value) for value in answers["prediction"]]
    )
    np.testing.assert_allclose(scores.probabilities, answers["probabilities"], rtol=1e-9, atol=1e-12)


def test_boosting(expected: dict[str, Any]) -> None:
    servable = load(descriptor("boosting-200", "wine"), WINE)
    scores = servable.score(wine_batch())
    servable.close()
    assert servable.engine == VectorisedServable.engine
    assert scores.failures == ()
    assert scores.numbers is not None
    np.testing.assert_allclose(scores.numbers, expected["boosting-200"]["prediction"], rtol=1e-9)

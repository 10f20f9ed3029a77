"""The reference models answer all rows of the table as JPMML and TensorFlow do."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from modelserving.archive import pack_folder
from modelserving.loader import load
from modelserving.servable import Scores
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from tests.runtimes.wine import ROOT, WINE, wine_batch

REFERENCE = ROOT.parent / "shared" / "reference"

pytestmark = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="no folder ../shared/reference with the reference models"
)


def descriptor(file: str) -> ModelDescriptor:
    """A descriptor with the fields of the reference's protocol alone."""
    path = REFERENCE / "models" / file
    if path.is_dir():
        return ModelDescriptor(name=file, modeltype=ModelType.TENSORFLOWSAVED, data=pack_folder(path))
    kind = ModelType.PMML if path.suffix == ".pmml" else ModelType.TENSORFLOW
    return ModelDescriptor(name=file, modeltype=kind, data=path.read_bytes())


def expected(name: str) -> list[dict[str, Any]]:
    lines = (REFERENCE / "expected" / f"{name}.jsonl").read_text().splitlines()
    assert len(lines) == 1599
    return [json.loads(line) for line in lines]


def score(file: str) -> Scores:
    servable = load(descriptor(file), WINE)
    scores = servable.score(wine_batch())
    servable.close()
    assert scores.failures == ()
    return scores


@pytest.mark.parametrize("name", ["winequalityLinearRegression", "winequalityGeneralizedLinearRegressionGaussian"])
def test_regressions(name: str) -> None:
    scores = score(f"{name}.pmml")
    assert scores.numbers is not None
    np.testing.assert_allclose(scores.numbers, [row["quality"] for row in expected(name)], rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ["winequalityDecisionTreeClassification", "winequalityMultilayerPerceptron"])
def test_classifications(name: str) -> None:
    scores = score(f"{name}.pmml")
    rows = expected(name)
    assert scores.label_index is not None
    assert [scores.classes[index] for index in scores.label_index] == [row["quality"] for row in rows]
    assert sorted(scores.classes) == ["3", "4", "5", "6", "7", "8"]
    assert scores.probabilities is not None
    probabilities = [[row[f"probability({label})"] for label in scores.classes] for row in rows]
    np.testing.assert_allclose(scores.probabilities, probabilities, rtol=1e-9, atol=0)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("optimized_WineQuality.pb", "optimized_WineQuality"),
        ("saved_model", "saved_model"),
        ("saved_model/1", "saved_model"),
    ],
    ids=["graph", "SavedModel", "SavedModel without its top folder"],
)
def test_tensorflow(file: str, name: str) -> None:
    scores = score(file)
    rows = expected(name)
    assert scores.outputs is not None
    np.testing.assert_allclose(scores.outputs, [row["output"] for row in rows], rtol=0, atol=1e-5)
    assert scores.label_index is not None
    assert [scores.classes[index] for index in scores.label_index] == [str(row["argmax"]) for row in rows]

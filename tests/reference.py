"""The reference models, data and answers, where they are at hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from modelserving.wire.model_pb2 import ModelType
from modelserving.wire.wine_pb2 import WineRecord

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "reference"
needs_reference = pytest.mark.skipif(not FOLDER.is_dir(), reason="the reference folder ../shared/reference is not there")

MODELS = {
    "winequalityLinearRegression": ModelType.PMML,
    "winequalityGeneralizedLinearRegressionGaussian": ModelType.PMML,
    "winequalityDecisionTreeClassification": ModelType.PMML,
    "winequalityMultilayerPerceptron": ModelType.PMML,
    "optimized_WineQuality": ModelType.TENSORFLOW,
    "saved_model": ModelType.TENSORFLOWSAVED,
}
_FEATURES = [field.name for field in WineRecord.DESCRIPTOR.fields][:11]


def wine_rows() -> list[list[float]]:
    """The 11 features of each row of the wine table."""
    with (FOLDER / "winequality_red.csv").open(newline="") as table:
        return [[float(cell) for cell in row[:11]] for row in csv.reader(table, delimiter=";")]


def wine_record(row: list[float], data_type: str = "wine") -> bytes:
    """A row in the reference's wire format."""
    return WineRecord(**dict(zip(_FEATURES, row, strict=True)), dataType=data_type).SerializeToString()


def expected(model: str) -> list[Any]:
    """The answers of a model to all rows."""
    return [json.loads(line) for line in (FOLDER / "expected" / f"{model}.jsonl").read_text().splitlines()]

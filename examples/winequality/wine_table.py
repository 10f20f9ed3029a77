"""The red wine table that the example's models are trained on."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TABLE = Path(__file__).with_name("winequality_red.csv")
FEATURES = (
    "fixed_acidity",
    "volatile_acidity",
    "citric_acid",
    "residual_sugar",
    "chlorides",
    "free_sulfur_dioxide",
    "total_sulfur_dioxide",
    "density",
    "pH",
    "sulphates",
    "alcohol",
)
SEED = 2009
"""Of all that is trained on it."""


def read_table() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The features, (rows, 11), and the quality, (rows,)."""
    with TABLE.open(newline="") as file:
        table = np.array([[float(value) for value in row] for row in csv.reader(file, delimiter=";")])
    return table[:, : len(FEATURES)], table[:, len(FEATURES)].astype(np.int64)

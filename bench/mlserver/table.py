"""The wine table, for what runs in MLServer's own environment as well as in the project's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TABLE = Path(__file__).resolve().parents[2] / "examples" / "winequality" / "winequality_red.csv"


def read_table() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The features, (rows, 11), and the quality, (rows,)."""
    table = np.loadtxt(TABLE, delimiter=";")
    return table[:, :-1], table[:, -1].astype(np.int64)

"""The wine data type and the table's rows as a batch, for the tests of models trained on it."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow as pa

from modelserving.data_types import DataType, Feature
from modelserving.wire.wine_pb2 import WineRecord

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "winequality"
NAMES = [field.name for field in WineRecord.DESCRIPTOR.fields][:11]
WINE = DataType("wine", tuple(Feature(name) for name in NAMES))


def wine_batch(every: int = 1) -> pa.RecordBatch:
    """Every so many rows of the table."""
    with (EXAMPLE / "winequality_red.csv").open(newline="") as file:
        rows = [[float(value) for value in row] for row in csv.reader(file, delimiter=";")][::every]
    columns = [pa.array([row[index] for row in rows]) for index in range(len(NAMES))]
    return pa.RecordBatch.from_arrays(columns, names=NAMES)

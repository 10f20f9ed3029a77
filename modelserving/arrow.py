"""How features and bytes stand in Arrow arrays."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from modelserving.data_types import FeatureKind

ARROW_TYPES = {FeatureKind.NUMBER: pa.float64(), FeatureKind.STRING: pa.string()}
"""The type of a feature's column."""


def byte_strings(array: pa.Array) -> list[Any]:
    """The values of a binary array as bytes, None for nulls; several times faster than `to_pylist`."""
    if array.null_count == len(array):
        return [None] * len(array)
    if array.null_count:
        values: list[Any] = array.to_pylist()
        return values
    _, offsets, data = array.buffers()
    if not data:
        return [b""] * len(array)
    first, last = array.offset, array.offset + len(array) + 1
    ends = np.frombuffer(offsets, np.int32)[first:last]
    start = int(ends[0])
    encoded = data.slice(start, int(ends[-1]) - start).to_pybytes()
    return [encoded[begin:end] for begin, end in pairwise((ends - start).tolist())]

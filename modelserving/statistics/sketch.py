"""Quantiles of a stream in bounded memory: Apache DataSketches' REQ sketch, which is most exact at the high end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from datasketches import req_floats_sketch

from modelserving.wire.stats_pb2 import Quantiles

_ACCURACY = 12
"""DataSketches' `k`: p99.9 of a million values is a quantile between p99.88 and p99.92."""
_RANKS = (0.5, 0.9, 0.99, 0.999)


class Sketch:
    """Numbers, each with how often it was seen.

    Args:
        encoded: what `encode` gave; empty for a new one.
    """

    def __init__(self, encoded: bytes = b"") -> None:
        self._sketch = req_floats_sketch.deserialize(encoded) if encoded else req_floats_sketch(_ACCURACY)

    def add(self, values: Sequence[float], counts: Sequence[int]) -> None:
        """Count values."""
        self._sketch.update(np.repeat(np.asarray(values, np.float32), counts))

    def merge(self, other: Sketch) -> None:
        """Count all that the other has."""
        self._sketch.merge(other._sketch)

    def quantiles(self) -> Quantiles:
        """What it has seen."""
        sketch = self._sketch
        if sketch.is_empty():
            return Quantiles()
        p50, p90, p99, p999 = sketch.get_quantiles(_RANKS)
        return Quantiles(
            count=sketch.n,
            min=sketch.get_min_value(),
            p50=p50,
            p90=p90,
            p99=p99,
            p999=p999,
            max=sketch.get_max_value(),
        )

    def encode(self) -> bytes:
        """The sketch, for the argument of another one."""
        encoded: bytes = self._sketch.serialize()
        return encoded

"""What is told of a load: its rate and how long its requests took."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Figures = dict[str, float]


class Answered(NamedTuple):
    """One request."""

    at_s: float
    """When its answer was there."""
    took_s: float


def figures(answered: Sequence[Answered], begin_s: float, seconds: float, records_per_request: int) -> Figures:
    """The figures of the `seconds` from `begin_s`; a request counts where its answer comes."""
    took_ms = [1000 * each.took_s for each in answered if begin_s <= each.at_s < begin_s + seconds]
    if not took_ms:
        raise ValueError(f"no request was answered in {seconds:g} s")
    p50, p99 = np.percentile(took_ms, [50, 99])
    return {
        "records_per_s": round(len(took_ms) * records_per_request / seconds, 1),
        "p50_ms": round(float(p50), 3),
        "p99_ms": round(float(p99), 3),
        "requests": len(took_ms),
    }

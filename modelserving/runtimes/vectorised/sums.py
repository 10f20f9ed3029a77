"""Sums in a fixed order: a row gets the same bits alone as in a batch, and the same as from JPMML."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from modelserving.runtimes.vectorised.columns import Numbers


def summed(values: Numbers) -> Numbers:
    """The sum along the first axis of (t, n), one after the other."""
    if values.shape[1:] == (1,):
        # of a single row NumPy would add pairs
        result: Numbers = np.add.accumulate(values, axis=0)[-1]
        return result
    result = np.add.reduce(values, axis=0)
    return result


def weighted(weights: Numbers, inputs: Sequence[Numbers]) -> Numbers:
    """Sums of products, one input after the other.

    Args:
        weights: (i, o) of each input in each output; doubles, or floats as the inputs then.
        inputs: i arrays (n,).

    Returns:
        (o, n)
    """
    total = np.zeros((weights.shape[1], len(inputs[0]) if inputs else 0), weights.dtype)
    product = np.empty_like(total)
    for weight, values in zip(weights, inputs, strict=True):
        np.multiply(weight[:, np.newaxis], values, out=product)
        total += product
    return total

"""Piecewise linear normalisation: https://dmg.org/pmml/v4-4-1/Transformations.html, "Normalization"."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np

from modelserving.runtimes.vectorised.columns import Mask, Numbers
from modelserving.runtimes.vectorised.coverage import NotCovered, number, only

Normalise = Callable[[Numbers], tuple[Numbers, Mask | None]]
"""Of numbers: their norms, and which of them are as if missing, if any may be."""


def norms(element: ET.Element) -> tuple[Numbers, Numbers]:
    """The original values and the norms of a NormContinuous, each (m,) with m of at least 2.

    Raises:
        NotCovered: fewer, or not in ascending order.
    """
    lines = element.findall("LinearNorm")
    original = np.array([number(line, "orig") for line in lines])
    normal = np.array([number(line, "norm") for line in lines])
    if len(lines) < 2 or not (np.diff(original) > 0).all():
        raise NotCovered("NormContinuous without ascending LinearNorm elements")
    return original, normal


def normalise(element: ET.Element) -> Normalise:
    """Compile a NormContinuous.

    Raises:
        NotCovered
    """
    only(element, "outliers", None, "asIs", "asMissingValues", "asExtremeValues")
    original, normal = norms(element)
    interpolate = _interpolation(original, normal)
    outliers = element.get("outliers", "asIs")

    def normalised(values: Numbers) -> tuple[Numbers, Mask | None]:
        if outliers == "asIs":
            return interpolate(values), None
        outside = (values < original[0]) | (values > original[-1])
        if outliers == "asMissingValues":
            return interpolate(values), outside
        extreme = np.where(values < original[0], normal[0], normal[-1])
        return np.where(outside, extreme, interpolate(values)), None

    return normalised


def denormalise(element: ET.Element) -> Callable[[Numbers], Numbers]:
    """The way back, of a network's output: https://dmg.org/pmml/v4-4-1/NeuralNetwork.html.

    Raises:
        NotCovered: the norms are not in ascending order.
    """
    original, normal = norms(element)
    if not (np.diff(normal) > 0).all():
        raise NotCovered("NormContinuous of an output whose norms do not ascend")
    return _interpolation(normal, original)


def _interpolation(start: Numbers, end: Numbers) -> Callable[[Numbers], Numbers]:
    """Through the points (start, end), beyond the outer ones too."""
    width, height = np.diff(start), np.diff(end)
    if len(start) == 2:
        first, from_, to, across = float(start[0]), float(end[0]), float(height[0]), float(width[0])
        return lambda values: from_ + (values - first) / across * to
    inner = start[1:-1]

    def interpolated(values: Numbers) -> Numbers:
        piece = inner.searchsorted(values, side="right")
        result: Numbers = end[piece] + (values - start[piece]) / width[piece] * height[piece]
        return result

    return interpolated

"""The built-in functions that are covered: https://dmg.org/pmml/v4-4-1/BuiltinFunctions.html.

All take and give numbers; truth is 1 and 0. What comes out where an argument is missing is `expressions.py`'s matter,
but for the aggregates, which leave missing arguments out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelserving.runtimes.vectorised.columns import Numbers


def _round(values: Numbers) -> Numbers:
    # halves go up, as in Java
    result: Numbers = np.floor(values + 0.5)
    return result


ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}
"""Of two numbers."""

UNARY: Mapping[str, Callable[[Any], Any]] = {
    "abs": np.abs,
    "exp": np.exp,
    "expm1": np.expm1,
    "ln": np.log,
    "ln1p": np.log1p,
    "log10": np.log10,
    "sqrt": np.sqrt,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": _round,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
}
"""Of one number."""

BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "pow": np.power,
    "threshold": np.greater,
    "hypot": np.hypot,
    "atan2": np.arctan2,
}
"""Of two numbers, always with a fractional result."""

COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "equal": np.equal,
    "notEqual": np.not_equal,
    "lessThan": np.less,
    "lessOrEqual": np.less_equal,
    "greaterThan": np.greater,
    "greaterOrEqual": np.greater_equal,
}
"""Of two numbers; the first two also of a field of categories and a constant."""

LOGIC: Mapping[str, Callable[[Any, Any], Any]] = {"and": np.logical_and, "or": np.logical_or}
"""Of two truths or more."""

AGGREGATES: Mapping[str, Callable[[NDArray[np.float64]], Numbers]] = {
    "min": lambda values: np.fmin.reduce(values, axis=0),
    "max": lambda values: np.fmax.reduce(values, axis=0),
    "sum": lambda values: np.add.reduce(np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf), axis=0),
    "avg": lambda values: (
        np.add.reduce(np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf), axis=0)
        / np.maximum(np.count_nonzero(~np.isnan(values), axis=0), 1)
    ),
}
"""Of (a, n) arguments, NaN for a missing one, of which each of the n has at least one."""

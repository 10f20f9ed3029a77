"""The built-in functions that are covered: https://dmg.org/pmml/v4-4-1/BuiltinFunctions.html.

All take and give numbers; truth is 1 and 0. What comes out where an argument is missing is `calls.py`'s matter, but for
the aggregates, which leave missing arguments out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from modelserving.runtimes.vectorised.columns import Mask, Numbers
from modelserving.runtimes.vectorised.sums import summed


def rounded(values: Numbers) -> Numbers:
    """The nearest whole numbers; halves go up, as in Java, not to the even neighbour."""
    # this difference is exact, a sum with a half would not be
    whole = np.floor(values)
    result: Numbers = whole + (values - whole >= 0.5)
    return result


def _sum(values: Numbers, absent: Mask) -> Numbers:
    return summed(np.where(absent, 0.0, values))


def _average(values: Numbers, absent: Mask) -> Numbers:
    result: Numbers = _sum(values, absent) / np.maximum(np.count_nonzero(~absent, axis=0), 1)
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
    "round": rounded,
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

ROUNDING = frozenset({"floor", "ceil", "round"})
"""Those of one number whose result is an integer, also to a division."""

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

AGGREGATES: Mapping[str, Callable[[Numbers, Mask], Numbers]] = {
    "min": lambda values, absent: np.minimum.reduce(np.where(absent, np.inf, values), axis=0),
    "max": lambda values, absent: np.maximum.reduce(np.where(absent, -np.inf, values), axis=0),
    "sum": _sum,
    "avg": _average,
}
"""Of (a, n) arguments and which are missing; what is given for one of the n whose arguments all are means nothing."""

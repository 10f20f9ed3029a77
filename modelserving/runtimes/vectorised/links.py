"""Inverse link functions and normalisations, of arrays of any shape.

https://dmg.org/pmml/v4-4-1/Regression.html and GeneralRegression.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from modelserving.runtimes.vectorised.columns import Numbers
from modelserving.runtimes.vectorised.sums import summed

Link = Callable[[Numbers], Numbers]

_erfc = np.frompyfunc(math.erfc, 1, 1)


def logit(values: Numbers) -> Numbers:
    """1 / (1 + exp(-v))."""
    return _quiet(lambda: 1.0 / (1.0 + np.exp(-values)))


def probit(values: Numbers) -> Numbers:
    """The standard normal distribution function of v, by the complement of erf: also the smallest have all digits."""
    result: Numbers = 0.5 * _erfc(-values / math.sqrt(2.0)).astype(np.float64)
    return result


def cloglog(values: Numbers) -> Numbers:
    """1 - exp(-exp(v))."""
    return _quiet(lambda: 1.0 - np.exp(-np.exp(values)))


def loglog(values: Numbers) -> Numbers:
    """exp(-exp(-v))."""
    return _quiet(lambda: np.exp(-np.exp(-values)))


def cauchit(values: Numbers) -> Numbers:
    """0.5 + atan(v) / pi."""
    result: Numbers = 0.5 + np.arctan(values) / math.pi
    return result


def exp(values: Numbers) -> Numbers:
    """exp(v)."""
    return _quiet(lambda: np.exp(values))


def softmax(values: Numbers) -> Numbers:
    """exp(v) over the sum of exp(v) along the first axis; the greatest v is subtracted first, as JPMML does."""
    return simplemax(_quiet(lambda: np.exp(values - values.max(axis=0))))


def simplemax(values: Numbers) -> Numbers:
    """V over the sum of v along the first axis."""
    return _quiet(lambda: values / summed(values))


def _quiet(function: Callable[[], Any]) -> Numbers:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        result: Numbers = function()
    return result


LINKS: Mapping[str, Link] = {
    "logit": logit,
    "probit": probit,
    "cloglog": cloglog,
    "loglog": loglog,
    "cauchit": cauchit,
}
"""By the name that both kinds of regression give them."""

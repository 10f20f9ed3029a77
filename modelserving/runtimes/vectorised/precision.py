"""The width of a model's arithmetic: doubles, or floats where the model says x-mathContext="float", as XGBoost's do.

The attribute is JPMML's, and so are the rules: each number is rounded to 32 bits before an operation and after it.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelserving.runtimes.vectorised.columns import Numbers
from modelserving.runtimes.vectorised.coverage import NotCovered, only

_FLOAT_E = 2.7182817
"""The base of JPMML's exponential of a float: Euler's number as a float. Its powers differ in the last bits."""

Narrow = NDArray[Any]
"""Of the type that a precision has."""


@dataclass(frozen=True, slots=True)
class Precision:
    """How wide numbers are."""

    dtype: Any

    @property
    def single(self) -> bool:
        """Whether they are floats."""
        return self.dtype is np.float32

    def of(self, values: Numbers) -> Narrow:
        """The numbers rounded to this width."""
        with np.errstate(over="ignore"):
            return values.astype(self.dtype, copy=False)

    def exp(self, values: Narrow) -> Narrow:
        """The exponential, of this width."""
        with np.errstate(over="ignore"):
            if self.single:
                return np.power(_FLOAT_E, values.astype(np.float64)).astype(np.float32)
            exponential: Narrow = np.exp(values)
            return exponential


DOUBLE = Precision(np.float64)
SINGLE = Precision(np.float32)


def precision(element: ET.Element) -> Precision:
    """The width of a model element's arithmetic.

    Raises:
        NotCovered: another one.
    """
    only(element, "x-mathContext", None, "double", "float")
    return SINGLE if element.get("x-mathContext") == "float" else DOUBLE


def refuse_single(element: ET.Element, what: str) -> None:
    """Refuse arithmetic of floats where it is not covered.

    Raises:
        NotCovered
    """
    if precision(element).single:
        raise NotCovered(f"{what} with x-mathContext='float'")


def widened(values: Narrow) -> Numbers:
    """The numbers as doubles."""
    wide: Numbers = values.astype(np.float64, copy=False)
    return wide

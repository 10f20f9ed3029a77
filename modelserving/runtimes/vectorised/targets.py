"""What becomes of a regression's number: https://dmg.org/pmml/v4-4-1/Targets.html."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np

from modelserving.runtimes.vectorised.answers import Target
from modelserving.runtimes.vectorised.columns import Numbers
from modelserving.runtimes.vectorised.coverage import NotCovered, number, only
from modelserving.runtimes.vectorised.functions import rounded
from modelserving.runtimes.vectorised.precision import widened

Finish = Callable[[Numbers], Numbers]


def finish(model: ET.Element, target: Target) -> Finish:
    """How a regression of `model` turns its raw number into the answer: bounds, rescaling, casting.

    The number is computed on as wide as it is given, and the answer is a double.

    Raises:
        NotCovered: default values for missing answers, prior probabilities, an integer target without a cast.
    """
    if target.classes:
        return _same
    # a segment that names no target has only a Target without a name to rescale, whatever else its Targets say
    found = [each for each in model.iterfind("Targets/Target") if each.get("field") == target.name]
    if not found:
        return _typed(target, False)
    element = found[0]
    if element.find("TargetValue") is not None:
        raise NotCovered("TargetValue of a number")
    low, high = number(element, "min", -np.inf), number(element, "max", np.inf)
    factor, constant = number(element, "rescaleFactor", 1.0), number(element, "rescaleConstant", 0.0)
    only(element, "castInteger", None, "round", "ceiling", "floor")
    cast = _CASTS[element.get("castInteger")]
    typed = _typed(target, element.get("castInteger") is not None)

    def finished(values: Numbers) -> Numbers:
        return typed(widened(cast(np.clip(values, low, high) * factor + constant)))

    return finished


def refuse_defaults(model: ET.Element) -> None:
    """Refuse a classification whose target says what to answer where the model cannot.

    Raises:
        NotCovered
    """
    for value in model.iterfind("Targets/Target/TargetValue"):
        if value.get("priorProbability") is not None or value.get("defaultValue") is not None:
            raise NotCovered("TargetValue with an answer of its own")


def _typed(target: Target, whole: bool) -> Finish:
    if target.data_type == "float":
        return lambda values: values.astype(np.float32).astype(np.float64)
    if target.data_type == "integer" and not whole and not target.classes:
        raise NotCovered("a regression of an integer")
    return widened


def _same(values: Numbers) -> Numbers:
    return values


_CASTS: dict[str | None, Finish] = {None: _same, "round": rounded, "ceiling": np.ceil, "floor": np.floor}

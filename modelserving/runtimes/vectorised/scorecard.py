"""Scorecard: https://dmg.org/pmml/v4-4-1/Scorecard.html, without reason codes."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np

from modelserving.runtimes.vectorised.answers import Answer, Target
from modelserving.runtimes.vectorised.columns import Frame, Mask, Numbers, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, child, number
from modelserving.runtimes.vectorised.expressions import expression
from modelserving.runtimes.vectorised.predicates import TAGS, predicate
from modelserving.runtimes.vectorised.targets import finish
from modelserving.runtimes.vectorised.typed import NUMERIC

Part = Callable[[Frame], Numbers]


def scorecard(model: ET.Element, scope: Scope, target: Target) -> Callable[[Frame], Answer]:
    """Compile a Scorecard.

    A record for which no attribute of some characteristic is true has no score, as in JPMML.

    Raises:
        NotCovered
    """
    if target.classes:
        raise NotCovered("a Scorecard that classifies")
    initial, finished = number(model, "initialScore", 0.0), finish(model, target)
    characteristics = [
        [_attribute(attribute, scope) for attribute in characteristic.findall("Attribute")]
        for characteristic in child(model, "Characteristics").findall("Characteristic")
    ]

    def evaluate(frame: Frame) -> Answer:
        total = np.full(frame.rows, initial)
        for attributes in characteristics:
            undecided = np.ones(frame.rows, dtype=bool)
            for applies, part in attributes:
                taken = undecided & applies(frame)
                total[taken] += part(frame)[taken]
                undecided &= ~taken
            total[undecided] = np.nan
        return Answer(numbers=finished(total))

    return evaluate


def _attribute(attribute: ET.Element, scope: Scope) -> tuple[Callable[[Frame], Mask], Part]:
    conditions = [each for each in attribute if each.tag in TAGS]
    if len(conditions) != 1:
        raise NotCovered("Attribute without one predicate")
    condition = predicate(conditions[0], scope)
    return (lambda frame: condition.truth(frame)[0]), _part(attribute, scope)


def _part(attribute: ET.Element, scope: Scope) -> Part:
    complex_score = attribute.find("ComplexPartialScore")
    if complex_score is None:
        score = number(attribute, "partialScore")
        return lambda frame: np.full(frame.rows, score)
    if len(complex_score) != 1:
        raise NotCovered("ComplexPartialScore without one expression")
    made = expression(complex_score[0], scope)
    if made.data_type not in NUMERIC:
        raise NotCovered(f"ComplexPartialScore of type {made.data_type}")
    return lambda frame: made.column(frame).numbers()

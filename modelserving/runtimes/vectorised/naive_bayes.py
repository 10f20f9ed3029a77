"""NaiveBayesModel: https://dmg.org/pmml/v4-4-1/NaiveBayes.html, with counts and Gaussian distributions."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable

import numpy as np

from modelserving.runtimes.vectorised.answers import Answer, Target, chosen
from modelserving.runtimes.vectorised.columns import Frame, Numbers, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, child, number
from modelserving.runtimes.vectorised.links import softmax
from modelserving.runtimes.vectorised.targets import refuse_defaults
from modelserving.runtimes.vectorised.typed import value_of

Likelihood = Callable[[Frame], Numbers]
"""(k, n) logarithms of what a value says for each class; 0 where it says nothing, as a missing one."""


def naive_bayes(model: ET.Element, scope: Scope, target: Target) -> Callable[[Frame], Answer]:
    """Compile a NaiveBayesModel.

    Raises:
        NotCovered
    """
    if not target.classes:
        raise NotCovered("a NaiveBayesModel that is no classification")
    refuse_defaults(model)
    threshold = number(model, "threshold")
    output = child(model, "BayesOutput")
    priors = {each.get("value", ""): number(each, "count") for each in output.iterfind("TargetValueCounts/*")}
    names = list(priors)
    if not names or not set(names) <= set(target.classes) or min(priors.values()) <= 0 or threshold < 0:
        raise NotCovered("a NaiveBayesModel without counts of the target's classes, or a threshold below 0")
    inputs = [_input(each, names, threshold, scope) for each in child(model, "BayesInputs").findall("BayesInput")]
    start = np.log(np.array(list(priors.values())))[:, np.newaxis]
    order = tuple(target.classes.index(name) for name in names)

    def evaluate(frame: Frame) -> Answer:
        total = np.tile(start, frame.rows)
        for likelihood in inputs:
            total += likelihood(frame)
        return chosen(np.ascontiguousarray(softmax(total).T), order, len(target.classes))

    return evaluate


def _input(element: ET.Element, names: list[str], threshold: float, scope: Scope) -> Likelihood:
    if element.find("DerivedField") is not None:
        raise NotCovered("BayesInput with a DerivedField")
    if element.find("TargetValueStats") is not None:
        return _gaussian(element, names, threshold, scope)
    return _counts(element, names, threshold, scope)


def _gaussian(element: ET.Element, names: list[str], threshold: float, scope: Scope) -> Likelihood:
    field = scope.resolve(element.get("fieldName", ""))
    means, variances = np.zeros((len(names), 1)), np.zeros((len(names), 1))
    for each in element.iterfind("TargetValueStats/TargetValueStat"):
        index = _index(each, names)
        distribution = child(each, "GaussianDistribution")
        means[index], variances[index] = number(distribution, "mean"), number(distribution, "variance")
    if not field.numeric or not (variances > 0).all():
        raise NotCovered("a GaussianDistribution without variance, of a category, or not of each class")

    deviations = np.sqrt(variances)
    scales = np.log(deviations) + 0.5 * math.log(2.0 * math.pi)

    def likelihood(frame: Frame) -> Numbers:
        column = field.column(frame)
        # as JPMML does, by the logarithm: far away there are so few digits that another way gives other probabilities
        density = np.exp(-0.5 * np.square((column.values - means) / deviations) - scales)
        logarithms: Numbers = np.log(np.maximum(density, threshold))
        return logarithms if column.missing is None else np.where(column.missing, 0.0, logarithms)

    return likelihood


def _counts(element: ET.Element, names: list[str], threshold: float, scope: Scope) -> Likelihood:
    field = scope.resolve(element.get("fieldName", ""))
    pairs = element.findall("PairCounts")
    counts = np.full((len(pairs), len(names)), np.nan)
    for position, pair in enumerate(pairs):
        for each in pair.iterfind("TargetValueCounts/TargetValueCount"):
            counts[position, _index(each, names)] = number(each, "count")
    texts = [pair.get("value", "") for pair in pairs]
    values = [value_of(text, field, scope) for text in texts]
    shares = counts / np.nansum(counts, axis=0)
    with np.errstate(divide="ignore"):
        logarithms = np.log(np.where(counts == 0, threshold, shares))
    # a class that a pair does not list is left as it is
    logarithms[np.isnan(counts)] = 0.0

    def likelihood(frame: Frame) -> Numbers:
        column = field.column(frame)
        result = np.zeros((len(names), frame.rows))
        for value, row in zip(values, logarithms, strict=True):
            matches = column.values == value
            if column.missing is not None:
                matches &= ~column.missing
            result += np.where(matches, row[:, np.newaxis], 0.0)
        return result

    return likelihood


def _index(element: ET.Element, names: list[str]) -> int:
    name = element.get("value", "")
    if name not in names:
        raise NotCovered(f"{element.tag} of {name!r}, which has no count in BayesOutput")
    return names.index(name)

"""GeneralRegressionModel: https://dmg.org/pmml/v4-4-1/GeneralRegression.html, without Cox regression."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modelserving.runtimes.vectorised.answers import Answer, Target, chosen
from modelserving.runtimes.vectorised.columns import Field, Frame, Mask, Numbers, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, child, number
from modelserving.runtimes.vectorised.links import LINKS, Link, exp, simplemax
from modelserving.runtimes.vectorised.targets import finish, refuse_defaults
from modelserving.runtimes.vectorised.typed import value_of


@dataclass(frozen=True, slots=True)
class _Parameter:
    """What a parameter's coefficient is multiplied with: categories that must match, and powers of numbers."""

    matches: tuple[tuple[Field, float], ...]
    powers: tuple[tuple[Field, float], ...]

    def values(self, frame: Frame) -> Numbers:
        """(n,) NaN where a value is missing; that of a number does not matter where a category does not match."""
        result = np.ones(frame.rows)
        unknown: Mask = np.zeros(frame.rows, dtype=bool)
        for field, wanted in self.matches:
            column = field.column(frame)
            result[column.values != wanted] = 0.0
            if column.missing is not None:
                unknown |= column.missing
        zero = result == 0
        for field, exponent in self.powers:
            numbers = field.column(frame).numbers()
            result = result * (numbers if exponent == 1.0 else np.power(numbers, exponent))
        if self.matches:
            result[zero] = 0.0
            result[unknown] = np.nan
        return result


Predictor = Callable[[Frame], Numbers]


def general_regression(model: ET.Element, scope: Scope, target: Target) -> Callable[[Frame], Answer]:
    """Compile a GeneralRegressionModel.

    Raises:
        NotCovered
    """
    for attribute in ("trialsVariable", "trialsValue"):
        if model.get(attribute) is not None:
            raise NotCovered(f"GeneralRegressionModel with {attribute}")
    parameters = _parameters(model, scope)
    cells: dict[str | None, list[ET.Element]] = defaultdict(list)
    for cell in child(model, "ParamMatrix").findall("PCell"):
        cells[cell.get("targetCategory")].append(cell)
    kind = model.get("modelType")
    if target.classes:
        refuse_defaults(model)
        return _classification(model, scope, target, parameters, cells)
    if kind not in ("regression", "generalLinear", "generalizedLinear") or set(cells) != {None}:
        raise NotCovered(f"a regression with modelType={kind!r}")
    predictor = _predictor(cells[None], parameters)
    finished = finish(model, target)
    if kind != "generalizedLinear":
        return lambda frame: Answer(numbers=finished(predictor(frame)))
    offset, link = _offset(model, scope), _link(model)
    return lambda frame: Answer(numbers=finished(link(offset(frame, predictor(frame)))))


def _classification(
    model: ET.Element,
    scope: Scope,
    target: Target,
    parameters: dict[str, _Parameter],
    cells: dict[str | None, list[ET.Element]],
) -> Callable[[Frame], Answer]:
    kind = model.get("modelType")
    categories = list(target.classes)
    if kind in ("generalizedLinear", "multinomialLogistic"):
        reference = model.get("targetReferenceCategory")
        if reference is None:
            absent = [name for name in categories if name not in cells]
            if len(absent) != 1:
                raise NotCovered("a classification without a reference category")
            reference = absent[0]
        if reference in categories:
            categories.remove(reference)
            categories.append(reference)
    if len(categories) < 2 or (kind == "generalizedLinear" and len(categories) > 2):
        raise NotCovered(f"a classification with modelType={kind!r} and {len(categories)} classes")
    shared = cells.get(None, [])
    rows = []
    for name in categories[:-1]:
        if kind == "ordinalMultinomial":
            if len(cells.get(name, [])) != 1 or not shared:
                raise NotCovered("ordinalMultinomial without one intercept for each category")
            rows.append([*cells[name], *shared])
        else:
            rows.append(cells.get(name) or (shared if len(categories) == 2 else []))
    if not all(rows):
        raise NotCovered("a category without parameters")
    predictors = [_predictor(row, parameters) for row in rows]
    probabilities = _probabilities(model, scope)
    order = tuple(target.classes.index(name) for name in categories)

    def evaluate(frame: Frame) -> Answer:
        scores = np.stack([predictor(frame) for predictor in predictors])
        return chosen(np.ascontiguousarray(probabilities(frame, scores).T), order, len(order))

    return evaluate


def _probabilities(model: ET.Element, scope: Scope) -> Callable[[Frame, Numbers], Numbers]:
    """(categories - 1, n) linear predictors to (categories, n) probabilities."""
    kind = model.get("modelType")
    offset = _offset(model, scope)
    if kind == "generalizedLinear":
        link = _link(model)

        def binary(frame: Frame, scores: Numbers) -> Numbers:
            first = link(offset(frame, scores[0]))
            return np.stack([first, 1.0 - first])

        return binary
    if kind == "multinomialLogistic":
        return lambda frame, scores: simplemax(np.concatenate([exp(scores), np.ones((1, frame.rows))]))
    cumulative = LINKS.get(model.get("cumulativeLink", ""))
    if kind != "ordinalMultinomial" or cumulative is None:
        raise NotCovered(f"a classification with modelType={kind!r}, cumulativeLink={model.get('cumulativeLink')!r}")

    def ordinal(frame: Frame, scores: Numbers) -> Numbers:
        below = np.concatenate([cumulative(offset(frame, scores)), np.ones((1, frame.rows))])
        return np.diff(below, axis=0, prepend=0.0)

    return ordinal


def _predictor(cells: list[ET.Element], parameters: dict[str, _Parameter]) -> Predictor:
    terms = [(number(cell, "beta"), parameters.get(cell.get("parameterName", ""))) for cell in cells]

    def predictor(frame: Frame) -> Numbers:
        total = np.zeros(frame.rows)
        for beta, parameter in terms:
            total += beta if parameter is None else beta * parameter.values(frame)
        return total

    return predictor


def _parameters(model: ET.Element, scope: Scope) -> dict[str, _Parameter]:
    factors = {each.get("name"): each for each in model.iterfind("FactorList/Predictor")}
    covariates = {each.get("name") for each in model.iterfind("CovariateList/Predictor")}
    matches: dict[str, list[tuple[Field, float]]] = defaultdict(list)
    powers: dict[str, list[tuple[Field, float]]] = defaultdict(list)
    for cell in child(model, "PPMatrix").findall("PPCell"):
        if cell.get("targetCategory") is not None:
            raise NotCovered("PPCell with targetCategory")
        name, parameter = cell.get("predictorName", ""), cell.get("parameterName", "")
        field = scope.resolve(name)
        if name in factors:
            if len(factors[name]):
                raise NotCovered("Predictor with a contrast matrix")
            text = cell.get("value", "")
            wanted = value_of(text, field, scope)
            matches[parameter].append((field, wanted))
        elif name in covariates and field.numeric:
            powers[parameter].append((field, number(cell, "value")))
        else:
            raise NotCovered(f"PPCell of {name!r}, which is neither factor nor covariate")
    return {name: _Parameter(tuple(matches[name]), tuple(powers[name])) for name in {*matches, *powers}}


def _offset(model: ET.Element, scope: Scope) -> Callable[[Frame, Numbers], Numbers]:
    name = model.get("offsetVariable")
    if name is not None:
        field = scope.resolve(name)
        if not field.numeric:
            raise NotCovered("an offset that is no number")
        return lambda frame, values: values + field.column(frame).numbers()
    constant = number(model, "offsetValue", 0.0)
    return (lambda _, values: values) if constant == 0 else (lambda _, values: values + constant)


def _link(model: ET.Element) -> Link:
    name = model.get("linkFunction", "")
    if name == "negbin":
        dispersion = number(model, "distParameter")
        return lambda values: 1.0 / (dispersion * (np.exp(-values) - 1.0))
    if name in ("power", "oddspower"):
        power = number(model, "linkParameter")
        if name == "power":
            return exp if power == 0 else lambda values: np.power(values, 1.0 / power)
        return (
            LINKS["logit"] if power == 0 else lambda values: 1.0 / (1.0 + np.power(1.0 + power * values, -1.0 / power))
        )
    links: dict[str, Link] = {
        "identity": lambda values: values,
        "log": exp,
        "logc": lambda values: 1.0 - np.exp(values),
        **{each: LINKS[each] for each in ("logit", "probit", "cloglog", "loglog")},
    }
    if name not in links:
        raise NotCovered(f"linkFunction {name!r}")
    return links[name]

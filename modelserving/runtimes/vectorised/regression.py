"""RegressionModel: https://dmg.org/pmml/v4-4-1/Regression.html."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modelserving.runtimes.vectorised.answers import Answer, Target, chosen
from modelserving.runtimes.vectorised.columns import Field, Frame, Numbers, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, number
from modelserving.runtimes.vectorised.links import LINKS, Link, exp, logit, simplemax, softmax
from modelserving.runtimes.vectorised.precision import SINGLE, Precision, precision, widened
from modelserving.runtimes.vectorised.sums import weighted
from modelserving.runtimes.vectorised.targets import finish, refuse_defaults
from modelserving.runtimes.vectorised.typed import value_of

Term = Callable[[Frame], Numbers]
"""(n,) what a coefficient is multiplied with, NaN for a missing value."""


@dataclass(slots=True)
class _Tables:
    """The RegressionTables of a model, as one matrix."""

    terms: list[Term]
    coefficients: Numbers
    """(terms, tables)"""
    intercepts: Numbers
    """(tables,)"""
    width: Precision

    def scores(self, frame: Frame) -> Numbers:
        """(tables, n) the linear predictors; NaN, in all tables, where a value is missing."""
        if not self.terms:
            return np.tile(self.intercepts[:, np.newaxis], frame.rows)
        total = weighted(self.coefficients, [self.width.of(term(frame)) for term in self.terms])
        total += self.intercepts[:, np.newaxis]
        return total


def regression(model: ET.Element, scope: Scope, target: Target) -> Callable[[Frame], Answer]:
    """Compile a RegressionModel.

    Raises:
        NotCovered
    """
    elements = model.findall("RegressionTable")
    width = precision(model)
    tables = _tables(elements, scope, width)
    method = model.get("normalizationMethod", "none")
    if target.classes:
        refuse_defaults(model)
        return _classification(tables, elements, method, target, width)
    if len(elements) != 1:
        raise NotCovered(f"a regression with {len(elements)} tables")
    links: dict[str, Link] = {"none": _same, "exp": exp, "softmax": logit, **LINKS}
    if width.single:
        links = {"none": _same, "exp": SINGLE.exp, "softmax": _single_logit, "logit": _single_logit}
    if method not in links:
        raise NotCovered(f"a regression with normalizationMethod={method!r}")
    link, finished = links[method], finish(model, target)
    return lambda frame: Answer(numbers=finished(link(tables.scores(frame)[0])))


def _classification(
    tables: _Tables, elements: list[ET.Element], method: str, target: Target, width: Precision
) -> Callable[[Frame], Answer]:
    names = [each.get("targetCategory", "") for each in elements]
    if sorted(names) != sorted(target.classes) or len(names) < 2:
        raise NotCovered("a classification whose tables are not those of the target's categories")
    order = tuple(target.classes.index(name) for name in names)
    second_empty = _empty(elements[1])
    normalise = (
        _single_normalisation(method, len(names), target.ordinal, second_empty)
        if width.single
        else _normalisation(method, len(names), target.ordinal, second_empty)
    )

    def evaluate(frame: Frame) -> Answer:
        return chosen(np.ascontiguousarray(widened(normalise(tables.scores(frame))).T), order, len(order))

    return evaluate


def _normalisation(method: str, count: int, ordinal: bool, second_empty: bool) -> Callable[[Numbers], Numbers]:
    """(tables, n) linear predictors to probabilities, as the page says for each kind of target."""
    if ordinal:
        if method == "none":
            return _ordinal(_within)
        if method in LINKS:
            return _ordinal(LINKS[method])
    elif count == 2 and (method in LINKS or (method == "softmax" and second_empty)):
        return _binary(LINKS.get(method, logit))
    elif count == 2 and method == "none":
        return _binary(_within)
    elif method == "none":
        return _remainder
    elif method == "simplemax":
        return simplemax
    elif method == "softmax":
        return softmax
    raise NotCovered(f"a classification of {count} classes with normalizationMethod={method!r}")


def _single_normalisation(method: str, count: int, ordinal: bool, second_empty: bool) -> Callable[[Numbers], Numbers]:
    """The same, of floats."""
    if not ordinal and count == 2 and (method == "logit" or (method == "softmax" and second_empty)):
        return _binary(_single_logit)
    if not ordinal and method == "softmax":
        return lambda values: simplemax(SINGLE.exp(values - values.max(axis=0)))
    raise NotCovered(f"a classification of {count} classes of floats with normalizationMethod={method!r}")


def _single_logit(values: Numbers) -> Numbers:
    result: Numbers = 1.0 / (1.0 + SINGLE.exp(-values))
    return result


def _same(values: Numbers) -> Numbers:
    return values


def _within(values: Numbers) -> Numbers:
    return np.clip(values, 0.0, 1.0)


def _binary(link: Callable[[Numbers], Numbers]) -> Callable[[Numbers], Numbers]:
    def probabilities(scores: Numbers) -> Numbers:
        first = link(scores[0])
        # a missing value in the second table is one in the answer, though its score is not used
        return np.stack([first, np.where(np.isnan(scores[1]), np.nan, 1.0 - first)])

    return probabilities


def _remainder(scores: Numbers) -> Numbers:
    result = scores.copy()
    result[-1] = np.where(np.isnan(scores[-1]), np.nan, 1.0 - np.add.accumulate(scores[:-1], axis=0)[-1])
    return result


def _ordinal(link: Callable[[Numbers], Numbers]) -> Callable[[Numbers], Numbers]:
    def probabilities(scores: Numbers) -> Numbers:
        cumulative = np.concatenate([link(scores[:-1]), np.ones((1, scores.shape[1]))])
        cumulative[-1, np.isnan(scores[-1])] = np.nan
        return np.diff(cumulative, axis=0, prepend=0.0)

    return probabilities


def _empty(table: ET.Element) -> bool:
    return not len(table) and number(table, "intercept", 0.0) == 0


def _tables(elements: list[ET.Element], scope: Scope, width: Precision) -> _Tables:
    terms: dict[tuple[object, ...], Term] = {}
    entries: list[tuple[tuple[object, ...], int, float]] = []
    for table, element in enumerate(elements):
        for each in element.findall("NumericPredictor"):
            exponent = number(each, "exponent", 1.0)
            key: tuple[object, ...] = ("number", each.get("name"), exponent)
            terms.setdefault(key, _power(_numeric(scope, each.get("name", "")), exponent))
            entries.append((key, table, number(each, "coefficient")))
        matched = set()
        for each in element.findall("CategoricalPredictor"):
            key = ("category", each.get("name"), each.get("value"))
            if key in matched:
                raise NotCovered("two CategoricalPredictor elements for one value")
            matched.add(key)
            field = scope.resolve(each.get("name", ""))
            terms.setdefault(key, _indicator(field, each.get("value", ""), scope))
            entries.append((key, table, number(each, "coefficient")))
        for each in element.findall("PredictorTerm"):
            references = each.findall("FieldRef")
            if any(reference.get("mapMissingTo") is not None for reference in references):
                raise NotCovered("PredictorTerm with mapMissingTo")
            names = [reference.get("field", "") for reference in references]
            key = ("term", *names)
            terms.setdefault(key, _product([_numeric(scope, name) for name in names]))
            entries.append((key, table, number(each, "coefficient")))
    position = {key: index for index, key in enumerate(terms)}
    if width.single:
        _refuse_reordering(entries, position)
    coefficients = np.zeros((len(terms), len(elements)))
    for key, table, coefficient in entries:
        coefficients[position[key], table] += coefficient
    intercepts = np.array([number(each, "intercept") for each in elements])
    return _Tables(list(terms.values()), width.of(coefficients), width.of(intercepts), width)


def _refuse_reordering(
    entries: list[tuple[tuple[object, ...], int, float]], position: dict[tuple[object, ...], int]
) -> None:
    """Refuse floats whose sum depends on an order that is not that of the table, or on a product's.

    Raises:
        NotCovered
    """
    last: dict[int, int] = {}
    for key, table, _ in entries:
        plain = key[0] == "category" or (key[0] == "number" and key[2] == 1.0)
        if not plain or position[key] <= last.get(table, -1):
            raise NotCovered("a sum of floats with powers, products or terms in another order")
        last[table] = position[key]


def _numeric(scope: Scope, name: str) -> Field:
    field = scope.resolve(name)
    if not field.numeric:
        raise NotCovered(f"a coefficient of field {name!r} of type {field.data_type}")
    return field


def _power(field: Field, exponent: float) -> Term:
    if exponent == 1.0:
        return lambda frame: field.column(frame).numbers()
    return lambda frame: np.power(field.column(frame).numbers(), exponent)


def _indicator(field: Field, text: str, scope: Scope) -> Term:
    wanted = value_of(text, field, scope)

    def indicator(frame: Frame) -> Numbers:
        column = field.column(frame)
        equal = column.values == wanted
        # the term of a missing category is 0
        result: Numbers = (equal if column.missing is None else equal & ~column.missing).astype(np.float64)
        return result

    return indicator


def _product(fields: list[Field]) -> Term:
    def product(frame: Frame) -> Numbers:
        result = np.ones(frame.rows)
        for field in fields:
            result = result * field.column(frame).numbers()
        return result

    return product

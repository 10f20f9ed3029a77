"""SupportVectorMachineModel: https://dmg.org/pmml/v4-4-1/SupportVectorMachine.html, with support vectors."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from modelserving.runtimes.pmml_document import array_items
from modelserving.runtimes.vectorised.answers import Answer, Labels, Target
from modelserving.runtimes.vectorised.columns import Frame, Numbers, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, child, number, only
from modelserving.runtimes.vectorised.sums import summed
from modelserving.runtimes.vectorised.targets import finish, refuse_defaults
from modelserving.runtimes.vectorised.typed import value_of

Term = Callable[[Frame], Numbers]

_VECTORS_TOGETHER = 64
"""Support vectors whose kernels are computed together, so that the arrays stay in a processor's cache."""


@dataclass(slots=True)
class _Machine:
    """A SupportVectorMachine."""

    vectors: Numbers
    """(v, i) of i inputs."""
    coefficients: Numbers
    """(v,)"""
    absolute: float
    target: str | None
    alternative: str | None
    threshold: float


def support_vectors(model: ET.Element, scope: Scope, target: Target) -> Callable[[Frame], Answer]:
    """Compile a SupportVectorMachineModel.

    Raises:
        NotCovered
    """
    only(model, "svmRepresentation", None, "SupportVectors")
    only(model, "maxWins", None, "false")
    if model.get("alternateBinaryTargetCategory") is not None:
        raise NotCovered("alternateBinaryTargetCategory")
    dictionary = child(model, "VectorDictionary")
    inputs = [_term(each, scope) for each in child(dictionary, "VectorFields")]
    vectors = {each.get("id", ""): _vector(each, len(inputs)) for each in dictionary.findall("VectorInstance")}
    machines = [_machine(model, each, vectors) for each in model.findall("SupportVectorMachine")]
    kernel = _kernel(model)

    def values(frame: Frame) -> list[Numbers]:
        given = [term(frame) for term in inputs]
        return [_value(machine, given, kernel) for machine in machines]

    if target.classes:
        refuse_defaults(model)
        return _classification(model, machines, values, target)
    if len(machines) != 1:
        raise NotCovered(f"a regression with {len(machines)} machines")
    finished = finish(model, target)
    return lambda frame: Answer(numbers=finished(values(frame)[0]))


def _classification(
    model: ET.Element, machines: list[_Machine], values: Callable[[Frame], list[Numbers]], target: Target
) -> Callable[[Frame], Answer]:
    method = "OneAgainstAll" if machines and machines[0].alternative is None else "OneAgainstOne"
    if model.get("classificationMethod", method) != method:
        raise NotCovered(f"classificationMethod {model.get('classificationMethod')!r} of other machines")
    named = {each.target for each in machines} | {each.alternative for each in machines if method == "OneAgainstOne"}
    alone = [each.alternative is None for each in machines]
    if not named or not named <= set(target.classes) or len(set(alone)) != 1:
        raise NotCovered("machines that do not name classes")
    winning = np.array([target.classes.index(each.target or "") for each in machines], dtype=np.int32)
    if method == "OneAgainstAll":
        if len(named) != len(machines):
            raise NotCovered("several machines for a class")
        return lambda frame: Answer(labels=_least(np.stack(values(frame)), winning))
    losing = np.array([target.classes.index(each.alternative or "") for each in machines], dtype=np.int32)
    thresholds = np.array([each.threshold for each in machines])[:, np.newaxis]

    def evaluate(frame: Frame) -> Answer:
        results = np.stack(values(frame))
        votes = np.where(results < thresholds, winning[:, np.newaxis], losing[:, np.newaxis])
        return _elected(votes, np.isnan(results).any(axis=0), len(target.classes))

    return evaluate


def _least(results: Numbers, classes: Labels) -> Labels:
    """The class whose machine has the least value."""
    labels: Labels = classes[results.argmin(axis=0)]
    labels[np.isnan(results).any(axis=0)] = -1
    return labels


def _elected(votes: Labels, missing: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], classes: int) -> Answer:
    """The class with the most of (m, n) votes, among equals the one with the earliest vote; and their shares."""
    counts = np.stack([(votes == label).sum(axis=0) for label in range(classes)])
    rows = np.arange(votes.shape[1])
    leading = counts[votes, rows] == counts.max(axis=0)
    labels: Labels = votes[leading.argmax(axis=0), rows]
    labels[missing] = -1
    return Answer(labels=labels, probabilities=np.where(missing[:, np.newaxis], np.nan, counts.T / len(votes)))


def _term(element: ET.Element, scope: Scope) -> Term:
    field = scope.resolve(element.get("field", element.get("name", "")))
    if element.tag == "FieldRef" and field.numeric:
        only(element, "mapMissingTo", None)
        return lambda frame: field.column(frame).numbers()
    if element.tag != "CategoricalPredictor":
        raise NotCovered(f"VectorFields with {element.tag} of type {field.data_type}")
    text, coefficient = element.get("value", ""), number(element, "coefficient")
    wanted = value_of(text, field, scope)

    def indicator(frame: Frame) -> Numbers:
        column = field.column(frame)
        equal = np.where(column.values == wanted, coefficient, 0.0)
        return equal if column.missing is None else np.where(column.missing, np.nan, equal)

    return indicator


def _vector(element: ET.Element, size: int) -> Numbers:
    dense, sparse = element.find("Array"), element.find("REAL-SparseArray")
    vector = np.zeros(size)
    try:
        if dense is not None:
            vector[:] = [float(item) for item in array_items(dense)]
        elif sparse is not None:
            indices = [int(item) - 1 for item in (sparse.findtext("Indices") or "").split()]
            vector[indices] = [float(item) for item in (sparse.findtext("REAL-Entries") or "").split()]
            if min(indices, default=0) < 0:
                raise NotCovered("REAL-SparseArray with an index below 1")
        else:
            raise NotCovered("VectorInstance without an array")
    except (ValueError, IndexError) as error:
        raise NotCovered(f"VectorInstance {element.get('id')!r}: {error}") from error
    return vector


def _machine(model: ET.Element, element: ET.Element, vectors: dict[str, Numbers]) -> _Machine:
    coefficients = child(element, "Coefficients")
    names = [each.get("vectorId", "") for each in element.iterfind("SupportVectors/SupportVector")]
    weights = np.array([number(each, "value", 0.0) for each in coefficients.findall("Coefficient")])
    if not names or len(names) != len(weights) or not set(names) <= set(vectors):
        raise NotCovered("a machine whose coefficients are not those of its vectors")
    return _Machine(
        np.stack([vectors[name] for name in names]),
        weights,
        number(coefficients, "absoluteValue", 0.0),
        element.get("targetCategory"),
        element.get("alternateTargetCategory"),
        number(element, "threshold", number(model, "threshold", 0.0)),
    )


Kernel = Callable[[Numbers, list[Numbers]], Numbers]
"""(v, i) vectors and i inputs (n,) to (v, n)."""


def _kernel(model: ET.Element) -> Kernel:
    for tag, with_defaults in (
        ("LinearKernelType", False),
        ("PolynomialKernelType", True),
        ("RadialBasisKernelType", True),
        ("SigmoidKernelType", True),
    ):
        element = model.find(tag)
        if element is None:
            continue
        if not with_defaults:
            return _dot
        gamma, offset, degree = (number(element, name, 1.0) for name in ("gamma", "coef0", "degree"))
        if tag == "RadialBasisKernelType":
            return lambda vectors, inputs: np.exp(-gamma * _distance(vectors, inputs))
        if tag == "PolynomialKernelType":
            return lambda vectors, inputs: np.power(gamma * _dot(vectors, inputs) + offset, degree)
        return lambda vectors, inputs: np.tanh(gamma * _dot(vectors, inputs) + offset)
    raise NotCovered("SupportVectorMachineModel without a kernel")


def _dot(vectors: Numbers, inputs: list[Numbers]) -> Numbers:
    total = np.zeros((len(vectors), len(inputs[0])))
    for column, values in zip(vectors.T, inputs, strict=True):
        total += column[:, np.newaxis] * values
    return total


def _distance(vectors: Numbers, inputs: list[Numbers]) -> Numbers:
    """The squares of the distances."""
    total = np.zeros((len(vectors), len(inputs[0])))
    for column, values in zip(vectors.T, inputs, strict=True):
        total += np.square(values - column[:, np.newaxis])
    return total


def _value(machine: _Machine, inputs: list[Numbers], kernel: Kernel) -> Numbers:
    """(n,) the machine's value."""
    total = np.zeros(len(inputs[0]))
    for start in range(0, len(machine.vectors), _VECTORS_TOGETHER):
        part = slice(start, start + _VECTORS_TOGETHER)
        products = machine.coefficients[part, np.newaxis] * kernel(machine.vectors[part], inputs)
        total = summed(np.concatenate([total[np.newaxis], products]))
    return total + machine.absolute

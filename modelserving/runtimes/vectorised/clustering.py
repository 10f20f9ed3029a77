"""ClusteringModel with center-based clusters: https://dmg.org/pmml/v4-4-1/ClusteringModel.html.

The measures and how they treat missing values are on the same page ("ComparisonMeasure"). As in JPMML, a missing value
stays out of a distance, which is then made longer by the adjustment; but a similarity of flags needs all of them.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping

import numpy as np

from modelserving.runtimes.pmml_document import array_items
from modelserving.runtimes.vectorised.answers import Answer, Labels, Target
from modelserving.runtimes.vectorised.columns import Field, Frame, Mask, Numbers, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, child, number, only
from modelserving.runtimes.vectorised.sums import summed

Measure = Callable[[Frame], Numbers]
"""(k, n) how far, or how similar, each of k clusters is; NaN in all of a row that has no answer."""

Compare = Callable[[Numbers, float], Numbers]
"""(n,) values and a cluster's coordinate to what the measure sums."""

_DISTANCES: Mapping[str, tuple[float, float]] = {
    "euclidean": (2.0, 2.0),
    "squaredEuclidean": (2.0, 1.0),
    "cityBlock": (1.0, 1.0),
    "chebychev": (1.0, 1.0),
}
"""The power of each difference, and the root of their sum."""

_SIMILARITIES: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "simpleMatching": ((1.0, 0.0, 0.0, 1.0), (1.0, 1.0, 1.0, 1.0)),
    "jaccard": ((1.0, 0.0, 0.0, 0.0), (1.0, 1.0, 1.0, 0.0)),
    "tanimoto": ((1.0, 0.0, 0.0, 1.0), (1.0, 2.0, 2.0, 1.0)),
}
"""What a11, a10, a01 and a00 count in the numerator and in the denominator; the record's flag comes first."""


def clustering(model: ET.Element, scope: Scope, target: Target) -> Callable[[Frame], Answer]:
    """Compile a ClusteringModel; its classes are the names of clusters.

    Raises:
        NotCovered
    """
    only(model, "modelClass", "centerBased")
    for tag in ("CenterFields", "Targets"):
        if model.find(tag) is not None:
            raise NotCovered(f"ClusteringModel with {tag}")
    names = [each.get("id", str(index)) for index, each in enumerate(model.findall("Cluster"), 1)]
    if not names or len(set(names)) != len(names) or not set(names) <= set(target.classes):
        raise NotCovered("a ClusteringModel without clusters of names that differ")
    fields = [each for each in model.findall("ClusteringField") if each.get("isCenterField", "true") != "false"]
    if not fields:
        raise NotCovered("a ClusteringModel without center fields")
    centers = np.stack([_items(each, len(fields)) for each in model.findall("Cluster")])
    comparison = child(model, "ComparisonMeasure")
    kind = comparison.get("kind")
    measures = [each for each in comparison if each.tag != "Extension"]
    if len(measures) != 1:
        raise NotCovered("ComparisonMeasure without one measure")
    inputs = [_input(each, scope) for each in fields]
    similar = measures[0].tag in (*_SIMILARITIES, "binarySimilarity")
    measure = (
        _similarity(measures[0], inputs, centers) if similar else _distance(model, measures[0], fields, inputs, centers)
    )
    if kind != ("similarity" if similar else "distance"):
        raise NotCovered(f"ComparisonMeasure of kind {kind!r} with {measures[0].tag}")
    positions = np.array([target.classes.index(name) for name in names], dtype=np.int32)

    def evaluate(frame: Frame) -> Answer:
        values = measure(frame)
        # of equally near clusters the first wins
        labels: Labels = positions[values.argmax(axis=0) if similar else values.argmin(axis=0)]
        labels[np.isnan(values).any(axis=0)] = -1
        affinities = np.full((frame.rows, len(target.classes)), np.nan)
        affinities[:, positions] = values.T
        return Answer(labels=labels, affinities=affinities)

    return evaluate


def _input(element: ET.Element, scope: Scope) -> Field:
    field = scope.resolve(element.get("field", ""))
    if not field.numeric:
        raise NotCovered(f"ClusteringField {field.name!r} of type {field.data_type}")
    return field


def _items(element: ET.Element, size: int) -> Numbers:
    """The numbers in the Array of `element`, one for each field."""
    try:
        items = [float(item) for item in array_items(child(element, "Array"))]
    except ValueError as error:
        raise NotCovered(f"{element.tag} with an Array that is not of numbers") from error
    if len(items) != size or not np.isfinite(items).all():
        raise NotCovered(f"{element.tag} with {len(items)} values for {size} fields")
    return np.array(items)


def _distance(
    model: ET.Element, measure: ET.Element, elements: list[ET.Element], inputs: list[Field], centers: Numbers
) -> Measure:
    if measure.tag == "minkowski":
        power = root = number(measure, "p-parameter")
        if power <= 0:
            raise NotCovered(f"minkowski with p-parameter={power}")
    elif measure.tag in _DISTANCES:
        power, root = _DISTANCES[measure.tag]
    else:
        raise NotCovered(f"ComparisonMeasure {measure.tag}")
    default = child(model, "ComparisonMeasure").get("compareFunction", "absDiff")
    compares = [_compare(each, default) for each in elements]
    field_weights = [number(each, "fieldWeight", 1.0) for each in elements]
    weights = model.find("MissingValueWeights")
    adjusting = np.ones(len(elements)) if weights is None else _items(weights, len(elements))
    farthest = measure.tag == "chebychev"

    def distances(frame: Frame) -> Numbers:
        columns = [field.column(frame) for field in inputs]
        total = np.full((len(centers), frame.rows), -np.inf if farthest else 0.0)
        for position, (column, compare, weight) in enumerate(zip(columns, compares, field_weights, strict=True)):
            for cluster, center in enumerate(centers[:, position].tolist()):
                part = weight * _power(compare(column.values, center), power)
                part = np.maximum(total[cluster], part) if farthest else total[cluster] + part
                total[cluster] = part if column.missing is None else np.where(column.missing, total[cluster], part)
        absent = [column.missing for column in columns]
        if any(each is not None for each in absent):
            total *= _adjustment(absent, adjusting, frame.rows)
        result: Numbers = total if root == 1.0 else np.power(total, 1.0 / root)
        return result

    return distances


def _power(values: Numbers, power: float) -> Numbers:
    if power == 1.0:
        return values
    result: Numbers = np.square(values) if power == 2.0 else np.power(values, power)
    return result


def _adjustment(absent: list[Mask | None], weights: Numbers, rows: int) -> Numbers:
    """(n,) by how much a distance is too short, of what is missing in it; NaN where nothing is there."""
    none = np.zeros(rows, dtype=bool)
    present = np.stack([~none if each is None else ~each for each in absent])
    there = summed(present * weights[:, np.newaxis])
    return np.where(present.any(axis=0), summed(np.repeat(weights[:, np.newaxis], rows, axis=1)) / there, np.nan)


def _compare(element: ET.Element, default: str) -> Compare:
    """A field's compare function: what attributes it needs are the field's own, so the default cannot be any."""
    name = element.get("compareFunction", default)
    if name == "absDiff":
        return lambda values, center: np.abs(values - center)
    if name == "delta":
        return lambda values, center: (values != center).astype(np.float64)
    if name == "equal":
        return lambda values, center: (values == center).astype(np.float64)
    if name == "gaussSim" and element.get("compareFunction") == name:
        scale = number(element, "similarityScale")
        return lambda values, center: np.exp(-np.log(2.0) * np.square(values - center) / scale**2)
    raise NotCovered(f"compareFunction {name!r}")


def _similarity(measure: ET.Element, inputs: list[Field], centers: Numbers) -> Measure:
    if not np.isin(centers, (0.0, 1.0)).all():
        raise NotCovered(f"{measure.tag} of clusters whose coordinates are not 0 and 1")
    counted = _SIMILARITIES.get(measure.tag) or tuple(
        tuple(number(measure, f"{letter}{pair}-parameter") for pair in ("11", "10", "01", "00")) for letter in "cd"
    )
    flags = centers == 1

    def similarities(frame: Frame) -> Numbers:
        columns = [field.column(frame) for field in inputs]
        counts = np.zeros((4, len(centers), frame.rows))
        unknown = np.zeros(frame.rows, dtype=bool)
        for column, own in zip(columns, flags.T, strict=True):
            unknown |= ~np.isin(column.values, (0.0, 1.0))
            if column.missing is not None:
                unknown |= column.missing
            given = column.values == 1
            for pair, (first, second) in enumerate(((True, True), (True, False), (False, True), (False, False))):
                counts[pair] += (given == first) & (own == second)[:, np.newaxis]
        numerator, denominator = (summed(np.array(each)[:, np.newaxis, np.newaxis] * counts) for each in counted)
        result: Numbers = numerator / denominator
        result[:, unknown] = np.nan
        return result

    return similarities

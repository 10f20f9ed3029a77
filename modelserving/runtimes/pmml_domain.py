"""What a PMML document says of the values of its inputs: its data dictionary, and the thresholds of its models."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.probe import MODERATE
from modelserving.runtimes.pmml_document import InputField, PmmlDocument, array_items
from modelserving.runtimes.pmml_fields import BoundField, invalid, treated
from modelserving.servable import Domain

MAX_VALUES = 256
"""Of one input; a large forest has more thresholds than are worth keeping."""

SIGNED = (-4.0, -2.0, -1.0, -0.5, 0.0)
"""Numbers that a domain has only where the document names some below zero: a model may have no answer to them."""

STRANGE = "value that no model names"

_NAMING = (
    ("SimplePredicate", "field", None, ("value",)),
    ("CategoricalPredictor", "name", None, ("value",)),
    ("NormDiscrete", "field", None, ("value",)),
    ("PPCell", "predictorName", None, ("value",)),
    ("BayesInput", "fieldName", "PairCounts", ("value",)),
    ("NormContinuous", "field", "LinearNorm", ("orig",)),
    ("Discretize", "field", "DiscretizeBin/Interval", ("leftMargin", "rightMargin")),
    ("UnivariateStats", "field", "NumericInfo", ("minimum", "maximum")),
)
"""Elements, their attribute that names a field, and the attributes (own, or a child's) with values of the field."""


def domains(document: PmmlDocument, bound: tuple[BoundField, ...]) -> Mapping[str, Domain]:
    """The domain of each input, by feature name, without values that the document calls invalid."""
    named = defaultdict(set)
    for field, text in _named(document.root):
        named[field].add(text)
    return {each.feature: _domain(each.field, named[each.field.name]) for each in bound}


def unusual(field: InputField) -> tuple[float, ...] | tuple[str, ...]:
    """Ordinary values that a domain may lack: `SIGNED`, or a category, where the document lists no valid ones.

    None of them is such as the document's rules refuse, or make a missing value.
    """
    if not field.numeric and field.valid_values:
        return ()
    values = pa.array(SIGNED if field.numeric else [STRANGE])
    column = treated(values, field)
    kept: list[Any] = values.filter(pa.array(~column.failed & ~column.missing)).to_pylist()
    return tuple(kept)


def _named(root: ET.Element) -> Iterator[tuple[str, str]]:
    """Fields, and values that predicates, predictors, expressions, clusters and statistics name for them."""
    for tag, naming, child, attributes in _NAMING:
        for element in root.iter(tag):
            field = element.get(naming, "")
            for holder in (element,) if child is None else element.findall(child):
                for name in attributes:
                    text = holder.get(name)
                    if text is not None:
                        yield field, text
    for clustering in root.iter("ClusteringModel"):
        fields = [each for each in clustering.findall("ClusteringField") if each.get("isCenterField") != "false"]
        for array in clustering.iterfind("Cluster/Array"):
            # what is not a number is refused by the engine
            yield from zip((each.get("field", "") for each in fields), (array.text or "").split(), strict=False)
    for predicate in root.iter("SimpleSetPredicate"):
        for array in predicate.iterfind("Array"):
            yield from ((predicate.get("field", ""), item) for item in array_items(array))
    yield from _mapped(root)
    for call in root.iter("Apply"):
        # as a rule, the function compares them
        constants = [each.text or "" for each in call.findall("Constant")]
        for reference in call.findall("FieldRef"):
            yield from ((reference.get("field", ""), text) for text in constants)


def _mapped(root: ET.Element) -> Iterator[tuple[str, str]]:
    """Fields, and values that tables list for them."""
    for table in root.iter("MapValues"):
        cells = [cell for row in table.iterfind("InlineTable/row") for cell in row]
        for pair in table.findall("FieldColumnPair"):
            yield from ((pair.get("field", ""), cell.text or "") for cell in cells if cell.tag == pair.get("column"))


def _domain(field: InputField, named: set[str]) -> Domain:
    texts = named | set(field.valid_values)
    if not field.numeric:
        return Domain(categories=_valid(sorted(texts), field, object))
    numbers = {_number(text) for text in texts} | {field.low_value, field.high_value}
    for interval in field.intervals:
        numbers |= {interval.left, interval.right}
    telling = _around(sorted(number for number in numbers if number is not None and math.isfinite(number)))
    if field.data_type == "integer":
        telling += [float(round(number)) for number in telling]
        # a record with a fraction for some input, as one of several moderate numbers is likely to be, would be invalid
        telling = telling or [number for number in MODERATE if number.is_integer()]
    return Domain(numbers=_valid(sorted(set(telling)), field, np.float64))


def _around(numbers: list[float]) -> list[float]:
    """The (sorted) numbers, those halfway between two of them, and one below and one above all.

    A model whose numbers are all positive gets only positive ones: it may take their logarithm.
    """
    if not numbers:
        return []
    first, last = numbers[0], numbers[-1]
    margin = (last - first) / 4 or max(abs(last), 1.0) / 2
    below = first / 2 if first > 0 else first - margin
    around = [*numbers, *(left / 2 + right / 2 for left, right in pairwise(numbers)), below, last + margin]
    return [number for number in around if math.isfinite(number)]


def _valid(values: Sequence[Any], field: InputField, dtype: type) -> tuple[Any, ...]:
    """At most `MAX_VALUES` of the values, evenly chosen among the valid ones."""
    array: NDArray[Any] = np.array(values, dtype=dtype)
    array = array[~invalid(array, field)]
    chosen = np.linspace(0, len(array) - 1, min(len(array), MAX_VALUES)).round().astype(int)
    return tuple(array[chosen].tolist())


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None

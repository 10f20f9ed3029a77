"""A model element, on its own or in a segment, to a compiled `Model`."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from modelserving.runtimes.pmml_document import PmmlDocument, cluster_names
from modelserving.runtimes.vectorised.answers import Answer, Model, Target
from modelserving.runtimes.vectorised.clustering import clustering
from modelserving.runtimes.vectorised.columns import UNKNOWN, Column, Frame, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, child, only
from modelserving.runtimes.vectorised.expressions import define, expression
from modelserving.runtimes.vectorised.general_regression import general_regression
from modelserving.runtimes.vectorised.naive_bayes import naive_bayes
from modelserving.runtimes.vectorised.neural_network import neural_network
from modelserving.runtimes.vectorised.precision import refuse_single
from modelserving.runtimes.vectorised.regression import regression
from modelserving.runtimes.vectorised.scorecard import scorecard
from modelserving.runtimes.vectorised.support_vectors import support_vectors
from modelserving.runtimes.vectorised.tree_models import Trees
from modelserving.runtimes.vectorised.typed import Expression, converted

Compiler = Callable[[ET.Element, Scope, Target], Callable[[Frame], Answer]]


def _tree_model(element: ET.Element, scope: Scope, target: Target) -> Callable[[Frame], Answer]:
    return Trees([element], [scope], [target]).answer


_COMPILERS: Mapping[str, Compiler] = {
    "ClusteringModel": clustering,
    "RegressionModel": regression,
    "GeneralRegressionModel": general_regression,
    "NaiveBayesModel": naive_bayes,
    "NeuralNetwork": neural_network,
    "Scorecard": scorecard,
    "SupportVectorMachineModel": support_vectors,
    "TreeModel": _tree_model,
}


_OF_FLOATS = ("MiningModel", "RegressionModel", "TreeModel")
"""What is covered also with the arithmetic of floats."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a document says about all its models."""

    document: PmmlDocument
    fields: Mapping[str, ET.Element]
    """The data dictionary."""

    def target(self, model: ET.Element) -> Target:
        """What `model` predicts.

        Raises:
            NotCovered: a class of another target than the document's, or neither a class nor a number.
        """
        name = next(
            (
                field.get("name")
                for field in model.iterfind("MiningSchema/MiningField")
                if field.get("usageType") in ("target", "predicted")
            ),
            None,
        )
        declared = self.fields.get(name or "")
        data_type = "double" if declared is None else declared.get("dataType", "")
        function = model.get("functionName")
        if function == "regression":
            if data_type not in ("double", "float", "integer"):
                raise NotCovered(f"a regression of type {data_type}")
            return Target(name, data_type, ())
        if function == "clustering":
            return Target(name, "string", cluster_names(model))
        if function != "classification" or not self.document.classes or name not in (None, self.document.target):
            raise NotCovered(f"a {function} within a model of another target")
        return Target(
            name, data_type, self.document.classes, declared is not None and declared.get("optype") == "ordinal"
        )


def compile_model(element: ET.Element, outer: Scope, head: Head) -> tuple[Model, Scope]:
    """Compile a model element.

    Returns:
        The model, and the scope in which its outputs are to be read.

    Raises:
        NotCovered
    """
    # mining models hold models
    from modelserving.runtimes.vectorised.mining import mining_model

    if element.get("isScorable", "true") == "false":
        raise NotCovered("a model that is not scorable")
    if element.tag not in _OF_FLOATS:
        refuse_single(element, element.tag)
    scope, target = local_scope(element, outer), head.target(element)
    if element.tag == "MiningModel":
        evaluate = mining_model(element, scope, target, head)
    elif element.tag in _COMPILERS:
        evaluate = _COMPILERS[element.tag](element, scope, target)
    else:
        raise NotCovered(element.tag)
    return Model(scope.unique(element.tag), evaluate), scope


def local_scope(element: ET.Element, outer: Scope) -> Scope:
    """The scope within a model, with its derived fields."""
    scope = outer.inner()
    transformations = element.find("LocalTransformations")
    if transformations is not None:
        for field in transformations.findall("DerivedField"):
            define(field, scope)
    return scope


def refuse_rules(element: ET.Element) -> None:
    """Refuse a nested mining schema that changes values: the document's rules are those of its outer model.

    Raises:
        NotCovered
    """
    for field in child(element, "MiningSchema"):
        only(field, "missingValueReplacement", None)
        only(field, "missingValueTreatment", None, "asIs")
        only(field, "outliers", None, "asIs")


def define_outputs(element: ET.Element, model: Model, own: Scope, target: Target, visible: Scope) -> None:
    """Make the output fields of a segment's model visible to later segments.

    https://dmg.org/pmml/v4-4-1/Output.html. One that is not covered has only those refused that read it.
    """
    scope = own.inner()
    for field in element.iterfind("Output/OutputField"):
        name = field.get("name", "")
        try:
            made = _output(field, element, model, scope, target)
        except NotCovered as error:
            for each in (scope, visible):
                each.refuse(name, error.construct)
        else:
            for each in (scope, visible):
                each.define(name, made.data_type, made.column)


def _output(field: ET.Element, element: ET.Element, model: Model, scope: Scope, target: Target) -> Expression:
    feature = field.get("feature", "predictedValue")
    named = feature in ("entityId", "clusterId") and element.get("functionName") == "clustering"
    if feature == "predictedValue" or named:
        made = _predicted(model, target, scope)
    elif feature in ("affinity", "entityAffinity", "clusterAffinity") and element.tag == "ClusteringModel":
        made = Expression("double", _affinity(model, field.get("value"), target))
    elif feature == "probability" and field.get("value") in target.classes:
        made = Expression("double", _probability(model, target.classes.index(field.get("value", ""))))
    elif feature == "transformedValue" and len(field) == 1:
        made = expression(field[0], scope)
    else:
        raise NotCovered(f"OutputField with feature={feature!r}")
    return converted(made, field.get("dataType", made.data_type), scope, f"OutputField {field.get('name')!r}")


def _predicted(model: Model, target: Target, scope: Scope) -> Expression:
    if not target.classes:
        return Expression("double", lambda frame: _number(model.answer(frame).numbers))
    codes = np.array([*(scope.vocabulary.add(name) for name in target.classes), UNKNOWN], dtype=np.int32)

    def label(frame: Frame) -> Column:
        labels = model.answer(frame).labels
        if labels is None:
            raise TypeError("a classification without labels")
        return Column(codes[labels], labels < 0)

    return Expression("string", label, texts=target.classes)


def _probability(model: Model, index: int) -> Callable[[Frame], Column]:
    def probability(frame: Frame) -> Column:
        probabilities = model.answer(frame).probabilities
        return _number(None if probabilities is None else probabilities[:, index])

    return probability


def _affinity(model: Model, cluster: str | None, target: Target) -> Callable[[Frame], Column]:
    """Of one cluster, or without one of the cluster that the record falls into."""
    if cluster is not None and cluster not in target.classes:
        raise NotCovered(f"the affinity of {cluster!r}, which is no cluster")

    def affinity(frame: Frame) -> Column:
        answer = model.answer(frame)
        if answer.affinities is None or answer.labels is None:
            raise TypeError("a model without affinities")
        index = answer.labels if cluster is None else target.classes.index(cluster)
        return _number(np.where(answer.labels < 0, np.nan, answer.affinities[np.arange(frame.rows), index]))

    return affinity


def _number(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None) -> Column:
    if values is None:
        raise TypeError("a model without the answer that is read")
    missing = np.isnan(values)
    return Column(values, missing if missing.any() else None)

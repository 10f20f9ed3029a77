"""Write fitted scikit-learn estimators as PMML 4.4: trees, forests, boosting, linear and gamma regression,
perceptrons.

An input field is a column of the training table, named by the caller; the target is named `quality`.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

TARGET = "quality"


def decision_tree(estimator: Any, features: Sequence[str]) -> bytes:
    """A DecisionTreeClassifier as TreeModel."""
    return _document(_tree_model(estimator, features, estimator.classes_), features, estimator.classes_)


def random_forest(estimator: Any, features: Sequence[str]) -> bytes:
    """A RandomForestClassifier as MiningModel; scikit-learn averages the trees' probabilities."""
    model = _model("MiningModel", "classification", features)
    segmentation = ET.SubElement(model, "Segmentation", multipleModelMethod="average")
    for number, tree in enumerate(estimator.estimators_, start=1):
        segment = ET.SubElement(segmentation, "Segment", id=str(number))
        ET.SubElement(segment, "True")
        segment.append(_tree_model(tree, features, estimator.classes_))
    return _document(model, features, estimator.classes_)


def gradient_boosting(estimator: Any, features: Sequence[str]) -> bytes:
    """A GradientBoostingRegressor as MiningModel: the sum of its trees, shrunk, and of what it begins with."""
    model = _model("MiningModel", "regression", features)
    begin = float(estimator.init_.predict([[0.0] * len(features)])[0])
    targets = ET.SubElement(model, "Targets")
    ET.SubElement(targets, "Target", field=TARGET, rescaleConstant=_text(begin))
    segmentation = ET.SubElement(model, "Segmentation", multipleModelMethod="sum")
    for number, tree in enumerate(estimator.estimators_[:, 0], start=1):
        segment = ET.SubElement(segmentation, "Segment", id=str(number))
        ET.SubElement(segment, "True")
        segment.append(_regression_tree(tree, features, estimator.learning_rate))
    return _document(model, features)


def linear_regression(estimator: Any, features: Sequence[str]) -> bytes:
    """A LinearRegression as RegressionModel."""
    model = _model("RegressionModel", "regression", features)
    table = ET.SubElement(model, "RegressionTable", intercept=_text(estimator.intercept_))
    for name, coefficient in zip(features, estimator.coef_, strict=True):
        ET.SubElement(table, "NumericPredictor", name=name, coefficient=_text(coefficient))
    return _document(model, features)


def gamma_regression(estimator: Any, features: Sequence[str]) -> bytes:
    """A GammaRegressor (log link) as GeneralRegressionModel."""
    model = _model("GeneralRegressionModel", "regression", features)
    model.attrib.update(modelType="generalizedLinear", linkFunction="log", distribution="gamma")
    parameters = ["p0", *(f"p{index}" for index, _ in enumerate(features, start=1))]
    parameter_list = ET.SubElement(model, "ParameterList")
    for name in parameters:
        ET.SubElement(parameter_list, "Parameter", name=name)
    covariates = ET.SubElement(model, "CovariateList")
    cells = ET.SubElement(model, "PPMatrix")
    for name, parameter in zip(features, parameters[1:], strict=True):
        ET.SubElement(covariates, "Predictor", name=name)
        ET.SubElement(cells, "PPCell", value="1", predictorName=name, parameterName=parameter)
    betas = ET.SubElement(model, "ParamMatrix")
    for parameter, beta in zip(parameters, [estimator.intercept_, *estimator.coef_], strict=True):
        ET.SubElement(betas, "PCell", parameterName=parameter, beta=_text(beta))
    return _document(model, features)


def perceptron(scaler: Any, estimator: Any, features: Sequence[str]) -> bytes:
    """A StandardScaler and an MLPClassifier (tanh, more than two classes) as NeuralNetwork."""
    model = _model("NeuralNetwork", "classification", features)
    model.set("activationFunction", "tanh")
    inputs = ET.SubElement(model, "NeuralInputs")
    before = []
    for index, (name, mean, scale) in enumerate(zip(features, scaler.mean_, scaler.scale_, strict=True)):
        before.append(f"0,{index}")
        neural_input = ET.SubElement(inputs, "NeuralInput", id=before[-1])
        derived = ET.SubElement(neural_input, "DerivedField", optype="continuous", dataType="double")
        norm = ET.SubElement(derived, "NormContinuous", field=name)
        ET.SubElement(norm, "LinearNorm", orig=_text(mean), norm="0")
        ET.SubElement(norm, "LinearNorm", orig=_text(mean + scale), norm="1")
    last = len(estimator.coefs_)
    for number, (weights, biases) in enumerate(zip(estimator.coefs_, estimator.intercepts_, strict=True), start=1):
        layer = ET.SubElement(model, "NeuralLayer")
        if number == last:
            layer.attrib.update(activationFunction="identity", normalizationMethod="softmax")
        neurons = [f"{number},{index}" for index in range(len(biases))]
        for column, (neuron_id, bias) in enumerate(zip(neurons, biases, strict=True)):
            neuron = ET.SubElement(layer, "Neuron", {"id": neuron_id, "bias": _text(bias)})
            for source, weight in zip(before, weights[:, column], strict=True):
                ET.SubElement(neuron, "Con", {"from": source, "weight": _text(weight)})
        before = neurons
    outputs = ET.SubElement(model, "NeuralOutputs")
    for neuron_id, value in zip(before, estimator.classes_, strict=True):
        output = ET.SubElement(outputs, "NeuralOutput", outputNeuron=neuron_id)
        derived = ET.SubElement(output, "DerivedField", optype="categorical", dataType="string")
        ET.SubElement(derived, "NormDiscrete", field=TARGET, value=str(value))
    return _document(model, features, estimator.classes_)


def _tree_model(estimator: Any, features: Sequence[str], classes: Sequence[Any]) -> ET.Element:
    tree = estimator.tree_

    def node(number: int) -> ET.Element:
        records = float(tree.weighted_n_node_samples[number])
        fractions = tree.value[number][0] / tree.value[number][0].sum()
        element = ET.Element("Node", score=str(classes[int(fractions.argmax())]), recordCount=_text(records))
        if tree.children_left[number] < 0:
            for value, fraction in zip(classes, fractions, strict=True):
                if fraction > 0:
                    ET.SubElement(element, "ScoreDistribution", value=str(value), recordCount=_text(fraction * records))
        return element

    return _binary_tree("classification", tree, features, node)


def _regression_tree(estimator: Any, features: Sequence[str], factor: float) -> ET.Element:
    """A tree whose answers are multiplied by `factor`."""
    tree = estimator.tree_
    return _binary_tree(
        "regression",
        tree,
        features,
        lambda number: ET.Element("Node", score=_text(factor * tree.value[number][0][0])),
    )


def _binary_tree(function: str, tree: Any, features: Sequence[str], node: Callable[[int], ET.Element]) -> ET.Element:
    """A fitted tree as TreeModel; `node` makes an element for a node's number, without predicate and children."""
    model = _model("TreeModel", function, features)
    model.set("splitCharacteristic", "binarySplit")

    def add(parent: ET.Element, number: int, predicate: ET.Element) -> None:
        element = node(number)
        element.insert(0, predicate)
        parent.append(element)
        left, right = int(tree.children_left[number]), int(tree.children_right[number])
        if left >= 0:
            name, threshold = features[tree.feature[number]], _text(_greatest_not_above(tree.threshold[number]))
            for child, operator in ((left, "lessOrEqual"), (right, "greaterThan")):
                add(element, child, ET.Element("SimplePredicate", field=name, operator=operator, value=threshold))

    add(model, 0, ET.Element("True"))
    return model


def _greatest_not_above(threshold: Any) -> Any:
    """The greatest number that is not above `threshold` once it is rounded to float32, as scikit-learn does first."""
    below = np.float32(threshold)
    if below > threshold:
        below = np.nextafter(below, np.float32(-np.inf))
    # Half the way to the next float32 numbers are rounded down to this one, there to the even one of the two.
    half = (np.float64(below) + np.float64(np.nextafter(below, np.float32(np.inf)))) / 2
    return half if np.float32(half) == below else np.nextafter(half, -np.inf)


def _model(tag: str, function: str, features: Sequence[str]) -> ET.Element:
    model = ET.Element(tag, functionName=function)
    schema = ET.SubElement(model, "MiningSchema")
    ET.SubElement(schema, "MiningField", name=TARGET, usageType="target")
    for name in features:
        ET.SubElement(schema, "MiningField", name=name)
    return model


def _document(model: ET.Element, features: Sequence[str], classes: Sequence[Any] = ()) -> bytes:
    root = ET.Element("PMML", xmlns="http://www.dmg.org/PMML-4_4", version="4.4")
    ET.SubElement(root, "Header", description="Wine quality, UCI red wine table (Cortez et al. 2009)")
    dictionary = ET.SubElement(root, "DataDictionary")
    kind = {"optype": "categorical", "dataType": "string"} if len(classes) else _CONTINUOUS
    target = ET.SubElement(dictionary, "DataField", {"name": TARGET, **kind})
    for value in classes:
        ET.SubElement(target, "Value", value=str(value))
    for name in features:
        ET.SubElement(dictionary, "DataField", {"name": name, **_CONTINUOUS})
    root.append(model)
    ET.indent(root, space="")
    data: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


_CONTINUOUS = {"optype": "continuous", "dataType": "double"}


def _text(number: Any) -> str:
    return repr(float(number))

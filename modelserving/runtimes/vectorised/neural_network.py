"""NeuralNetwork: https://dmg.org/pmml/v4-4-1/NeuralNetwork.html."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from modelserving.runtimes.vectorised.answers import Answer, Target, chosen
from modelserving.runtimes.vectorised.columns import Frame, Numbers, Scope
from modelserving.runtimes.vectorised.coverage import NotCovered, child, number
from modelserving.runtimes.vectorised.expressions import derived
from modelserving.runtimes.vectorised.links import exp, logit, simplemax, softmax
from modelserving.runtimes.vectorised.normalisation import denormalise
from modelserving.runtimes.vectorised.sums import weighted
from modelserving.runtimes.vectorised.targets import finish, refuse_defaults

Function = Callable[[Numbers], Numbers]

_ACTIVATIONS: Mapping[str, Function] = {
    "identity": lambda values: values,
    "logistic": logit,
    "tanh": np.tanh,
    "exponential": exp,
    "reciprocal": lambda values: 1.0 / values,
    "square": np.square,
    "Gauss": lambda values: np.exp(-(values * values)),
    "sine": np.sin,
    "cosine": np.cos,
    "Elliott": lambda values: values / (1.0 + np.abs(values)),
    "arctan": lambda values: 2.0 * np.arctan(values) / math.pi,
    "rectifier": lambda values: np.maximum(values, 0.0),
}
_NORMALISATIONS: Mapping[str, Function] = {
    "none": lambda values: values,
    "simplemax": simplemax,
    "softmax": softmax,
}


@dataclass(slots=True)
class _Layer:
    """Neurons that are computed together."""

    sources: list[int]
    """The i neurons before it that it reads."""
    weights: Numbers
    """(i, o)"""
    biases: Numbers
    """(o,)"""
    activation: Function
    normalisation: Function

    def outputs(self, before: list[Numbers]) -> Numbers:
        """(o, n)"""
        sums = weighted(self.weights, [before[source] for source in self.sources])
        sums += self.biases[:, np.newaxis]
        return self.normalisation(self.activation(sums))


def neural_network(model: ET.Element, scope: Scope, target: Target) -> Callable[[Frame], Answer]:
    """Compile a NeuralNetwork.

    Raises:
        NotCovered
    """
    neurons: dict[str, int] = {}
    inputs = []
    for each in child(model, "NeuralInputs").findall("NeuralInput"):
        neurons[each.get("id", "")] = len(neurons)
        made = derived(child(each, "DerivedField"), scope)
        if made.data_type not in ("double", "float", "integer"):
            raise NotCovered(f"NeuralInput of type {made.data_type}")
        inputs.append(made)
    layers = [_layer(model, each, neurons) for each in model.findall("NeuralLayer")]

    def propagate(frame: Frame) -> list[Numbers]:
        values = [each.column(frame).numbers() for each in inputs]
        # a missing input leaves the whole network without an answer
        missing = np.logical_or.reduce([np.isnan(each) for each in values])
        for layer in layers:
            values.extend(layer.outputs(values))
        return [np.where(missing, np.nan, each) for each in values] if missing.any() else values

    outputs = child(model, "NeuralOutputs").findall("NeuralOutput")
    if target.classes:
        refuse_defaults(model)
        return _classification(outputs, neurons, propagate, target)
    return _regression(model, outputs, neurons, propagate, target)


def _layer(model: ET.Element, layer: ET.Element, neurons: dict[str, int]) -> _Layer:
    sources: dict[str, int] = {}
    elements = layer.findall("Neuron")
    connections = [[(each.get("from", ""), number(each, "weight")) for each in neuron] for neuron in elements]
    for own in connections:
        for name, _ in own:
            sources.setdefault(name, len(sources))
    if not sources:
        raise NotCovered("a NeuralLayer without connections")
    weights = np.zeros((len(sources), len(elements)))
    for index, own in enumerate(connections):
        for name, weight in own:
            weights[sources[name], index] += weight
    try:
        positions = [neurons[name] for name in sources]
    except KeyError as error:
        raise NotCovered(f"a connection from {error}, which no neuron before has for its id") from error
    for neuron in elements:
        neurons[neuron.get("id", "")] = len(neurons)
    biases = np.array([number(neuron, "bias", 0.0) for neuron in elements])
    method = layer.get("normalizationMethod", model.get("normalizationMethod", "none"))
    if method not in _NORMALISATIONS:
        raise NotCovered(f"normalizationMethod {method!r} of a NeuralLayer")
    return _Layer(positions, weights, biases, _activation(model, layer), _NORMALISATIONS[method])


def _activation(model: ET.Element, layer: ET.Element) -> Function:
    name = layer.get("activationFunction", model.get("activationFunction", ""))
    if name == "threshold":
        holder = layer if layer.get("threshold") is not None else model
        threshold = number(holder, "threshold", 0.0)
        return lambda values: (values > threshold).astype(np.float64)
    if name not in _ACTIVATIONS:
        raise NotCovered(f"activationFunction {name!r}")
    return _ACTIVATIONS[name]


def _position(output: ET.Element, neurons: dict[str, int]) -> int:
    name = output.get("outputNeuron", "")
    if name not in neurons:
        raise NotCovered(f"an output of neuron {name!r}, which does not exist")
    return neurons[name]


def _classification(
    outputs: list[ET.Element],
    neurons: dict[str, int],
    propagate: Callable[[Frame], list[Numbers]],
    target: Target,
) -> Callable[[Frame], Answer]:
    positions, order = [], []
    for output in outputs:
        name = child(child(output, "DerivedField"), "NormDiscrete").get("value", "")
        if name not in target.classes:
            raise NotCovered(f"an output for {name!r}, which is no class")
        positions.append(_position(output, neurons))
        order.append(target.classes.index(name))

    def evaluate(frame: Frame) -> Answer:
        values = propagate(frame)
        probabilities: NDArray[np.float64] = np.stack([values[each] for each in positions], axis=1)
        return chosen(probabilities, tuple(order), len(target.classes))

    return evaluate


def _regression(
    model: ET.Element,
    outputs: list[ET.Element],
    neurons: dict[str, int],
    propagate: Callable[[Frame], list[Numbers]],
    target: Target,
) -> Callable[[Frame], Answer]:
    if len(outputs) != 1:
        raise NotCovered(f"a regression with {len(outputs)} outputs")
    expression = next(iter(child(outputs[0], "DerivedField")), outputs[0])
    if expression.tag not in ("FieldRef", "NormContinuous"):
        raise NotCovered(f"an output through {expression.tag}")
    back: Function = _ACTIVATIONS["identity"] if expression.tag == "FieldRef" else denormalise(expression)
    position, finished = _position(outputs[0], neurons), finish(model, target)
    return lambda frame: Answer(numbers=finished(back(propagate(frame)[position])))

"""Rewrite a PMML document so that PMML4S, the evaluator behind pypmml, answers it in full.

PMML4S answers with a model's Output fields only, gives no probability for a class that a tree's leaf does not list
(and then none for the forest), breaks ties of votes at random, knows no default of a Discretize, and applies the field
rules of every nested model anew. So the result-bearing models get an Output of ours, leaves list every class, the votes
of a forest are asked for one by one, defaults get bins, and the field rules, which `pmml_fields` has applied by then,
are switched off.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

from modelserving.errors import ModelRejected
from modelserving.runtimes.pmml_bins import complete_bins
from modelserving.runtimes.pmml_document import PmmlDocument
from modelserving.runtimes.pmml_outputs import final_field
from modelserving.runtimes.pmml_votes import Ballot
from modelserving.wire.serving_pb2 import Reason

PREDICTED = "predicted"
VOTE_METHODS = ("majorityVote", "weightedMajorityVote")


def probability_column(index: int) -> str:
    """Name of the output field that holds the probability of the class at `index`."""
    return f"probability-{index}"


def vote_column(index: int) -> str:
    """Name of the output field that holds the vote of the segment at `index`."""
    return f"vote-{index}"


def ballot(document: PmmlDocument) -> Ballot | None:
    """How to count votes, if the document's model is an ensemble that votes; else None."""
    segmentation = document.model.find("Segmentation")
    if segmentation is None or segmentation.get("multipleModelMethod") not in VOTE_METHODS:
        return None
    segments = segmentation.findall("Segment")
    weighted = segmentation.get("multipleModelMethod") == "weightedMajorityVote"
    try:
        return Ballot(
            weights=tuple(float(each.get("weight", "1")) if weighted else 1.0 for each in segments),
            conditional=tuple(each.find("True") is None for each in segments),
            missing=segmentation.get("missingPredictionTreatment", "continue"),
            missing_threshold=float(segmentation.get("missingThreshold", "1")),
        )
    except ValueError as error:
        raise ModelRejected(Reason.UNLOADABLE, f"a weight of the segmentation is not a number: {error}") from error


def completed(document: PmmlDocument) -> bytes:
    """The document in ASCII, rewritten; `document` is rewritten too (a copy of its tree would hold up other threads).

    Its answers are columns `PREDICTED`, and the document's `final_field` if it has one, and one `probability_column` a
    class; or, for an ensemble that votes, one `vote_column` a segment.

    Raises:
        ModelRejected: UNLOADABLE: counts in a tree, or margins, that are not numbers.
    """
    root, model = document.root, document.model
    for field in root.iter("MiningField"):
        field.set("invalidValueTreatment", "asIs")
        field.attrib.pop("invalidValueReplacement", None)
    for field in model.iterfind("MiningSchema/MiningField"):
        for attribute in ("outliers", "lowValue", "highValue", "missingValueReplacement", "missingValueTreatment"):
            field.attrib.pop(attribute, None)
    if ballot(document) is not None:
        segmentation = _find(model, "Segmentation")
        segmentation.set("multipleModelMethod", "selectAll")
        _set_output(model, [])
        for index, segment in enumerate(segmentation.findall("Segment")):
            _set_output(_segment_model(segment), [_predicted(vote_column(index), document)])
    else:
        own = list(model.iterfind("Output/OutputField")) if final_field(document) else []
        _complete(model, document.classes)
        _complete_outputs(model, document)
        _find(model, "Output").extend(own)
    for discretize in root.iter("Discretize"):
        complete_bins(discretize)
    for clustering in root.iter("ClusteringModel"):
        # PMML4S would read the other fields along with the centers too
        for each in clustering.findall("ClusteringField[@isCenterField='false']"):
            clustering.remove(each)
    root.set("xmlns", "http://www.dmg.org/PMML-4_4")
    # ASCII: PMML4S reads bytes in the character set of its machine. A string would take JPype four times as long.
    encoded: bytes = ET.tostring(root, encoding="us-ascii", xml_declaration=False)
    return encoded


def _complete_outputs(model: ET.Element, document: PmmlDocument) -> None:
    outputs = [_predicted(PREDICTED, document)]
    for index, value in enumerate(document.classes):
        outputs.append(
            ET.Element(
                "OutputField",
                name=probability_column(index),
                optype="continuous",
                dataType="double",
                feature="probability",
                value=value,
            )
        )
    _set_output(model, outputs)
    segmentation = model.find("Segmentation")
    if segmentation is None:
        return
    segments = segmentation.findall("Segment")
    if segmentation.get("multipleModelMethod") == "modelChain":
        # the links of a chain read each other's outputs; the last one answers
        segments = segments[-1:]
    for segment in segments:
        _complete_outputs(_segment_model(segment), document)


def _predicted(name: str, document: PmmlDocument) -> ET.Element:
    if document.classification:
        return ET.Element("OutputField", name=name, optype="categorical", dataType="string", feature="predictedValue")
    return ET.Element("OutputField", name=name, optype="continuous", dataType="double", feature="predictedValue")


def _set_output(model: ET.Element, fields: list[ET.Element]) -> None:
    for old in model.findall("Output"):
        model.remove(old)
    if fields:
        output = ET.Element("Output")
        output.extend(fields)
        model.insert(list(model).index(_find(model, "MiningSchema")) + 1, output)


def _segment_model(segment: ET.Element) -> ET.Element:
    for child in segment:
        if child.find("MiningSchema") is not None:
            return child
    raise ModelRejected(Reason.UNLOADABLE, f"segment {segment.get('id')!r} holds no model")


def _complete(model: ET.Element, classes: tuple[str, ...]) -> None:
    """Make every node of the classification trees in `model` list all classes with their probabilities."""
    for tree in model.iter("TreeModel"):
        if tree.get("functionName") == "classification":
            for node in tree.iter("Node"):
                _complete_distribution(node, classes)


def _complete_distribution(node: ET.Element, classes: tuple[str, ...]) -> None:
    given = node.findall("ScoreDistribution")
    if not given:
        return
    try:
        total = math.fsum(float(each.get("recordCount", "0")) for each in given)
        for each in given:
            if each.get("probability") is None and total > 0:
                each.set("probability", repr(float(each.get("recordCount", "0")) / total))
    except ValueError as error:
        raise ModelRejected(
            Reason.UNLOADABLE, f"a recordCount of node {node.get('id')!r} is not a number: {error}"
        ) from error
    listed = {each.get("value") for each in given}
    position = list(node).index(given[-1]) + 1
    for value in reversed([value for value in classes if value not in listed]):
        node.insert(position, ET.Element("ScoreDistribution", value=value, recordCount="0", probability="0"))


def _find(element: ET.Element, tag: str) -> ET.Element:
    found = element.find(tag)
    if found is None:
        raise ModelRejected(Reason.UNLOADABLE, f"element {element.tag!r} lacks its {tag}")
    return found

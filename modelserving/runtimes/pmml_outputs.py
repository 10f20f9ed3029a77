"""What the Output of a PMML document asks for, and what of it a result carries: https://dmg.org/pmml/v4-4-1/Output.html."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from modelserving.runtimes.pmml_document import PmmlDocument

_MOST_NAMED = 8
_TOLD = "the document's output fields "


def final_field(document: PmmlDocument) -> str:
    """Name of the output field whose value is the answer of a regression, in place of the number predicted; or empty.

    It is the only final one, a number made of others, and the number predicted is said not to be final: so a document
    turns back what its target was transformed by for training.
    """
    final: list[ET.Element] = []
    others: list[ET.Element] = []
    for field in document.model.iterfind("Output/OutputField"):
        (others if field.get("isFinalResult") == "false" else final).append(field)
    if document.model.get("functionName") != "regression" or len(final) != 1:
        return ""
    is_number = final[0].get("dataType") in ("double", "float", "integer")
    is_made = final[0].get("feature") == "transformedValue" and final[0].get("segmentId") is None
    return final[0].get("name", "") if is_number and is_made and any(map(_is_prediction, others)) else ""


def left_out(document: PmmlDocument) -> str:
    """Which output fields of the document's model no result carries, in words; empty if there are none.

    A result has the number, or the label and the probabilities. Output fields of nested models are read within the
    document, if at all.
    """
    answer = final_field(document)
    names = [
        repr(field.get("name", ""))
        for field in document.model.iterfind("Output/OutputField")
        if field.get("isFinalResult") != "false" and field.get("name", "") != answer and not _carried(field, document)
    ]
    if not names:
        return ""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"{_TOLD}{', '.join(names[:_MOST_NAMED])}{more} are left out"


def with_left_out(reason: str, outputs: str) -> str:
    """Why an engine evaluates a document, and what is left out; `reason` may be what an earlier load told of both.

    Args:
        outputs: what `left_out` says of the document.
    """
    before, _, _ = reason.partition(_TOLD)
    return "; ".join(filter(None, (before.removesuffix("; "), outputs)))


def _is_prediction(field: ET.Element) -> bool:
    return field.get("feature", "predictedValue") == "predictedValue" and field.get("segmentId") is None


def _carried(field: ET.Element, document: PmmlDocument) -> bool:
    if (
        field.get("segmentId") is not None
        or field.get("rank", "1") != "1"
        or any(each.tag != "Value" for each in field)
    ):
        return False
    feature, value = field.get("feature", "predictedValue"), field.get("value")
    if feature == "probability":
        return value is None or value in document.classes
    named = document.model.get("functionName") == "clustering" and feature in ("entityId", "clusterId")
    return feature == "predictedValue" or named

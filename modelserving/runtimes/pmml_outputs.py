"""What the Output of a PMML document asks for beyond what a result carries: https://dmg.org/pmml/v4-4-1/Output.html."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from modelserving.runtimes.pmml_document import PmmlDocument

_MOST_NAMED = 8


def left_out(document: PmmlDocument) -> str:
    """Which output fields of the document's model no result carries, in words; empty if there are none.

    A result has the number, or the label and the probabilities. Output fields of nested models are read within the
    document, if at all.
    """
    names = [
        repr(field.get("name", ""))
        for field in document.model.iterfind("Output/OutputField")
        if field.get("isFinalResult") != "false" and not _carried(field, document)
    ]
    if not names:
        return ""
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"the document's output fields {', '.join(names[:_MOST_NAMED])}{more} are left out"


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

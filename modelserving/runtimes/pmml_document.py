"""A PMML document, parsed without trusting it, and what its head says: input fields, target, classes.

Element and attribute names are those of PMML 4.4 (https://dmg.org/pmml/v4-4-1/GeneralStructure.html); a document's
namespace, which differs by version, is dropped while parsing.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from xml.parsers import expat

from modelserving.errors import ModelRejected
from modelserving.wire.serving_pb2 import Reason

MAX_DEPTH = 200
"""Elements nested deeper than this are refused: writers and evaluators recurse, and would run out of stack."""

_PIECE_BYTES = 8 * 1024
_NOT_MODELS = frozenset({"Header", "MiningBuildTask", "DataDictionary", "TransformationDictionary"})
_COLUMNS = {"FieldColumnPair": ("column",), "MapValues": ("outputColumn",)}
_ARRAY_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s"]+)')


@dataclass(frozen=True, slots=True)
class Interval:
    """A range of valid numbers; a bound that is None is open-ended."""

    left: float | None
    right: float | None
    closure: str
    """`openOpen`, `openClosed`, `closedOpen` or `closedClosed`."""


@dataclass(frozen=True, slots=True)
class InputField:
    """An active field: its DataField together with its MiningField in the document's model."""

    name: str
    categorical: bool
    data_type: str
    valid_values: tuple[str, ...]
    invalid_values: tuple[str, ...]
    missing_values: tuple[str, ...]
    intervals: tuple[Interval, ...]
    invalid_value_treatment: str
    invalid_value_replacement: str | None
    missing_value_treatment: str | None
    missing_value_replacement: str | None
    outliers: str
    low_value: float | None
    high_value: float | None

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers."""
        return self.data_type in ("double", "float", "integer")


@dataclass(frozen=True, slots=True)
class PmmlDocument:
    """A PMML document with one model."""

    root: ET.Element
    model: ET.Element
    inputs: tuple[InputField, ...]
    target: str | None
    classes: tuple[str, ...]
    """The classes of a classification in the document's order, or the clusters of a clustering; empty for a
    regression."""

    @property
    def classification(self) -> bool:
        """Whether the model predicts a class or a cluster, rather than a number."""
        return self.model.get("functionName") in ("classification", "clustering")

    @property
    def single(self) -> bool:
        """Whether some model in it computes with floats; the attribute is one of JPMML's converters."""
        return any(each.get("x-mathContext") == "float" for each in self.root.iter())


def parse(data: bytes) -> PmmlDocument:
    """Parse a document.

    Raises:
        ModelRejected: UNSAFE: a document type or entity declaration, an encoding other than UTF-8, UTF-16, ASCII or
            Latin-1, or elements nested deeper than `MAX_DEPTH`; UNLOADABLE: not XML, not PMML, no model or several,
            a function other than classification, regression and clustering, or a head that contradicts itself.
    """
    root = _tree(data)
    if root.tag != "PMML":
        raise ModelRejected(Reason.UNLOADABLE, f"the root element is {root.tag!r}, not PMML; correct the model's type")
    models = [element for element in root if element.tag not in _NOT_MODELS]
    if len(models) != 1:
        found = ", ".join(element.tag for element in models) or "none"
        raise ModelRejected(Reason.UNLOADABLE, f"a PMML document needs one model, found {found}")
    model = models[0]
    schema = model.find("MiningSchema")
    if schema is None:
        raise ModelRejected(Reason.UNLOADABLE, f"element {model.tag!r} has no MiningSchema, so it is no PMML model")
    if model.get("functionName") not in ("classification", "regression", "clustering"):
        raise ModelRejected(
            Reason.UNLOADABLE,
            f"function {model.get('functionName')!r} of the model; classification, regression and clustering are "
            "served",
        )
    fields = {_name(field): field for field in root.iterfind("DataDictionary/DataField")}
    inputs = []
    target = None
    for mining_field in schema.iterfind("MiningField"):
        usage = mining_field.get("usageType", "active")
        if usage in ("target", "predicted"):
            target = target or _name(mining_field)
        elif usage == "active":
            name = _name(mining_field)
            if name not in fields:
                raise ModelRejected(Reason.UNLOADABLE, f"mining field {name!r} is not in the data dictionary")
            inputs.append(_input_field(fields[name], mining_field))
    classes: tuple[str, ...] = ()
    if model.get("functionName") == "classification":
        classes = tuple(dict.fromkeys(_classes(model, fields.get(target or ""))))
        if not classes:
            raise ModelRejected(Reason.UNLOADABLE, "the classification names no classes; give the target field values")
    if model.get("functionName") == "clustering":
        classes = cluster_names(model)
        if not classes:
            raise ModelRejected(Reason.UNLOADABLE, "the clustering has no clusters")
    return PmmlDocument(root, model, tuple(inputs), target, classes)


def array_items(array: ET.Element) -> list[str]:
    """The items of an Array element: https://dmg.org/pmml/v4-4-1/GeneralStructure.html, "Array"."""
    found = _ARRAY_ITEM.finditer(array.text or "")
    return [re.sub(r"\\(.)", r"\1", each[1]) if each[1] is not None else each[2] for each in found]


def cluster_names(model: ET.Element) -> tuple[str, ...]:
    """What names the clusters in `model` and in models within it: each one's id, else its position from 1.

    https://dmg.org/pmml/v4-4-1/ClusteringModel.html, as JPMML and PMML4S read it.
    """
    return tuple(
        dict.fromkeys(
            cluster.get("id", str(index))
            for each in model.iter("ClusteringModel")
            for index, cluster in enumerate(each.findall("Cluster"), 1)
        )
    )


def _tree(data: bytes) -> ET.Element:
    """The document's tree without namespaces and without Extension elements, whose content is anybody's."""
    try:
        _refuse_document_type(data)
        root = _built(data)
    except (expat.ExpatError, ET.ParseError) as error:
        if "encoding" in str(error):
            raise _encoding(error) from error
        raise ModelRejected(Reason.UNLOADABLE, f"not well-formed XML ({error}); correct the model's type") from error
    except (LookupError, ValueError) as error:
        raise _encoding(error) from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        for attribute in [name for name in element.keys() if name[0] == "{"]:  # noqa: SIM118 - no copy of them is made
            del element.attrib[attribute]
        for attribute in _COLUMNS.get(element.tag, ()):
            # a column of a table is named as its elements are, with a prefix where they have one
            element.set(attribute, element.get(attribute, "").rpartition(":")[2])
    level = [root]
    depth = 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise ModelRejected(Reason.UNSAFE, f"elements are nested deeper than {MAX_DEPTH}; publish a flatter model")
        for element in level:
            for child in element.findall("Extension"):
                element.remove(child)
        level = [child for element in level for child in element]
    return root


def _refuse_document_type(data: bytes) -> None:
    """Read the document for a document type, without which it can declare no entities.

    `defusedxml` refuses it while it builds the tree, and does so with a call of Python for each element: four times
    as long, in which nothing else runs in this process.
    """
    reader = expat.ParserCreate()

    def refuse(name: str, *_: object) -> None:
        raise ModelRejected(Reason.UNSAFE, f"the document declares a document type ({name}); remove it")

    reader.StartDoctypeDeclHandler = refuse
    for piece in _pieces(data):
        reader.Parse(piece, False)
    reader.Parse(b"", True)


def _built(data: bytes) -> ET.Element:
    parser = ET.XMLParser()  # noqa: S314 - the same reader as above, and there is no document type
    for piece in _pieces(data):
        parser.feed(piece)
    root: ET.Element = parser.close()
    return root


def _pieces(data: bytes) -> Iterator[bytes]:
    """Other threads run between two of them."""
    yield from (data[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES))


def _encoding(error: Exception) -> ModelRejected:
    return ModelRejected(Reason.UNSAFE, f"the document's encoding is not accepted ({error}); write it in UTF-8")


def _name(element: ET.Element) -> str:
    name = element.get("name")
    if not name:
        raise ModelRejected(Reason.UNLOADABLE, f"a {element.tag} has no name")
    return name


def _input_field(field: ET.Element, mining: ET.Element) -> InputField:
    def values(*properties: str) -> tuple[str, ...]:
        return tuple(
            value.get("value", "") for value in field.iterfind("Value") if value.get("property", "valid") in properties
        )

    return InputField(
        name=_name(field),
        categorical=(mining.get("optype") or field.get("optype")) != "continuous",
        data_type=field.get("dataType", ""),
        valid_values=values("valid"),
        invalid_values=values("invalid"),
        missing_values=values("missing"),
        intervals=tuple(
            Interval(_number(each, "leftMargin"), _number(each, "rightMargin"), each.get("closure", ""))
            for each in field.iterfind("Interval")
        ),
        invalid_value_treatment=mining.get("invalidValueTreatment", "returnInvalid"),
        invalid_value_replacement=mining.get("invalidValueReplacement"),
        missing_value_treatment=mining.get("missingValueTreatment"),
        missing_value_replacement=mining.get("missingValueReplacement"),
        outliers=mining.get("outliers", "asIs"),
        low_value=_number(mining, "lowValue"),
        high_value=_number(mining, "highValue"),
    )


def _number(element: ET.Element, attribute: str) -> float | None:
    text = element.get(attribute)
    if text is None:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise ModelRejected(
            Reason.UNLOADABLE, f"{attribute} of a {element.tag} is {text!r}, which is not a number"
        ) from error


def _classes(model: ET.Element, target: ET.Element | None) -> Iterator[str]:
    """Class names: the target's values, else those that the model's own elements name."""
    declared = []
    if target is not None:
        declared = [each for each in target.iterfind("Value") if each.get("property", "valid") == "valid"]
    if not declared:
        declared = model.findall("Targets/Target/TargetValue")
    if declared:
        yield from (each.get("value", "") for each in declared)
        return
    for element in model.iter():
        if element.tag in ("ScoreDistribution", "TargetValueCount"):
            yield element.get("value", "")
        elif element.tag in ("RegressionTable", "PCell") and element.get("targetCategory"):
            yield element.get("targetCategory", "")
        elif element.tag in ("Node", "SimpleRule") and element.get("score"):
            yield element.get("score", "")

"""Models for the swap benchmarks: any number of versions, good and bad ones, of three types and from 2 kB to 5 MB.

Every good model answers with a number whose whole part is the version's, so that a score shows which model made it,
whatever the result says. What a model costs to score does not grow with its size: its weight lies in deep trees and in
a table of which a record reads one row.
"""

from __future__ import annotations

import hashlib
import io
import math
import random
import struct
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.records import FEATURES
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType

SIZES = (2_000, 6_000, 20_000, 60_000, 180_000, 550_000, 1_700_000, 5_000_000)
"""Bytes, about: what each type has of its own cannot be had for less than 2 to 6 kB."""
KINDS = (ModelType.PMML, ModelType.TENSORFLOW, ModelType.TENSORFLOWSAVED)
BAD_EVERY = 10
MOST_VERSIONS = 1_000_000
"""float32 must hold the version's number and a fraction."""

_SEED = 2009
_MARK = b"4242424"
"""Stands for the version's number in a PMML template, and as a float32 in the others."""
_MARK_FLOAT = struct.pack("<f", float(_MARK))
_COLUMNS = 16
_NODE_BYTES = 95
_TREES = 4


Identity = tuple[str, str, str]
"""Name, version and sha256 of a model."""


@dataclass(frozen=True, slots=True)
class Model:
    """One version, ready to be published."""

    number: int
    fault: str
    """What is wrong with it; empty for a good one."""
    descriptor: ModelDescriptor

    @property
    def identity(self) -> Identity:
        """As results name it."""
        descriptor = self.descriptor
        return descriptor.name, descriptor.version, hashlib.sha256(descriptor.data).hexdigest()


class ModelMaker:
    """Makes versions of models for a data type that has the wine features.

    Versions 0, 1, 2, … are of the three types in turn and of all sizes; every tenth is bad.
    """

    def __init__(self, data_type: str) -> None:
        self._data_type = data_type

    def make(self, number: int) -> Model:
        """Version `number`; bad if it ends in 9."""
        turn, place = divmod(number, BAD_EVERY)
        if place != BAD_EVERY - 1:
            return self.good(number, KINDS[number % len(KINDS)], SIZES[number // len(KINDS) % len(SIZES)])
        fault = list(_FAULTS)[turn % len(_FAULTS)]
        kind, spoil = _FAULTS[fault]
        descriptor = self.good(number, kind, SIZES[turn % len(SIZES)]).descriptor
        spoil(descriptor, number)
        return Model(number, fault, descriptor)

    def good(self, number: int, kind: ModelType, size: int) -> Model:
        """A good model of the given type and of about so many bytes."""
        if not 0 <= number < MOST_VERSIONS:
            raise ValueError(f"version {number} is not below {MOST_VERSIONS}")
        name, version = _name_and_version(number, kind)
        data = _template(kind, size)(number)
        return Model(
            number,
            "",
            ModelDescriptor(name=name, dataType=self._data_type, modeltype=kind, data=data, version=version),
        )


def _name_and_version(number: int, kind: ModelType) -> tuple[str, str]:
    return ModelType.Name(kind).lower(), str(number)


def _be_a_text(descriptor: ModelDescriptor, _number: int) -> None:
    descriptor.data = b"not a graph"


def _lack_a_field(descriptor: ModelDescriptor, _number: int) -> None:
    descriptor.data = descriptor.data.replace(b"alcohol", b"spirits")


def _break(descriptor: ModelDescriptor, _number: int) -> None:
    descriptor.data = descriptor.data[: len(descriptor.data) // 2]


def _answer_nan(descriptor: ModelDescriptor, number: int) -> None:
    descriptor.data = descriptor.data.replace(struct.pack("<f", number), struct.pack("<f", math.nan))


def _be_declared_another_type(descriptor: ModelDescriptor, _number: int) -> None:
    descriptor.modeltype = ModelType.TENSORFLOWSAVED


def _take_the_version_before(descriptor: ModelDescriptor, number: int) -> None:
    descriptor.name, descriptor.version = _name_and_version(number - 1, KINDS[(number - 1) % len(KINDS)])


_FAULTS: Mapping[str, tuple[ModelType, Callable[[ModelDescriptor, int], None]]] = {
    "text instead of a graph": (ModelType.TENSORFLOW, _be_a_text),
    "PMML with a field that the data type lacks": (ModelType.PMML, _lack_a_field),
    "broken archive": (ModelType.TENSORFLOWSAVED, _break),
    "answers that are no numbers": (ModelType.TENSORFLOW, _answer_nan),
    "PMML declared as a SavedModel": (ModelType.PMML, _be_declared_another_type),
    "a version that other bytes have": (ModelType.TENSORFLOW, _take_the_version_before),
}

Template = Callable[[int], bytes]
"""Makes the model's bytes for a version."""


@cache
def _template(kind: ModelType, size: int) -> Template:
    makers = {ModelType.PMML: _pmml, ModelType.TENSORFLOW: _graph, ModelType.TENSORFLOWSAVED: _saved_model}
    return makers[kind](size)


def _pmml(size: int) -> Template:
    """A linear regression, a deep tree, or the mean of a few of them, by size."""
    source = random.Random(_SEED)  # noqa: S311 - for weights, not for secrets
    nodes = (size - 1_500) // _NODE_BYTES
    if nodes < 15:
        predictors = "".join(f'<NumericPredictor name="{name}" coefficient="0.0001"/>' for name in FEATURES)
        table = f'<RegressionTable intercept="{_MARK.decode()}.5">{predictors}</RegressionTable>'
        model = f'<RegressionModel functionName="regression">{_schema()}{table}</RegressionModel>'
    elif size < 100_000:
        segments = "".join(f"<Segment><True/>{_tree(nodes // _TREES, source)}</Segment>" for _ in range(_TREES))
        ensemble = f'<Segmentation multipleModelMethod="average">{segments}</Segmentation>'
        model = f'<MiningModel functionName="regression">{_schema()}{ensemble}</MiningModel>'
    else:
        model = _tree(nodes, source)
    fields = "".join(
        f'<DataField name="{name}" optype="continuous" dataType="double"/>' for name in ("quality", *FEATURES)
    )
    document = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/>'
        f"<DataDictionary>{fields}</DataDictionary>{model}</PMML>"
    ).encode()
    return lambda number: document.replace(_MARK, b"%d" % number)


def _schema() -> str:
    active = "".join(f'<MiningField name="{name}"/>' for name in FEATURES)
    return f'<MiningSchema><MiningField name="quality" usageType="target"/>{active}</MiningSchema>'


def _tree(nodes: int, source: random.Random) -> str:
    """A balanced tree of about so many nodes, whose leaves say the mark and a fraction."""
    parts: list[str] = []

    def grow(predicate: str, below: int) -> None:
        parts.append(f'<Node score="{_MARK.decode()}.{source.randrange(100, 900)}">{predicate}')
        if below >= 2:
            name, value = source.choice(FEATURES), round(source.uniform(0.0, 15.0), 4)
            for operator, share in (("lessOrEqual", below // 2), ("greaterThan", below - below // 2)):
                grow(f'<SimplePredicate field="{name}" operator="{operator}" value="{value}"/>', share - 1)
        parts.append("</Node>")

    grow("<True/>", nodes)
    return (
        '<TreeModel functionName="regression" splitCharacteristic="binarySplit">'
        f"{_schema()}{''.join(parts)}</TreeModel>"
    )


def _weights(size: int) -> tuple[Any, Any]:
    """A table with rows to look up, and weights for such a row together with the features."""
    source = np.random.default_rng(_SEED)
    rows = max(1, (size - 2_500) // (4 * _COLUMNS))
    table = source.normal(size=(rows, _COLUMNS)).astype(np.float32)
    return table, source.normal(scale=0.01, size=(len(FEATURES) + _COLUMNS, 1)).astype(np.float32)


def _answer(tf: Any, features: Any, table: Any, weights: Any) -> Any:
    """(n, 1): the mark and a fraction, of a row of the table and the features."""
    rows = tf.cast(tf.math.floormod(tf.reduce_sum(features, axis=1) * 1000.0, float(table.shape[0])), tf.int32)
    row = tf.gather(table, tf.minimum(rows, table.shape[0] - 1))
    fraction = 0.25 + 0.5 * tf.sigmoid(tf.matmul(tf.concat([features, row], axis=1), weights))
    return tf.add(fraction, tf.constant(float(_MARK), tf.float32), name="quality")


def _graph(size: int) -> Template:
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    with tf.Graph().as_default() as graph:
        features = tf.compat.v1.placeholder(tf.float32, (None, len(FEATURES)), name="features")
        table, weights = _weights(size)
        _answer(tf, features, tf.constant(table), tf.constant(weights))
    definition = _marked(graph.as_graph_def().SerializeToString())
    return lambda number: definition.replace(_MARK_FLOAT, struct.pack("<f", number))


def _saved_model(size: int) -> Template:
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    module = tf.Module()
    table, weights = _weights(size - 2_500)
    module.table, module.weights = tf.Variable(table), tf.Variable(weights)

    @tf.function(input_signature=[tf.TensorSpec((None, len(FEATURES)), tf.float32, name="features")])  # type: ignore[untyped-decorator]
    def serve(features: Any) -> dict[str, Any]:
        return {"quality": _answer(tf, features, module.table, module.weights)}

    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(module, folder, signatures=serve)
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(Path(folder).rglob("*"))
            if path.is_file() and path.name != "fingerprint.pb"
        }
    definition = _marked(files.pop("saved_model.pb"))

    def make(number: int) -> bytes:
        changed = {"saved_model.pb": definition.replace(_MARK_FLOAT, struct.pack("<f", number)), **files}
        return _zipped(changed)

    return make


def _zipped(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        for name, data in files.items():
            # Weights hardly shrink, and would take their time to.
            how = zipfile.ZIP_STORED if "variables.data" in name else zipfile.ZIP_DEFLATED
            zipped.writestr(name, data, how)
    return archive.getvalue()


def _marked(definition: bytes) -> bytes:
    if _MARK_FLOAT not in definition:
        raise ValueError("the model's definition does not hold the mark for its version")
    return definition

"""Bad models by name, as messages of the model log, all for the data type wine unless they say otherwise."""

from __future__ import annotations

import io
import re
import zipfile

from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from tests.flink.messages import EXAMPLE_MODELS, example_model, model

LINEAR = (EXAMPLE_MODELS / "linear.pmml").read_bytes()
GRAPH = (EXAMPLE_MODELS / "tensorflow.pb").read_bytes()
SAVED_MODEL = (EXAMPLE_MODELS / "saved-model.zip").read_bytes()
GOOD = example_model("linear.pmml", name="good")


def changed(**fields: object) -> bytes:
    """The good descriptor with other values in some fields; None clears a field."""
    descriptor = ModelDescriptor.FromString(GOOD)
    for name, value in fields.items():
        if value is None:
            descriptor.ClearField(name)
        else:
            setattr(descriptor, name, value)
    return descriptor.SerializeToString()


def without(archive: bytes, prefix: str) -> bytes:
    """A zip without the members whose names start with `prefix`."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as source, zipfile.ZipFile(stream, "w") as target:
        for name in source.namelist():
            if not name.startswith(prefix):
                target.writestr(name, source.read(name))
    return stream.getvalue()


MALFORMED: dict[str, bytes | None] = {
    "empty message": b"",
    "tombstone": None,
    "random bytes": bytes.fromhex("b1a0c4e7779f0b6a51e9d2"),
    "truncated protobuf": GOOD[:-1],
    "a length that points past the end": b"\x0a\x7fname",
    "a length beyond all memory": b"\x2a" + b"\xff" * 9 + b"\x01",
    "non-UTF-8 name": b"\x0a\x02\xff\xfe" + changed(name=None),
    "missing name": changed(name=None),
    "missing data type": changed(dataType=None),
    "unknown model type": changed(modeltype=99),
    "neither data nor location": changed(data=None),
    "both a model and a retirement": changed(retire=True),
    "both a location and a retirement": changed(location="file:///models/good.pmml", retire=True),
    "retirement without a name": ModelDescriptor(dataType="wine", retire=True).SerializeToString(),
    "activation time before 1970": changed(activation_ms=-1),
    "sha256 that is none": changed(sha256="ab" * 31 + "x"),
    "empty data": changed(data=b""),
    "empty location": changed(location=""),
    "name with NUL": changed(name="good\0"),
    "name with newline": changed(name="good\nbad"),
    "name with ../": changed(name="../good"),
    "name with ../ after letters": changed(name="a../good"),
    "name with ../ inside": changed(name="a/../good"),
    "name that is ..": changed(name=".."),
    "version with NUL": changed(version="1\0"),
    "version with newline": changed(version="1\n2"),
    "version with ../": changed(version="../1"),
    "version that ends in /..": changed(version="1/.."),
    "data type with newline": changed(dataType="wine\n"),
    "a version of 10 kB": changed(version="1" * 10_000),
    "groups nested 10,000 deep": GOOD + b"\xa3\x06" * 10_000 + b"\xa4\x06" * 10_000,
    "groups that never end": GOOD + b"\xa3\x06" * 10_000,
}

UNLOADABLE: dict[str, bytes] = {
    "PMML with no model": model(
        re.sub(rb"<RegressionModel.*</RegressionModel>", b"", LINEAR, flags=re.S), ModelType.PMML
    ),
    "PMML of an unknown element": model(LINEAR.replace(b"RegressionModel", b"OracleModel"), ModelType.PMML),
    "PMML with fields the data type lacks": model(LINEAR.replace(b'"alcohol"', b'"sugar"'), ModelType.PMML),
    "TensorFlow graph without the named output": ModelDescriptor(
        name="graph", dataType="wine", modeltype=ModelType.TENSORFLOW, data=GRAPH, output_tensor="absent"
    ).SerializeToString(),
    "SavedModel without the signature": ModelDescriptor(
        name="saved", dataType="wine", modeltype=ModelType.TENSORFLOWSAVED, data=SAVED_MODEL, signature="absent"
    ).SerializeToString(),
    "SavedModel with missing variables": model(without(SAVED_MODEL, "variables/"), ModelType.TENSORFLOWSAVED),
    "SavedModel with missing values of variables": model(
        without(SAVED_MODEL, "variables/variables.data"), ModelType.TENSORFLOWSAVED
    ),
    "PMML declared as a graph": model(LINEAR, ModelType.TENSORFLOW),
    "PMML declared as a SavedModel": model(LINEAR, ModelType.TENSORFLOWSAVED),
    "graph declared as PMML": model(GRAPH, ModelType.PMML),
    "graph declared as a SavedModel": model(GRAPH, ModelType.TENSORFLOWSAVED),
    "SavedModel declared as PMML": model(SAVED_MODEL, ModelType.PMML),
    "SavedModel declared as a graph": model(SAVED_MODEL, ModelType.TENSORFLOW),
    "a type that has no runtime yet": changed(modeltype=ModelType.ONNX),
}


def labelled(*labels: str) -> bytes:
    """The example's graph with names for its classes."""
    descriptor = ModelDescriptor(name="graph", dataType="wine", modeltype=ModelType.TENSORFLOW, data=GRAPH)
    descriptor.labels.extend(labels)
    return descriptor.SerializeToString()


def bomb() -> bytes:
    """A zip of a few kilobytes that unpacks to a thousand times as many."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("saved_model.pb", bytes(200 * 1024**2))
    return stream.getvalue()


OVERSIZE: dict[str, bytes] = {
    "archive that expands 1,000-fold": model(bomb(), ModelType.TENSORFLOWSAVED),
}

# What may be located: /models and s3://models.
LOCATION: dict[str, bytes] = {
    "file:///etc/passwd": changed(location="file:///etc/passwd"),
    "a bare path outside the model root": changed(location="/etc/passwd"),
    "a step up out of the model root": changed(location="s3://models/../other/a.pmml"),
    "simplecache::file": changed(location="simplecache::file:///etc/passwd"),
    "simplecache::s3": changed(location="simplecache::s3://models/a.pmml"),
    "local:": changed(location="local:/etc/passwd"),
    "local://": changed(location="local:///etc/passwd"),
    "a relative path": changed(location="etc/passwd"),
    "another bucket than the allowed": changed(location="s3://other/a.pmml"),
    "another scheme than the allowed": changed(location="http://models/a.pmml"),
}

FAILED_GATE: dict[str, bytes] = {
    "infinite answers on the probe": model(
        re.sub(rb'coefficient="[^"]*"', b'coefficient="1e5"', LINEAR).replace(
            b'functionName="regression"', b'functionName="regression" normalizationMethod="exp"'
        ),
        ModelType.PMML,
    ),
    "wrong output width": labelled("good", "bad"),
}

# To be tried where `tests/hostile` is on PYTHONPATH.
HOSTILE: dict[str, bytes] = {
    "slower than the limit": model(b"SLOW", ModelType.PMML),
    "loader that hangs": model(b"HANG", ModelType.PMML),
    "loader that eats memory": model(b"EAT", ModelType.PMML),
    "loader that kills its process": model(b"KILL 9", ModelType.PMML),
}

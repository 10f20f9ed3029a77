"""Model descriptors and wine records for the tests of jobs."""

from __future__ import annotations

from collections.abc import Mapping

from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.wine_pb2 import WineRecord
from tests.flink.jobs import ROOT
from tests.runtimes.wine import NAMES, wine_batch

EXAMPLE_MODELS = ROOT / "examples" / "winequality" / "models"
TYPES = {".pmml": ModelType.PMML, ".pb": ModelType.TENSORFLOW, ".zip": ModelType.TENSORFLOWSAVED}
ROWS = [list(row.values()) for row in wine_batch().to_pylist()]
"""The features of each row of the wine table."""


def wine_table(name: str) -> str:
    """The TOML of a data type that is wine by another name."""
    descriptor_set = ROOT / "modelserving" / "wire" / "wine.binpb"
    features = ", ".join(f'{{ name = "{feature}" }}' for feature in NAMES)
    return (
        f'[data_types.{name}]\ncodec = "protobuf"\ndescriptor_set = "{descriptor_set}"\n'
        'message = "modelserving.WineRecord"\nroute = { by = "field", field = "dataType" }\n'
        f"features = [{features}]\n"
    )


def wine_record(number: int, data_type: str = "wine") -> bytes:
    """Row `number` of the table, counted round, in the reference's wire format."""
    row = ROWS[number % len(ROWS)]
    return WineRecord(**dict(zip(NAMES, row, strict=True)), dataType=data_type).SerializeToString()


def wine_records(count: int, data_type: str = "wine", start: int = 0) -> list[tuple[bytes | None, bytes | None]]:
    """(key, value) of so many records; the key is the record's number."""
    return [(b"%d" % number, wine_record(number, data_type)) for number in range(start, start + count)]


def example_model(file: str, data_type: str = "wine", version: str = "", name: str = "") -> bytes:
    """An encoded descriptor of one of the example's models."""
    path = EXAMPLE_MODELS / file
    return model(path.read_bytes(), TYPES[path.suffix], data_type, version, name or path.stem)


def model(
    data: bytes,
    kind: ModelType,
    data_type: str = "wine",
    version: str = "",
    name: str = "model",
    metrics: Mapping[str, float] | None = None,
) -> bytes:
    """An encoded descriptor."""
    return ModelDescriptor(
        name=name, dataType=data_type, modeltype=kind, data=data, version=version, metrics=metrics
    ).SerializeToString()


def unloadable_model(data_type: str = "wine") -> bytes:
    """A descriptor whose model is a text."""
    return model(b"not a graph", ModelType.TENSORFLOW, data_type, name="text")

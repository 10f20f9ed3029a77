"""What the demonstrations send: the wine example's models, and its records, some bad ones among them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from modelserving.cli.encoding import Encode, encoders, read_csv
from modelserving.configuration import load_data_types
from modelserving.errors import ConfigurationError
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.wine_pb2 import WineRecord

DATA_TYPE = "wine"
VALID_FOR_ONE_BAD = 100

# TensorFlow first: a worker takes seconds to import it, which so belong to the start, not to a swap.
_MODELS = (
    ("tensorflow", "TensorFlow graph", "tensorflow.pb", ModelType.TENSORFLOW),
    ("forest", "PMML", "forest.pmml", ModelType.PMML),
    ("saved-model", "SavedModel", "saved-model.zip", ModelType.TENSORFLOWSAVED),
)


@dataclass(frozen=True, slots=True)
class Publication:
    """A model to publish."""

    name: str
    version: str
    type: str
    """As people say it."""
    descriptor: ModelDescriptor

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.type})"


def publications(example: Path, count: int) -> list[Publication]:
    """`count` models of three types in turn, from the folder of the example.

    The version is the publication's number, so that each can be told from all others.
    """
    return [
        _publication(example / "models" / file, name, str(number), kind, model_type)
        for number, (name, kind, file, model_type) in zip(range(1, count + 1), cycle(_MODELS))
    ]


@dataclass(frozen=True, slots=True)
class Rivals:
    """Models that are asked for the same records."""

    fast: Publication
    smart: Publication
    slow: Publication
    """A version of the smart one that takes hundreds of milliseconds for an answer."""


def rivals(example: Path) -> Rivals:
    """They, from the folder of the example."""
    folder = example / "models"
    return Rivals(
        fast=_publication(folder / "tree.pmml", "fast", "1", "PMML tree", ModelType.PMML),
        smart=_publication(folder / "tensorflow.pb", "smart", "1", "TensorFlow graph", ModelType.TENSORFLOW),
        slow=_publication(folder / "smoothed.pb", "smart", "2", "30,000 times the work", ModelType.TENSORFLOW),
    )


def _publication(path: Path, name: str, version: str, kind: str, model_type: ModelType) -> Publication:
    data = _read(path)
    descriptor = ModelDescriptor(
        name=name,
        dataType=DATA_TYPE,
        modeltype=model_type,
        data=data,
        version=version,
        sha256=hashlib.sha256(data).hexdigest(),
    )
    return Publication(name, version, kind, descriptor)


def bad_count(valid: int) -> int:
    """How many bad records go with so many valid ones."""
    return math.ceil(valid / VALID_FOR_ONE_BAD)


def records(example: Path, valid: int, clock_ms: Callable[[], int]) -> Iterator[tuple[bytes | None, bool]]:
    """Values of `valid` records from the table, from the top again after its last row, and whether each is valid.

    After every hundredth valid record, and after the last one, comes a bad one. `clock_ms` (epoch milliseconds)
    tells the records' time.
    """
    return _mixed(_rows(example), valid, clock_ms)


def endless_records(example: Path, clock_ms: Callable[[], int]) -> Iterator[bytes]:
    """Values of valid records from the table, from the top again after its last row; `clock_ms` as in `records`."""
    return (row(clock_ms()) for row in cycle(_rows(example)))


def _rows(example: Path) -> list[Encode]:
    table = example / "winequality_red.csv"
    if not table.is_file():
        raise _missing(table)
    data_type = load_data_types()[DATA_TYPE]
    return list(encoders(read_csv(table, data_type, ";"), data_type))


def _mixed(rows: list[Encode], valid: int, clock_ms: Callable[[], int]) -> Iterator[tuple[bytes | None, bool]]:
    bad = cycle(_bad_values(rows[0](clock_ms())))
    for number in range(1, valid + 1):
        yield rows[(number - 1) % len(rows)](clock_ms()), True
        if number % VALID_FOR_ONE_BAD == 0 or number == valid:
            yield next(bad), False


def _bad_values(good: bytes) -> list[bytes | None]:
    """One of each kind of record that no model can score."""
    beer, not_a_number = WineRecord.FromString(good), WineRecord.FromString(good)
    beer.dataType = "beer"
    not_a_number.alcohol = math.nan
    return [
        b"\xff\xffnoise",
        beer.SerializeToString(),
        good[:-1],  # cut off
        not_a_number.SerializeToString(),
        b'{"dataType": "wine", "alcohol": 9.4}',  # JSON where protobuf is due
        None,  # nothing at all
    ]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _missing(path) from error


def _missing(path: Path) -> ConfigurationError:
    return ConfigurationError(f"{path} is missing: run the demonstration from a whole checkout of the project")

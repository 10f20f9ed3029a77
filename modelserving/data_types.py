"""Data types: which records there are, how they are read, and which features models get of them.

These are frozen values: they travel inside the job to the workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum


class FeatureKind(Enum):
    """What a feature's values are."""

    NUMBER = "number"  # float64 in Arrow
    STRING = "string"  # a category


@dataclass(frozen=True, slots=True)
class Feature:
    """One input that models may use."""

    name: str
    kind: FeatureKind = FeatureKind.NUMBER
    optional: bool = False
    """True: a record without it goes to the model with a missing value; False: such a record is rejected."""


Sample = tuple[float | str | None, ...]
"""One record's features, in the order of the data type's: numbers, categories, None for a missing optional one."""


@dataclass(frozen=True, slots=True)
class CodecConfig:
    """How the bytes of a record are read."""

    name: str
    """A key of `codecs.CODECS`."""
    descriptor_set: bytes = b""
    """protobuf: a serialized FileDescriptorSet, imports included."""
    message: str = ""
    """protobuf: the full name of the record's message."""


class RouteBy(Enum):
    """Where a record says which data type it is of."""

    FIELD = "field"
    KEY = "key"
    CONSTANT = "constant"


@dataclass(frozen=True, slots=True)
class Route:
    """How a record finds its data type."""

    by: RouteBy
    field: str = ""
    """by FIELD: the field's name."""
    value: str = ""
    """by FIELD or KEY: what the field or the Kafka key (UTF-8) equals."""


@dataclass(frozen=True, slots=True)
class DataType:
    """A kind of record."""

    name: str
    features: tuple[Feature, ...]
    codec: CodecConfig = CodecConfig("json")
    route: Route = Route(RouteBy.CONSTANT)
    samples: tuple[Sample, ...] = ()
    """Records that every model must be able to score; if there are none, a model is tried with generated ones."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The features' names, in order."""
        return tuple(feature.name for feature in self.features)


@dataclass(frozen=True, slots=True)
class DataTypes:
    """The data types that a job knows, in the order of their configuration."""

    types: tuple[DataType, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The data types' names, in order."""
        return tuple(data_type.name for data_type in self.types)

    def routed(self, by: RouteBy) -> tuple[DataType, ...]:
        """The data types that records find `by` the given means."""
        return tuple(data_type for data_type in self.types if data_type.route.by is by)

    def get(self, name: str) -> DataType | None:
        """The data type called `name`, or None."""
        return next((data_type for data_type in self.types if data_type.name == name), None)

    def __getitem__(self, name: str) -> DataType:
        """The data type called `name`; KeyError if there is none."""
        found = self.get(name)
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[DataType]:
        """The data types, in order."""
        return iter(self.types)

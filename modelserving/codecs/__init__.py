"""Codecs read the bytes of a batch of records; one for each format, in an explicit registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Protocol

import pyarrow as pa

from modelserving.data_types import CodecConfig, Feature
from modelserving.servable import RecordFailure


class Messages(Protocol):
    """The n decoded records of a batch, before it is known which data types they are of."""

    def text(self, field: str) -> pa.Array:
        """The string values (n) of `field`; null where a record has none."""
        ...

    def take(self, rows: pa.Array) -> Messages:
        """The records at these rows (int64)."""
        ...

    def columns(self, features: Sequence[Feature]) -> tuple[list[pa.Array], list[RecordFailure]]:
        """One column (n) for each feature, float64 or string, null where a record lacks it.

        The failures are the rows with a value that does not fit its feature (WRONG_TYPE, INVALID_VALUE), each once.
        """
        ...


class Codec(Protocol):
    """Reads records of one format."""

    def check(self, feature: Feature) -> None:
        """Raise `ConfigurationError` if records of this format cannot have the feature."""
        ...

    def decode(self, values: pa.Array) -> tuple[Messages, list[RecordFailure]]:
        """Decode values (binary, no nulls): the readable ones, in order, and a MALFORMED failure for each other."""
        ...


CODECS: Mapping[str, str] = {
    "protobuf": "modelserving.codecs.protobuf",
    "json": "modelserving.codecs.json",
}
"""Name → module whose `build(CodecConfig) -> Codec` makes it."""


def build_codec(config: CodecConfig) -> Codec:
    """The codec that `config` describes. It holds native handlers, so it cannot be pickled: build it where it is used.

    Raises:
        ConfigurationError: the configuration does not hold together.
    """
    codec: Codec = import_module(CODECS[config.name]).build(config)
    return codec

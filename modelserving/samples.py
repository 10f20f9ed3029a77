"""Samples of a data type: records in a CSV file that every model must be able to score."""

from __future__ import annotations

import csv
import math
from pathlib import Path

from modelserving.data_types import Feature, FeatureKind, Sample
from modelserving.errors import ConfigurationError

MAX_ROWS = 64
"""A model answers all of them within seconds, each time that it is tried."""


def read_samples(path: Path, features: tuple[Feature, ...]) -> tuple[Sample, ...]:
    """Read samples from a CSV file in UTF-8 whose header names features; an empty cell is a missing value.

    Raises:
        ConfigurationError: the file cannot be read, or something in it is wrong.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, cells) for cells in reader if cells]
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}); name an existing CSV file") from error
    except (csv.Error, ValueError) as error:
        raise ConfigurationError(f"{path} is not a CSV file in UTF-8: {error}") from error
    if len(lines) < 2:
        raise ConfigurationError(f"{path} holds no sample; write a header of feature names and at least one line")
    if len(lines) - 1 > MAX_ROWS:
        raise ConfigurationError(f"{path} holds {len(lines) - 1} samples; keep the {MAX_ROWS} most telling")
    header = lines[0][1]
    _check_header(path, header, features)
    return tuple(_sample(f"{path}, line {line}", header, cells, features) for line, cells in lines[1:])


def _check_header(path: Path, header: list[str], features: tuple[Feature, ...]) -> None:
    names = [feature.name for feature in features]
    for name in header:
        if name not in names:
            raise ConfigurationError(f"{path}: column {name!r} is no feature; use {', '.join(names)}")
        if header.count(name) > 1:
            raise ConfigurationError(f"{path}: column {name!r} is there twice; remove one")
    for feature in features:
        if feature.name not in header and not feature.optional:
            raise ConfigurationError(
                f"{path}: column {feature.name!r} is missing; add it, or make the feature optional"
            )


def _sample(place: str, header: list[str], cells: list[str], features: tuple[Feature, ...]) -> Sample:
    if len(cells) != len(header):
        raise ConfigurationError(f"{place} has {len(cells)} cells, but the header has {len(header)}")
    texts = dict(zip(header, cells, strict=True))
    return tuple(_value(f"{place}, {feature.name!r}", texts.get(feature.name, ""), feature) for feature in features)


def _value(place: str, text: str, feature: Feature) -> float | str | None:
    if not text:
        if feature.optional:
            return None
        raise ConfigurationError(f"{place}: is empty; give it a value, or make the feature optional")
    if feature.kind is FeatureKind.STRING:
        return text
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigurationError(f"{place}: {text!r} is not a finite number")
    return number

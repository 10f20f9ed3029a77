"""The configuration of data types: a TOML file, checked and read into values."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from modelserving.codecs import CODECS, build_codec
from modelserving.data_types import CodecConfig, DataType, DataTypes, Feature, FeatureKind, Route, RouteBy, Sample
from modelserving.errors import ConfigurationError
from modelserving.samples import read_samples

E = TypeVar("E", bound=Enum)

EXAMPLE = Path(__file__).with_name("wine.toml")


def load_data_types(path: Path | None = None) -> DataTypes:
    """Read data types from a TOML file; None reads the shipped wine example.

    Raises:
        ConfigurationError: the file cannot be read, or something in it is wrong.
    """
    path = path or EXAMPLE
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read ({error.strerror}); name an existing TOML file") from error
    except ValueError as error:
        raise ConfigurationError(f"{path}: not a TOML file: {error}") from error
    try:
        root = _Table(document, "", {"data_types"})
        tables = root.take("data_types", dict)
        if not tables:
            raise ConfigurationError("data_types: is empty; add a table [data_types.NAME]")
        data_types = DataTypes(tuple(_data_type(name, table, path.parent) for name, table in tables.items()))
        _check_routes(data_types)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return data_types


class _Table:
    """A TOML table that knows its place and its keys, for messages that name them."""

    def __init__(self, table: object, place: str, known: set[str]) -> None:
        if not isinstance(table, dict):
            raise ConfigurationError(f"{place}: must be a table")
        self._table: Mapping[str, Any] = table
        self._place = place
        for key in table:
            if key not in known:
                raise ConfigurationError(f"{self.at(key)}: unknown key; known here: {', '.join(sorted(known))}")

    def at(self, key: str) -> str:
        return f"{self._place}.{key}" if self._place else key

    def has(self, key: str) -> bool:
        return key in self._table

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        """The value of `key`, a `kind`; `default` where absent, which is an error without one."""
        value = self._table.get(key, default)
        if value is None:
            raise ConfigurationError(f"{self.at(key)}: is missing; add it")
        if not isinstance(value, kind):
            word = {str: "a string", bool: "true or false", list: "an array", dict: "a table"}[kind]
            raise ConfigurationError(f"{self.at(key)}: must be {word}")
        if value == "":
            raise ConfigurationError(f"{self.at(key)}: is empty; give it a value or leave it out")
        return value

    def choose(self, key: str, kind: type[E], default: str | None = None) -> E:
        """The value of `key` as a member of `kind`."""
        value = self.take(key, str, default)
        try:
            return kind(value)
        except ValueError:
            known = ", ".join(member.value for member in kind)
            raise ConfigurationError(f"{self.at(key)}: {value!r} is unknown; use one of {known}") from None


def _data_type(name: str, value: object, folder: Path) -> DataType:
    place = f"data_types.{name}"
    if not name:
        raise ConfigurationError(f"{place}: a data type needs a name")
    keys = {"codec", "route", "features", "samples"}
    protobuf_keys = {"descriptor_set", "message"}
    table = _Table(value, place, keys | protobuf_keys)
    codec_name = table.take("codec", str)
    if codec_name not in CODECS:
        raise ConfigurationError(f"{table.at('codec')}: {codec_name!r} is unknown; use one of {', '.join(CODECS)}")
    if codec_name == "protobuf":
        codec = _protobuf_config(table, folder)
    else:
        table = _Table(value, place, keys)
        codec = CodecConfig(codec_name)
    route = _route(table.take("route", dict), table.at("route"), name)
    features = tuple(
        _feature(entry, f"{table.at('features')}[{index}]") for index, entry in enumerate(table.take("features", list))
    )
    names = [feature.name for feature in features]
    if not names:
        raise ConfigurationError(f"{table.at('features')}: is empty; name at least one feature")
    for feature_name in names:
        if names.count(feature_name) > 1:
            raise ConfigurationError(f"{table.at('features')}: {feature_name!r} is there twice; remove one")
    try:
        built = build_codec(codec)
    except ConfigurationError as error:
        raise ConfigurationError(f"{place}: {error}") from error
    read = [(table.at("features"), feature) for feature in features]
    if route.by is RouteBy.FIELD:
        read.append((f"{table.at('route')}.field", Feature(route.field, FeatureKind.STRING)))
    for where, feature in read:
        try:
            built.check(feature)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error}") from error
    return DataType(name, features, codec, route, _samples(table, folder, features))


def _samples(table: _Table, folder: Path, features: tuple[Feature, ...]) -> tuple[Sample, ...]:
    if not table.has("samples"):
        return ()
    try:
        return read_samples(folder / table.take("samples", str), features)
    except ConfigurationError as error:
        raise ConfigurationError(f"{table.at('samples')}: {error}") from error


def _protobuf_config(table: _Table, folder: Path) -> CodecConfig:
    path = folder / table.take("descriptor_set", str)
    try:
        descriptor_set = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{table.at('descriptor_set')}: {path} cannot be read ({error.strerror}); "
            "make it with protoc --include_imports --descriptor_set_out"
        ) from error
    return CodecConfig("protobuf", descriptor_set, table.take("message", str))


def _route(value: object, place: str, name: str) -> Route:
    by = _Table(value, place, {"by", "field", "value"}).choose("by", RouteBy)
    known = {RouteBy.FIELD: {"by", "field", "value"}, RouteBy.KEY: {"by", "value"}, RouteBy.CONSTANT: {"by"}}[by]
    table = _Table(value, place, known)
    if by is RouteBy.FIELD:
        return Route(by, table.take("field", str), table.take("value", str, name))
    return Route(by, value=table.take("value", str, name)) if by is RouteBy.KEY else Route(by)


def _feature(value: object, place: str) -> Feature:
    table = _Table(value, place, {"name", "kind", "optional"})
    name = table.take("name", str)
    if name.startswith("@"):
        raise ConfigurationError(f"{table.at('name')}: {name!r} must not start with '@'; rename the feature")
    kind = table.choose("kind", FeatureKind, FeatureKind.NUMBER.value)
    return Feature(name, kind, table.take("optional", bool, False))


def _check_routes(data_types: DataTypes) -> None:
    """Every record must have at most one data type."""
    by_field, constant = data_types.routed(RouteBy.FIELD), data_types.routed(RouteBy.CONSTANT)
    if len(constant) > 1:
        raise ConfigurationError(
            f"data_types: {_names(constant)} are all constant, and only one can be; route the others by field or key"
        )
    if constant and by_field:
        raise ConfigurationError(
            f"data_types: {_names(constant)} is constant and {_names(by_field)} routed by field, so a record could be "
            "of either; route the constant one by field or key"
        )
    for other in by_field[1:]:
        first = by_field[0]
        if (other.codec, other.route.field) != (first.codec, first.route.field):
            raise ConfigurationError(
                f"data_types: {_names((first, other))} are routed by field, but not by the same field of the same "
                "codec, descriptor set and message; a field can only be read once a record is decoded, so make them "
                "equal or route one by key"
            )
    for group in (by_field, data_types.routed(RouteBy.KEY)):
        values: dict[str, DataType] = {}
        for data_type in group:
            other = values.setdefault(data_type.route.value, data_type)
            if other is not data_type:
                raise ConfigurationError(
                    f"data_types: {_names((other, data_type))} have the same route value {data_type.route.value!r}; "
                    "give each its own"
                )


def _names(data_types: tuple[DataType, ...]) -> str:
    return " and ".join(data_type.name for data_type in data_types)

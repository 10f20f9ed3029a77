"""The configuration of data types: what is read, what is refused, and that the documentation says all of it."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

from modelserving.configuration import load_data_types
from modelserving.data_types import CodecConfig, DataType, DataTypes, Feature, FeatureKind, Route, RouteBy
from modelserving.errors import ConfigurationError
from modelserving.wire.wine_pb2 import WineRecord
from tests.core.cases import PROJECT, TICKETS, load_text

DOCUMENTATION = PROJECT / "docs" / "data-types.md"
WINE_SET = PROJECT / "modelserving" / "wire" / "wine.binpb"


def table(name: str = "a", **changes: str) -> str:
    """The TOML of a valid data type, with some of its keys replaced, or removed by an empty text."""
    keys = {"codec": '"json"', "route": '{ by = "constant" }', "features": '[{ name = "x" }]'} | changes
    return f"[data_types.{name}]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items() if value)


def wine_table(name: str = "w", **changes: str) -> str:
    defaults = {
        "codec": '"protobuf"',
        "descriptor_set": '"wine.binpb"',
        "message": '"modelserving.WineRecord"',
        "route": '{ by = "field", field = "dataType" }',
        "features": '[{ name = "pH" }]',
    }
    return table(name, **(defaults | changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the wine descriptor set in it."""
    (tmp_path / "wine.binpb").write_bytes(WINE_SET.read_bytes())
    return tmp_path


def test_the_wine_example() -> None:
    (wine,) = load_data_types()
    assert wine.name == "wine"
    assert list(wine.feature_names) == [field.name for field in WineRecord.DESCRIPTOR.fields[:11]]
    assert all(feature == Feature(feature.name) for feature in wine.features)
    assert wine.route == Route(RouteBy.FIELD, "dataType", "wine")
    assert wine.codec == CodecConfig("protobuf", WINE_SET.read_bytes(), "modelserving.WineRecord")


def test_all_keys(tmp_path: Path) -> None:
    data_types = load_text(TICKETS, tmp_path)
    features = (Feature("amount"), Feature("product", FeatureKind.STRING), Feature("age", optional=True))
    assert data_types == DataTypes(
        (DataType("ticket", features, CodecConfig("json"), Route(RouteBy.KEY, "", "ticket")),)
    )


def test_travels_whole() -> None:
    data_types = load_data_types()
    assert pickle.loads(pickle.dumps(data_types)) == data_types  # noqa: S301


def test_look_up() -> None:
    data_types = load_data_types()
    assert data_types["wine"] is data_types.get("wine")
    assert data_types.get("beer") is None
    with pytest.raises(KeyError):
        data_types["beer"]


REFUSED = {
    "no TOML": ("[", "not a TOML file"),
    "no data types": ("", "data_types: is missing"),
    "empty table": ("[data_types]", "data_types: is empty"),
    "unknown key at the top": (table() + "[other]", "other: unknown key"),
    "unknown key of a data type": (table(color='"red"'), "data_types.a.color: unknown key"),
    "unknown key of a route": (table(route='{ by = "constant", fiel = "x" }'), "data_types.a.route.fiel: unknown key"),
    "field of a key route": (table(route='{ by = "key", field = "x" }'), "data_types.a.route.field: unknown key"),
    "value of a constant route": (table(route='{ by = "constant", value = "x" }'), "data_types.a.route.value: unknown"),
    "unknown key of a feature": (table(features='[{ name = "x", typ = "number" }]'), r"features\[0\].typ: unknown key"),
    "descriptor set with JSON": (table(descriptor_set='"x"'), "data_types.a.descriptor_set: unknown key"),
    "no codec": (table(codec=""), "data_types.a.codec: is missing"),
    "unknown codec": (table(codec='"avro"'), "data_types.a.codec: 'avro' is unknown; use one of protobuf, json"),
    "no route": (table(route=""), "data_types.a.route: is missing"),
    "route is no table": (table(route='"key"'), "data_types.a.route: must be a table"),
    "unknown route": (table(route='{ by = "topic" }'), "data_types.a.route.by: 'topic' is unknown; use one of field"),
    "field route without field": (table(route='{ by = "field" }'), "data_types.a.route.field: is missing"),
    "empty route value": (table(route='{ by = "key", value = "" }'), "data_types.a.route.value: is empty"),
    "no features": (table(features=""), "data_types.a.features: is missing"),
    "empty features": (table(features="[]"), "data_types.a.features: is empty"),
    "feature is no table": (table(features='["x"]'), r"data_types.a.features\[0\]: must be a table"),
    "feature without name": (table(features='[{ kind = "number" }]'), r"data_types.a.features\[0\].name: is missing"),
    "feature name is a number": (
        table(features="[{ name = 1 }]"),
        r"data_types.a.features\[0\].name: must be a string",
    ),
    "reserved feature name": (table(features='[{ name = "@key" }]'), "must not start with '@'"),
    "unknown kind": (table(features='[{ name = "x", kind = "float" }]'), "kind: 'float' is unknown; use one of number"),
    "optional is a string": (table(features='[{ name = "x", optional = "no" }]'), "optional: must be true or false"),
    "feature twice": (table(features='[{ name = "x" }, { name = "x" }]'), "data_types.a.features: 'x' is there twice"),
    "no descriptor set": (wine_table(descriptor_set=""), "data_types.w.descriptor_set: is missing"),
    "descriptor set not there": (wine_table(descriptor_set='"no.binpb"'), "descriptor_set: .*no.binpb cannot be read"),
    "descriptor set is something else": (wine_table(descriptor_set='"types.toml"'), "not a complete descriptor set"),
    "no message": (wine_table(message=""), "data_types.w.message: is missing"),
    "unknown message": (wine_table(message='"Beer"'), "data_types.w: message: 'Beer' is not in the descriptor set"),
    "feature not in the message": (wine_table(features='[{ name = "taste" }]'), "features: 'taste' is no field of"),
    "number feature on a string": (wine_table(features='[{ name = "dataType" }]'), 'set its kind to "string"'),
    "string feature on a number": (
        wine_table(features='[{ name = "pH", kind = "string" }]'),
        'set its kind to "number"',
    ),
    "route field not in the message": (
        wine_table(route='{ by = "field", field = "kind" }'),
        "route.field: 'kind' is no",
    ),
    "route field is a number": (
        wine_table(route='{ by = "field", field = "pH" }'),
        "route.field: 'pH' of .* is a number",
    ),
    "two constants": (table("a") + table("b"), "a and b are all constant, and only one can be"),
    "constant beside field": (table("a") + wine_table("w"), "a is constant and w routed by field"),
    "fields of two codecs": (
        table("a", route='{ by = "field", field = "dataType" }') + wine_table("w"),
        "a and w are routed by field, but not by the same field",
    ),
    "two fields of one codec": (
        table("a", route='{ by = "field", field = "f" }') + table("b", route='{ by = "field", field = "g" }'),
        "a and b are routed by field, but not by the same field",
    ),
    "same field value": (
        wine_table("v", route='{ by = "field", field = "dataType", value = "w" }') + wine_table("w"),
        "v and w have the same route value 'w'",
    ),
    "same key": (
        table("a", route='{ by = "key", value = "b" }') + table("b", route='{ by = "key" }'),
        "a and b have the same route value 'b'",
    ),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(folder: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        load_text(text, folder)
    assert str(caught.value).startswith(str(folder / "types.toml"))


def test_file_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no\.toml: cannot be read .*name an existing TOML file"):
        load_data_types(tmp_path / "no.toml")


def test_incomplete_descriptor_set(tmp_path: Path) -> None:
    from google.protobuf import descriptor_pb2

    files = descriptor_pb2.FileDescriptorSet()
    file = files.file.add(name="a.proto", syntax="proto3", dependency=["b.proto"])
    file.message_type.add(name="M")
    (tmp_path / "wine.binpb").write_bytes(files.SerializeToString())
    with pytest.raises(ConfigurationError, match=r"not a complete descriptor set.*include_imports"):
        load_text(wine_table(message='"M"'), tmp_path)


def test_proto2_is_refused(tmp_path: Path) -> None:
    from google.protobuf import descriptor_pb2

    files = descriptor_pb2.FileDescriptorSet()
    files.file.add(name="a.proto").message_type.add(name="M")
    (tmp_path / "wine.binpb").write_bytes(files.SerializeToString())
    with pytest.raises(ConfigurationError, match="'M' is not declared with proto3 syntax"):
        load_text(wine_table(message='"M"'), tmp_path)


def known_keys(text: str, folder: Path) -> set[str]:
    """What the error about an unknown key says is known."""
    with pytest.raises(ConfigurationError) as caught:
        load_text(text, folder)
    return set(str(caught.value).split("known here: ")[1].split(", "))


def test_documentation_has_every_key(folder: Path) -> None:
    text = DOCUMENTATION.read_text(encoding="utf-8")
    sections = {
        "data type": known_keys(wine_table(zzz="1"), folder),
        "`route`": known_keys(table(route='{ by = "field", zzz = 1 }'), folder),
        "feature": known_keys(table(features="[{ zzz = 1 }]"), folder),
    }
    for section, known in sections.items():
        (rows,) = re.findall(rf"\| key of (?:a )?{section} \|.*\n\| --- .*\n((?:\|.*\n)+)", text)
        assert set(re.findall(r"^\| `(\w+)` \|", rows, re.MULTILINE)) == known, section


def test_documentation_examples_load(tmp_path: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", DOCUMENTATION.read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    for example in examples:
        assert load_text(example, tmp_path).names

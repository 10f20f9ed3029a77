"""Models in buckets, S3's and Google's: written into a store, read by location, never out of another bucket."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from modelserving import locations, remote, stores
from modelserving.errors import ConfigurationError, ModelRejected
from modelserving.locations import model_sources, read
from modelserving.wire.serving_pb2 import Reason
from tests.stores import BUCKET, gs_server, s3_server

MODEL = b"the bytes of a model"
DIGEST = hashlib.sha256(MODEL).hexdigest()

Put = Callable[[str, bytes], None]


@pytest.fixture(scope="module", params=["s3", "gs"])
def server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The scheme of a running server."""
    with pytest.MonkeyPatch.context() as environment:
        serve = s3_server if request.param == "s3" else gs_server
        with serve(environment):
            yield request.param


@pytest.fixture(scope="module")
def client(server: str) -> Any:
    """A client of the server, which has the buckets `models` and `other`."""
    client = remote._bucket_system(server)
    client.mkdir(BUCKET)
    client.mkdir("other")
    return client


@pytest.fixture
def put(client: Any) -> Put:
    """Put bytes at BUCKET/KEY."""

    def put(key: str, data: bytes) -> None:
        client.pipe_file(key, data)

    return put


def reason(location: str, *roots: str) -> Reason:
    with pytest.raises(ModelRejected) as caught:
        read(location, model_sources(roots))
    return caught.value.reason


@pytest.mark.parametrize("root", ["{scheme}://models", "{scheme}://models/wine/", "{scheme}://models/wine/a b.pmml"])
def test_object_below_a_root(server: str, put: Put, root: str) -> None:
    put("models/wine/a b.pmml", MODEL)
    location = f"{server}://models/wine/a%20b.pmml"
    assert read(location, model_sources(["s3://nothing", root.format(scheme=server)])) == (MODEL, DIGEST)


def test_large_object(server: str, put: Put) -> None:
    """Larger than what clients read or write in one piece by themselves."""
    data = bytes(range(256)) * 4096 * 24
    put("models/large", data)
    assert read(f"{server}://models/large", model_sources([f"{server}://models"])) == (
        data,
        hashlib.sha256(data).hexdigest(),
    )


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("{scheme}://other/wine/secret", id="another bucket"),
        pytest.param("{scheme}://models/secret", id="outside the prefix"),
        pytest.param("{scheme}://models/wine-secret/m", id="prefix that begins like the root's"),
        pytest.param("{scheme}://models/wine/../secret", id="step up"),
        pytest.param("{scheme}://models/wine/%2e%2e/secret", id="escaped step up"),
        pytest.param("{scheme}://models/wine/../../other/wine/secret", id="step up to another bucket"),
        pytest.param("{scheme}://models/wine//secret", id="nothing between two slashes"),
        pytest.param("{scheme}://models/wine/m?versionId=1", id="query"),
        pytest.param("{scheme}://models/wine/m#1", id="fragment"),
        pytest.param("{scheme}://user@models/wine/m", id="user"),
        pytest.param("{scheme}://models:80/wine/m", id="port"),
        pytest.param("{other}://models/wine/m", id="the other kind of bucket"),
        pytest.param("s3a://models/wine/m", id="another name of S3"),
        pytest.param("gcs://models/wine/m", id="another name of Google's"),
        pytest.param("simplecache::{scheme}://models/wine/m", id="chained"),
        pytest.param("models/wine/m", id="no scheme"),
        pytest.param("{scheme}://models/wine/absent", id="no such object"),
        pytest.param("{scheme}://models/wine/folder", id="folder"),
        pytest.param("{scheme}://models/wine/*", id="wildcard"),
    ],
)
def test_refused(server: str, put: Put, location: str) -> None:
    for key in ("other/wine/secret", "models/secret", "models/wine-secret/m", "models/wine/m", "models/wine/folder/m"):
        put(key, MODEL)
    text = location.format(scheme=server, other={"s3": "gs", "gs": "s3"}[server])
    assert reason(text, f"{server}://models/wine") == Reason.LOCATION


def test_a_folder_names_the_remedy(server: str, put: Put) -> None:
    put("models/saved/saved_model.pb", MODEL)
    with pytest.raises(ModelRejected, match="put it there as an archive"):
        read(f"{server}://models/saved", model_sources([f"{server}://models"]))


def test_a_bucket_that_does_not_exist(server: str) -> None:
    assert reason(f"{server}://absent/m", f"{server}://absent") == Reason.LOCATION


def test_object_above_the_limit(server: str, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    put("models/m", MODEL)
    monkeypatch.setattr(locations, "MAX_MODEL_BYTES", len(MODEL))
    assert read(f"{server}://models/m", model_sources([f"{server}://models"])) == (MODEL, DIGEST)
    monkeypatch.setattr(locations, "MAX_MODEL_BYTES", len(MODEL) - 1)
    assert reason(f"{server}://models/m", f"{server}://models") == Reason.OVERSIZE


@pytest.mark.parametrize(
    "replacement",
    [MODEL.upper(), MODEL.upper() + MODEL, MODEL[:5], b""],
    ids=["same size", "longer", "shorter", "empty"],
)
def test_object_that_changes_between_two_looks(
    server: str, put: Put, monkeypatch: pytest.MonkeyPatch, replacement: bytes
) -> None:
    """Never a part of the one and a part of the other."""
    put("models/changing", MODEL)
    real = remote._bucket_system

    def system_with_changes(scheme: str) -> Any:
        system = real(scheme)
        really_read = system.cat_file

        def change_and_read(*arguments: Any, **options: Any) -> bytes:
            put("models/changing", replacement)
            data: bytes = really_read(*arguments, **options)
            return data

        system.cat_file = change_and_read
        return system

    monkeypatch.setattr(remote, "_bucket_system", system_with_changes)
    assert reason(f"{server}://models/changing", f"{server}://models") == Reason.LOCATION


def test_empty_object(server: str, put: Put) -> None:
    put("models/empty", b"")
    assert read(f"{server}://models/empty", model_sources([f"{server}://models"]))[0] == b""


@pytest.mark.parametrize("folders", [("wine", "tree"), ("a/b", "../c d"), (".", "50% #1?"), ("gut", "é::x\\y")])
@pytest.mark.usefixtures("client")
def test_store(server: str, folders: tuple[str, str]) -> None:
    """What is put into a store is read by its location; each folder is one component."""
    store = stores.parse(f"{server}://models/store")
    place = stores.place(store, folders, f"{DIGEST}.pmml")
    stores.put(place, MODEL)
    assert read(place.url, model_sources([f"{server}://models/store"])) == (MODEL, DIGEST)
    assert len(place.parts) == 4


def test_an_object_that_is_there_is_not_written_again(server: str, client: Any) -> None:
    place = stores.place(stores.parse(f"{server}://models/again"), ("wine", "m"), DIGEST)
    stores.put(place, MODEL)
    before = client.info(place.key)
    stores.put(place, MODEL)
    after = client.info(place.key)
    assert after == before


def test_an_object_of_another_size_is_written_again(server: str, put: Put) -> None:
    place = stores.place(stores.parse(f"{server}://models/half"), ("wine", "m"), DIGEST)
    put(place.key, MODEL[:5])
    stores.put(place, MODEL)
    assert read(place.url, model_sources([f"{server}://models"])) == (MODEL, DIGEST)


def test_a_store_that_is_not_there(server: str) -> None:
    place = stores.place(stores.parse(f"{server}://absent/store"), ("wine", "m"), DIGEST)
    with pytest.raises(ConfigurationError, match=rf"cannot be written to {server}://absent/store/wine/m/.*--store"):
        stores.put(place, MODEL)

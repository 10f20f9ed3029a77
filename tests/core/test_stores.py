"""A folder as store: models come into it whole, once, and under names of their own. Buckets: `test_buckets.py`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from modelserving import stores
from modelserving.errors import ConfigurationError
from modelserving.locations import model_sources, read

MODEL = b"the bytes of a model"


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_model_is_put_below_the_store(tmp_path: Path) -> None:
    place = stores.place(stores.parse(str(tmp_path)), ("wine", "tree"), "abc.pmml")
    stores.put(place, MODEL)
    assert files(tmp_path) == ["wine/tree/abc.pmml"]
    assert place.url == (tmp_path / "wine" / "tree" / "abc.pmml").as_uri()
    assert read(place.url, model_sources([str(tmp_path)]))[0] == MODEL
    assert os.stat(place.path).st_mode & 0o444 == 0o444


@pytest.mark.parametrize(
    "name", ["team/tree", "/tree", "..", ".", "...", "a/../b", "50%", "%2e%2e", "a b#?", "\\", "é"]
)
def test_each_name_is_one_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "store").mkdir()
    place = stores.place(stores.parse(str(tmp_path / "store")), ("wine", name), "abc")
    stores.put(place, MODEL)
    [(written)] = files(tmp_path)
    assert written.startswith("store/wine/")
    assert written.count("/") == 3
    assert read(place.url, model_sources([str(tmp_path / "store")]))[0] == MODEL


def test_names_stay_apart(tmp_path: Path) -> None:
    store = stores.parse(str(tmp_path))
    names = ["a/b", "a%2Fb", "a%252Fb", "a", "A", ".", "%2E"]
    assert len({stores.place(store, (name,), "abc") for name in names}) == len(names)


def test_a_model_that_is_there_is_left_alone(tmp_path: Path) -> None:
    place = stores.place(stores.parse(str(tmp_path)), ("wine", "tree"), "abc")
    stores.put(place, MODEL)
    before = place.path.stat()
    stores.put(place, MODEL)
    assert place.path.stat() == before


def test_a_file_of_another_size_is_replaced(tmp_path: Path) -> None:
    place = stores.place(stores.parse(str(tmp_path)), ("wine", "tree"), "abc")
    stores.put(place, MODEL[:5])
    stores.put(place, MODEL)
    assert place.path.read_bytes() == MODEL


def test_nothing_half_written_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    place = stores.place(stores.parse(str(tmp_path)), ("wine", "tree"), "abc")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(ConfigurationError, match=r"cannot be written to file://.*No space left on device"):
        stores.put(place, MODEL)
    assert files(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://store.example/models", "is no store: give a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX"),
        ("{folder}/absent", "is no root of models: it cannot be resolved"),
        ("ftp://store.example", "is no root of models"),
    ],
)
def test_no_stores(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        stores.parse(text.format(folder=tmp_path))

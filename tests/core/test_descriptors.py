"""From a message of the model log to a complete descriptor: what is refused, and what is filled in."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from modelserving.archive import folder_sha256, unpack
from modelserving.descriptors import MAX_MODEL_BYTES, MAX_NAME_CHARACTERS, ModelSources, complete, parse
from modelserving.errors import ModelRejected
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Reason
from tests.model_cases import GOOD, LINEAR, MALFORMED, changed

DIGEST = hashlib.sha256(LINEAR).hexdigest()


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(message: bytes | None) -> None:
    with pytest.raises(ModelRejected) as caught:
        parse(message)
    assert caught.value.reason == Reason.MALFORMED
    assert 0 < len(caught.value.detail) < 500


@pytest.mark.parametrize(
    "text",
    ["good.pmml", "team/good", "..good", "good..2", "gut & günstig", "1" * MAX_NAME_CHARACTERS],
    ids=["file name", "with a slash", "begins with ..", "has ..", "not ASCII", "as long as can be"],
)
def test_names_and_versions_that_look_odd(text: str) -> None:
    parsed = parse(changed(name=text, version=text))
    assert (parsed.name, parsed.version) == (text, text)


def test_the_reference_fields_are_enough() -> None:
    message = ModelDescriptor(name="a", description="b", dataType="wine", modeltype=ModelType.PMML, data=LINEAR)
    done = complete(parse(message.SerializeToString()), ModelSources())
    assert (done.sha256, done.version) == (DIGEST, DIGEST[:12])
    assert (done.name, done.description, done.dataType, done.data) == ("a", "b", "wine", LINEAR)


def test_what_the_producer_said_is_kept() -> None:
    done = complete(parse(changed(version="7", sha256=DIGEST.upper())), ModelSources())
    assert (done.sha256, done.version) == (DIGEST, "7")


def test_another_digest_than_the_bytes_have() -> None:
    with pytest.raises(ModelRejected) as caught:
        complete(parse(changed(sha256="ab" * 32)), ModelSources())
    assert caught.value.reason == Reason.CONFLICT
    assert DIGEST in caught.value.detail


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A model root with a model file and a model folder; beside it a file that is none of the job's business."""
    folder = tmp_path / "root"
    (folder / "saved" / "variables").mkdir(parents=True)
    (folder / "saved" / "saved_model.pb").write_bytes(b"graph")
    (folder / "saved" / "variables" / "variables.index").write_bytes(b"index")
    (folder / "linear model.pmml").write_bytes(LINEAR)
    (tmp_path / "secret").write_bytes(b"secret")
    return folder


def by_location(location: str, *roots: Path, sha256: str = "") -> ModelDescriptor:
    return complete(parse(changed(location=location, sha256=sha256)), ModelSources(roots))


@pytest.mark.parametrize("form", ["{}", "file://{}", "file://localhost{}"])
def test_file_below_a_root(root: Path, form: str) -> None:
    path = str(root / "linear model.pmml")
    done = by_location(form.format(path if form == "{}" else path.replace(" ", "%20")), root.parent / "other", root)
    assert (done.data, done.sha256) == (LINEAR, DIGEST)


def test_folder_below_a_root(root: Path, tmp_path: Path) -> None:
    done = by_location(f"file://{root}/saved", root, sha256=folder_sha256(root / "saved"))
    assert done.sha256 == folder_sha256(root / "saved")
    assert done.version == done.sha256[:12]
    (tmp_path / "unpacked").mkdir()
    unpack(done.data, tmp_path / "unpacked")
    assert folder_sha256(tmp_path / "unpacked") == done.sha256


def test_folder_with_another_digest(root: Path) -> None:
    with pytest.raises(ModelRejected) as caught:
        by_location(str(root / "saved"), root, sha256=DIGEST)
    assert caught.value.reason == Reason.CONFLICT


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("file:///etc/passwd", id="file:///etc/passwd"),
        pytest.param("{root}/../secret", id="bare path outside the roots"),
        pytest.param("file://{root}/../secret", id="URL outside the roots"),
        pytest.param("file://{root}/%2e%2e/secret", id="escaped dots"),
        pytest.param("{root}-2/model", id="folder that begins like a root"),
        pytest.param("{root}/absent", id="no such file"),
        pytest.param("{root}/link", id="symlink out of the root"),
        pytest.param("{root}/loop", id="symlink to itself"),
        pytest.param("{root}/pipe", id="pipe"),
        pytest.param("saved", id="relative path"),
        pytest.param("file:saved", id="relative URL"),
        pytest.param("file://elsewhere{root}/saved", id="another host's file"),
        pytest.param("{root}/saved\0", id="NUL"),
        pytest.param("{root}/saved%00", id="bare path with an escape"),
        pytest.param("file://[", id="broken URL"),
        pytest.param("http://127.0.0.1:1/model", id="http"),
        pytest.param("s3://bucket/model", id="bucket"),
        pytest.param("local:{root}/saved", id="local:"),
        pytest.param("simplecache::file://{root}/saved", id="chained URL"),
        pytest.param("/" + "x" * 100_000, id="a path of 100 kB"),
    ],
)
def test_locations_refused(root: Path, location: str) -> None:
    (root / "link").symlink_to(root.parent / "secret")
    (root / "loop").symlink_to(root / "loop")
    (root.parent / "root-2").mkdir()
    (root.parent / "root-2" / "model").write_bytes(LINEAR)
    os.mkfifo(root / "pipe")
    with pytest.raises(ModelRejected) as caught:
        by_location(location.replace("{root}", str(root)), root)
    assert caught.value.reason == Reason.LOCATION


def test_no_location_is_allowed_without_a_root(root: Path) -> None:
    with pytest.raises(ModelRejected, match="--model-root") as caught:
        by_location(str(root / "saved"))
    assert caught.value.reason == Reason.LOCATION


def test_symlink_that_stays_below_the_root(root: Path) -> None:
    (root / "newest.pmml").symlink_to(root / "linear model.pmml")
    assert by_location(str(root / "newest.pmml"), root).data == LINEAR


def test_symlink_out_of_a_folder(root: Path) -> None:
    (root / "saved" / "assets").symlink_to(root.parent)
    with pytest.raises(ModelRejected) as caught:
        by_location(str(root / "saved"), root)
    assert caught.value.reason == Reason.UNSAFE


def test_file_whose_name_is_no_text(root: Path) -> None:
    (root / "saved" / os.fsdecode(b"\xff")).write_bytes(b"")
    with pytest.raises(ModelRejected) as caught:
        by_location(str(root / "saved"), root)
    assert caught.value.reason == Reason.LOCATION


def test_good_message_is_parsed() -> None:
    assert parse(GOOD) == ModelDescriptor.FromString(GOOD)


def test_location_above_the_limit_is_oversize(tmp_path: Path) -> None:
    with (tmp_path / "model").open("wb") as file:
        file.truncate(MAX_MODEL_BYTES + 1)
    with pytest.raises(ModelRejected, match="at most") as caught:
        complete(parse(changed(location=str(tmp_path / "model"))), ModelSources((tmp_path,)))
    assert caught.value.reason == Reason.OVERSIZE

"""From a message of the model log to a complete descriptor: what is refused, and what is filled in."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from modelserving import archive
from modelserving.archive import read_folder
from modelserving.descriptors import MAX_NAME_CHARACTERS, ModelSources, complete, parse
from modelserving.errors import ModelRejected
from modelserving.locations import MAX_MODEL_BYTES, model_sources
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


def test_model_by_location(tmp_path: Path) -> None:
    (tmp_path / "linear.pmml").write_bytes(LINEAR)
    message = changed(location=str(tmp_path / "linear.pmml"), sha256=DIGEST.upper())
    done = complete(parse(message), model_sources([str(tmp_path)]))
    assert (done.data, done.sha256, done.version) == (LINEAR, DIGEST, DIGEST[:12])
    assert done.location == ""


def test_folder_by_location(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(b"graph")
    done = complete(parse(changed(location=str(tmp_path / "saved"))), model_sources([str(tmp_path)]))
    assert (done.data, done.sha256) == read_folder(tmp_path / "saved")
    again = changed(location=str(tmp_path / "saved"), sha256=done.sha256)
    assert complete(parse(again), model_sources([str(tmp_path)])) == done


@pytest.mark.parametrize("name", ["linear.pmml", "saved"])
def test_another_digest_than_what_is_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "linear.pmml").write_bytes(LINEAR + b" ")
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "saved_model.pb").write_bytes(LINEAR)
    with pytest.raises(ModelRejected) as caught:
        complete(parse(changed(location=str(tmp_path / name), sha256=DIGEST)), model_sources([str(tmp_path)]))
    assert caught.value.reason == Reason.CONFLICT


def test_location_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that changes between two reads never gets a digest of other bytes than it brings."""
    path = tmp_path / "m"
    path.write_bytes(LINEAR)
    really_read = archive.read_file

    def read_and_change(path: Path, limit: int) -> bytes:
        data = really_read(path, limit)
        path.write_bytes(b"changed")
        return data

    monkeypatch.setattr(archive, "read_file", read_and_change)
    done = complete(parse(changed(location=str(path))), model_sources([str(tmp_path)]))
    assert (done.data, done.sha256) == (LINEAR, DIGEST)


@pytest.mark.parametrize("location", ["file:///etc/passwd", "models\0", "/" + "x" * 100_000])
def test_location_that_is_refused(tmp_path: Path, location: str) -> None:
    with pytest.raises(ModelRejected) as caught:
        complete(parse(changed(location=location)), model_sources([str(tmp_path)]))
    assert caught.value.reason == Reason.LOCATION


def test_location_above_the_limit(tmp_path: Path) -> None:
    with (tmp_path / "model").open("wb") as file:
        file.truncate(MAX_MODEL_BYTES + 1)
    with pytest.raises(ModelRejected, match="at most") as caught:
        complete(parse(changed(location=str(tmp_path / "model"))), model_sources([str(tmp_path)]))
    assert caught.value.reason == Reason.OVERSIZE


def test_good_message_is_parsed() -> None:
    assert parse(GOOD) == ModelDescriptor.FromString(GOOD)

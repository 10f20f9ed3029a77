"""`modelserving publish` puts what the job needs on the model log, and refuses what it cannot use."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from modelserving import archive
from modelserving.cli import publish as publish_module
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from tests.cli.conftest import ReadTopic, Run

MODEL = b"the bytes of a model"
SHA256 = hashlib.sha256(MODEL).hexdigest()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.pmml"
    path.write_bytes(MODEL)
    return path


def test_file_becomes_a_descriptor(run: Run, read_topic: ReadTopic, topics: Topics, model: Path) -> None:
    done = run("publish", model, "--name", "tree", "--data-type", "wine", "--description", "a tree")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == ["name", "tree", "version", SHA256[:12], "sha256", SHA256, "offset", "0"]
    [(key, message)] = read_topic(topics.models)
    sent = ModelDescriptor.FromString(message)
    assert key == b"wine"
    assert sent.created_at_ms > 0
    assert sent == ModelDescriptor(
        name="tree",
        description="a tree",
        dataType="wine",
        modeltype=ModelType.PMML,
        data=MODEL,
        version=SHA256[:12],
        sha256=SHA256,
        created_at_ms=sent.created_at_ms,
    )


def test_version_may_be_given(run: Run, read_topic: ReadTopic, topics: Topics, model: Path) -> None:
    assert run("publish", model, "--name", "m", "--data-type", "wine", "--version", "7").exit_code == 0
    done = run("publish", model, "--name", "m", "--data-type", "wine", "--version", "8")
    assert done.stdout.split()[-1] == "1"
    assert [ModelDescriptor.FromString(value).version for _, value in read_topic(topics.models)] == ["7", "8"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.pmml", ModelType.PMML),
        ("A.PMML", ModelType.PMML),
        ("a.pb", ModelType.TENSORFLOW),
        ("a.zip", ModelType.TENSORFLOWSAVED),
        ("a.tar", ModelType.TENSORFLOWSAVED),
        ("a.tar.gz", ModelType.TENSORFLOWSAVED),
    ],
)
def test_suffix_tells_the_type(
    run: Run, read_topic: ReadTopic, topics: Topics, tmp_path: Path, name: str, kind: ModelType
) -> None:
    (tmp_path / name).write_bytes(MODEL)
    assert run("publish", tmp_path / name, "--name", "m", "--data-type", "wine").exit_code == 0
    [(_, message)] = read_topic(topics.models)
    assert ModelDescriptor.FromString(message).modeltype == kind


def test_type_goes_before_the_suffix(run: Run, read_topic: ReadTopic, topics: Topics, model: Path) -> None:
    assert run("publish", model, "--name", "m", "--data-type", "wine", "--type", "tensorflow").exit_code == 0
    [(_, message)] = read_topic(topics.models)
    assert ModelDescriptor.FromString(message).modeltype == ModelType.TENSORFLOW


def test_folder_is_packed(run: Run, read_topic: ReadTopic, topics: Topics, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    assert run("publish", folder, "--name", "m", "--data-type", "wine").exit_code == 0
    [(_, message)] = read_topic(topics.models)
    sent = ModelDescriptor.FromString(message)
    assert sent.modeltype == ModelType.TENSORFLOWSAVED
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    archive.unpack(sent.data, unpacked)
    assert (unpacked / "variables" / "variables.index").read_bytes() == b"index"


def test_location_is_sent_as_it_is(run: Run, read_topic: ReadTopic, topics: Topics) -> None:
    done = run("publish", "--location", "file:///models/a.pmml", "--name", "m", "--data-type", "wine")
    assert done.exit_code == 0, done.output
    [(_, message)] = read_topic(topics.models)
    sent = ModelDescriptor.FromString(message)
    assert (sent.location, sent.data, sent.version, sent.sha256) == ("file:///models/a.pmml", b"", "", "")


def test_model_above_the_limit_is_refused(
    run: Run, read_topic: ReadTopic, topics: Topics, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The file alone is within the limit, the message that it makes is not.
    monkeypatch.setattr(publish_module, "MAX_MESSAGE_BYTES", len(MODEL))
    done = run("publish", model, "--name", "m", "--data-type", "wine")
    assert done.exit_code == 1
    assert f"above the limit of {len(MODEL)}" in done.stderr
    assert "--location" in done.stderr
    assert read_topic(topics.models) == []


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["m.pmml", "--name", "../x"], 1, "name '../x' has a step up"),
        (["m.pmml", "--name", "a\nb"], 1, "has a control character"),
        (["m.pmml", "--name", "x" * 10_000], 1, "name has 10000 characters"),
        (["m.pmml", "--name", ""], 1, "name is missing"),
        (["empty.pmml", "--name", "m"], 1, "empty.pmml is empty: give the file of a model"),
        (["m.txt", "--name", "m"], 2, "does not tell what kind of model it is: give --type"),
        (["--location", "file:///models/1", "--name", "m"], 2, "does not tell what kind of model it is: give --type"),
        (["--name", "m"], 2, "give either FILE or --location"),
        (["m.pmml", "--location", "/m.pmml", "--name", "m"], 2, "give either FILE or --location"),
        (["nothing.pmml", "--name", "m"], 2, "'nothing.pmml' does not exist"),
        (["m.pmml"], 2, "Missing option '--name'"),
        (["m.pmml", "--name", "m", "--type", "onnx"], 2, "'onnx' is not one of"),
    ],
)
def test_wrong_use_is_one_line(
    run: Run,
    read_topic: ReadTopic,
    topics: Topics,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    exit_code: int,
    message: str,
) -> None:
    for name, data in {"m.pmml": MODEL, "m.txt": MODEL, "empty.pmml": b""}.items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    done = run("publish", *arguments, "--data-type", "wine")
    assert done.exit_code == exit_code
    assert message in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert read_topic(topics.models) == []

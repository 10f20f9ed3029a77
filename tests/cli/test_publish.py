"""`modelserving publish` puts what the job needs on the model log, and refuses what it cannot use."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from s3fs import S3FileSystem

from modelserving import archive, descriptors
from modelserving.cli import publish as publish_module
from modelserving.locations import model_sources
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from tests.cli.conftest import ReadTopic, Run
from tests.stores import BUCKET, s3_server

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
    assert "--store" in done.stderr
    assert "--location" in done.stderr
    assert read_topic(topics.models) == []


@pytest.fixture
def small_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A descriptor fits a message, a model does not."""
    monkeypatch.setattr(publish_module, "MAX_MESSAGE_BYTES", 1000)


LARGE = MODEL * 100
LARGE_SHA256 = hashlib.sha256(LARGE).hexdigest()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.usefixtures("small_messages")
@pytest.mark.parametrize("form", ["option", "URL", "environment variable"])
def test_large_model_goes_into_the_store(
    run: Run,
    read_topic: ReadTopic,
    topics: Topics,
    tmp_path: Path,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    form: str,
) -> None:
    (tmp_path / "Large.PMML").write_bytes(LARGE)
    arguments = {"option": ["--store", str(store)], "URL": ["--store", store.as_uri()]}.get(form, [])
    if form == "environment variable":
        monkeypatch.setenv("MODELSERVING_STORE", str(store))
    done = run("publish", tmp_path / "Large.PMML", "--name", "tree", "--data-type", "wine", *arguments)
    assert done.exit_code == 0, done.output
    assert files(store) == [f"wine/tree/{LARGE_SHA256}.pmml"]
    [(_, message)] = read_topic(topics.models)
    sent = ModelDescriptor.FromString(message)
    assert sent.location in done.stdout
    assert (sent.data, sent.sha256, sent.version) == (b"", LARGE_SHA256, LARGE_SHA256[:12])
    complete = descriptors.complete(descriptors.parse(message), model_sources([str(store)]))
    assert complete.data == LARGE


@pytest.mark.usefixtures("small_messages")
def test_large_folder_goes_into_the_store_as_an_archive(
    run: Run, read_topic: ReadTopic, topics: Topics, tmp_path: Path, store: Path
) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "saved_model.pb").write_bytes(LARGE)
    done = run("publish", folder, "--name", "m", "--data-type", "wine", "--version", "7", "--store", store)
    assert done.exit_code == 0, done.output
    [(_, message)] = read_topic(topics.models)
    sent = descriptors.complete(descriptors.parse(message), model_sources([str(store)]))
    assert (sent.version, sent.modeltype) == ("7", ModelType.TENSORFLOWSAVED)
    assert files(store) == [f"wine/m/{sent.sha256}.tar"]
    (tmp_path / "unpacked").mkdir()
    archive.unpack(sent.data, tmp_path / "unpacked")
    assert (tmp_path / "unpacked" / "saved_model.pb").read_bytes() == LARGE


@pytest.mark.usefixtures("small_messages")
def test_published_again_is_not_stored_again(
    run: Run, read_topic: ReadTopic, topics: Topics, tmp_path: Path, store: Path
) -> None:
    (tmp_path / "large.pmml").write_bytes(LARGE)
    arguments = ("publish", tmp_path / "large.pmml", "--name", "m", "--data-type", "wine", "--store", store)
    run(*arguments)
    [stored] = files(store)
    before = (store / stored).stat()
    assert run(*arguments).exit_code == 0
    assert files(store) == [stored]
    assert (store / stored).stat() == before
    assert len({ModelDescriptor.FromString(message).location for _, message in read_topic(topics.models)}) == 1


def test_small_model_stays_out_of_the_store(
    run: Run, read_topic: ReadTopic, topics: Topics, model: Path, store: Path
) -> None:
    assert run("publish", model, "--name", "m", "--data-type", "wine", "--store", store).exit_code == 0
    assert files(store) == []
    [(_, message)] = read_topic(topics.models)
    assert ModelDescriptor.FromString(message).data == MODEL


@pytest.mark.usefixtures("small_messages")
def test_large_model_goes_into_a_bucket(
    run: Run, read_topic: ReadTopic, topics: Topics, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "large.pmml").write_bytes(LARGE)
    with s3_server(monkeypatch):
        S3FileSystem(skip_instance_cache=True).mkdir(BUCKET)
        done = run(
            "publish", tmp_path / "large.pmml", "--name", "a/b", "--data-type", "wine", "--store", f"s3://{BUCKET}/m"
        )
        assert done.exit_code == 0, done.output
        [(_, message)] = read_topic(topics.models)
        sent = descriptors.complete(descriptors.parse(message), model_sources([f"s3://{BUCKET}/m"]))
    assert sent.data == LARGE


@pytest.mark.usefixtures("small_messages")
def test_what_the_job_would_refuse_is_not_stored(
    run: Run,
    read_topic: ReadTopic,
    topics: Topics,
    tmp_path: Path,
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "large.pmml").write_bytes(LARGE)
    arguments = ("publish", tmp_path / "large.pmml", "--data-type", "wine", "--store", store)
    assert "has a step up" in run(*arguments, "--name", "../m").stderr
    monkeypatch.setattr(publish_module, "MAX_MODEL_BYTES", len(LARGE) - 1)
    done = run(*arguments, "--name", "m")
    assert done.exit_code == 1
    assert f"above the limit of {len(LARGE) - 1} for the job" in done.stderr
    assert files(store) == []
    assert read_topic(topics.models) == []


@pytest.mark.usefixtures("small_messages")
def test_store_that_cannot_be_written(
    run: Run, read_topic: ReadTopic, topics: Topics, tmp_path: Path, store: Path
) -> None:
    (tmp_path / "large.pmml").write_bytes(LARGE)
    (store / "wine").write_bytes(b"a file where a folder is due")
    done = run("publish", tmp_path / "large.pmml", "--name", "m", "--data-type", "wine", "--store", store)
    assert done.exit_code == 1
    assert "cannot be written to file://" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert read_topic(topics.models) == []


@pytest.mark.parametrize(
    ("text", "expected_ms"),
    [
        ("2027-01-31T06:00:00Z", 1801375200000),
        ("2027-01-31T06:00+01:00", 1801371600000),
        ("2027-01-31 06:00:00.250-05:00", 1801393200250),
        ("1801375200000", 1801375200000),
    ],
)
def test_activation_time(
    run: Run, read_topic: ReadTopic, topics: Topics, model: Path, text: str, expected_ms: int
) -> None:
    done = run("publish", model, "--name", "m", "--data-type", "wine", "--activate-at", text)
    assert done.exit_code == 0, done.output
    [(_, message)] = read_topic(topics.models)
    assert ModelDescriptor.FromString(message).activation_ms == expected_ms


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
        (["m.pmml", "--name", "m", "--store", "absent"], 2, "'absent' is no root of models"),
        (["m.pmml", "--name", "m", "--store", "http://store.example/"], 2, "is no store: give a folder, s3://"),
        (["m.pmml", "--name", "m", "--activate-at", "tomorrow"], 2, "neither ISO 8601 nor epoch milliseconds"),
        (["m.pmml", "--name", "m", "--activate-at", "2027-01-31T06:00"], 2, "has no time zone: add Z"),
        (["m.pmml", "--name", "m", "--activate-at", "1801375200"], 2, "neither ISO 8601 nor epoch milliseconds"),
        (["m.pmml", "--name", "m", "--activate-at", "-1"], 2, "neither ISO 8601 nor epoch milliseconds"),
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

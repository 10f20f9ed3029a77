"""`modelserving retire` puts a retirement on the model log, and refuses what the job would."""

from __future__ import annotations

import pytest

from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor
from tests.cli.conftest import ReadTopic, Run


@pytest.mark.parametrize("version", ["", "7"], ids=["all versions", "one version"])
def test_retirement_goes_to_the_model_log(run: Run, read_topic: ReadTopic, topics: Topics, version: str) -> None:
    chosen = ["--version", version] if version else []
    done = run("retire", "--name", "tree", "--data-type", "wine", *chosen)
    assert (done.exit_code, done.stdout.split()) == (0, ["offset", "0"])
    [(key, message)] = read_topic(topics.models)
    sent = ModelDescriptor.FromString(message)
    assert key == b"wine"
    assert sent.created_at_ms > 0
    assert sent == ModelDescriptor(
        name="tree", dataType="wine", version=version, retire=True, created_at_ms=sent.created_at_ms
    )


def test_offset_is_told(run: Run) -> None:
    done = [run("retire", "--name", "tree", "--data-type", "wine") for _ in range(3)]
    assert [each.stdout.split()[-1] for each in done] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--name", "../x", "--data-type", "wine"], "name '../x' has a step up"),
        (["--name", "a\nb", "--data-type", "wine"], "name 'a\\nb' has a control character"),
        (["--name", "", "--data-type", "wine"], "name is missing"),
        (["--name", "tree", "--data-type", ""], "dataType is missing"),
        (["--name", "tree", "--data-type", "wine", "--version", "1" * 10_000], "version has 10000 characters"),
    ],
    ids=["step up", "newline", "no name", "no data type", "long version"],
)
def test_bad_arguments_are_one_line_and_nothing_is_sent(
    run: Run, read_topic: ReadTopic, topics: Topics, arguments: list[str], message: str
) -> None:
    done = run("retire", *arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert read_topic(topics.models) == []


@pytest.mark.parametrize("missing", ["--name", "--data-type"])
def test_what_to_retire_must_be_told(run: Run, read_topic: ReadTopic, topics: Topics, missing: str) -> None:
    given = {"--name": "tree", "--data-type": "wine"}
    done = run("retire", *(word for option, value in given.items() if option != missing for word in (option, value)))
    assert done.exit_code == 2
    assert missing in done.stderr
    assert read_topic(topics.models) == []

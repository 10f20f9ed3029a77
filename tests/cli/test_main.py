"""What holds for every command: documented, strict about its options, errors in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from jobs.model_serving import main as job
from jobs.speculative_serving import main as speculative_job
from modelserving.cli.main import main
from modelserving.local.broker import LocalBroker, free_port
from tests.cli.conftest import Run

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "commands.md"


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name, child in command.commands.items():
            yield from commands(child, f"{path} {name}")
    else:
        yield path, command


COMMANDS = {
    **dict(commands(main, "modelserving")),
    "python jobs/model_serving.py": job,
    "python jobs/speculative_serving.py": speculative_job,
}


def sections() -> dict[str, str]:
    parts = re.split(r"^## `(.+)`$", DOCUMENTATION.read_text(encoding="utf-8"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _documented_name(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return parameter.opts[0]
    return parameter.metavar or parameter.human_readable_name


def test_every_command_is_documented_and_no_other() -> None:
    assert list(sections()) == list(COMMANDS)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_is_documented_and_no_other(path: str) -> None:
    rows = re.findall(r"^\| `([^`]+)` \| (.*) \|$", sections()[path], flags=re.M)
    documented = {first.split()[0]: (first, text) for first, text in rows}
    assert len(documented) == len(rows)
    command = COMMANDS[path]
    context = click.Context(command, **command.context_settings)
    expected = {_documented_name(parameter): parameter for parameter in command.params}
    assert set(documented) == set(expected)
    for name, parameter in expected.items():
        first, text = documented[name]
        if isinstance(parameter.type, click.Choice):
            missing = [choice for choice in parameter.type.choices if f"`{choice}`" not in text]
            assert not missing, f"choices of {name}"
        if isinstance(parameter, click.Option):
            assert ("required" in text) == parameter.required, name
            assert (len(first.split()) == 1) == parameter.is_flag, name
            default = parameter.get_default(context, call=False)
            if parameter.show_default and default not in ("", None):
                assert f"default `{default}`" in text, name
            if parameter.envvar:
                assert f"`{parameter.envvar}`" in text, name


def test_documentation_names_no_option_that_does_not_exist() -> None:
    real = {option for command in COMMANDS.values() for parameter in command.params for option in parameter.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", DOCUMENTATION.read_text(encoding="utf-8")))
    assert named <= real | {"--help", "--version"}


@pytest.mark.parametrize("path", COMMANDS)
def test_help_answers(path: str) -> None:
    done = CliRunner().invoke(COMMANDS[path], ["--help"])
    assert done.exit_code == 0
    assert done.stdout.startswith("Usage: ")


@pytest.mark.parametrize("path", COMMANDS)
def test_unknown_option_fails(path: str) -> None:
    done = CliRunner().invoke(COMMANDS[path], ["--no-such-option"])
    assert done.exit_code == 2
    assert "--no-such-option" in done.stderr


def test_version() -> None:
    done = CliRunner().invoke(main, ["--version"])
    assert done.stdout.split()[-1] == version("modelserving")


@pytest.mark.parametrize("command", ["publish", "retire", "send", "tail"])
def test_unreachable_broker_is_one_line(command: str, tmp_path: Path) -> None:
    (tmp_path / "m.pmml").write_text("model")
    (tmp_path / "r.csv").write_text(";".join(["1"] * 11))
    arguments = {
        "publish": [str(tmp_path / "m.pmml"), "--name", "m", "--data-type", "wine"],
        "retire": ["--name", "m", "--data-type", "wine"],
        "send": [str(tmp_path / "r.csv"), "--data-type", "wine"],
        "tail": ["results"],
    }
    address = f"127.0.0.1:{free_port()}"
    done = CliRunner().invoke(main, [command, *arguments[command], "--bootstrap-servers", address])
    assert done.exit_code == 1
    assert re.fullmatch(rf"Error: Kafka at {address}: .*--bootstrap-servers right\?\n", done.stderr)


@pytest.mark.parametrize(
    "command", [["tail", "models"], ["send", __file__, "--data-type", "wine"]], ids=["tail", "send"]
)
def test_wrong_prefix_is_a_usage_error(run: Run, command: list[str]) -> None:
    done = run(*command, "--topic-prefix", "a b")
    assert done.exit_code == 2
    assert "is no topic prefix" in done.stderr


def test_missing_topics_name_the_remedy(run: Run, broker: LocalBroker) -> None:
    done = run("tail", "models", "--topic-prefix", "none-")
    assert done.exit_code == 1
    missing = "none-rejected-models, none-model-events, none-serving-stats"
    assert f"{missing} at {broker.bootstrap_servers}: create what is missing" in done.stderr

"""Policies as files: what they state, and what is told of those that cannot be sent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelserving.errors import ConfigurationError
from modelserving.speculative.policy_file import read_policy_file
from modelserving.wire.speculative_pb2 import Average, Rule, SpeculativeControl

TOML = """
datatype = "wine"
tmout = 50
models = ["forest", "net", "tree"]
rule = "COMBINED"
quorum = 2
tolerance = 0.5
average = "MEAN"
default_number = 0
challengers = ["next"]
shadow = 0.1

[limits]
window_ms = 60_000
disagreement = 0.05
roll_back = true
"""
STATED = SpeculativeControl(
    datatype="wine",
    tmout=50,
    models=["forest", "net", "tree"],
    rule=Rule.COMBINED,
    quorum=2,
    tolerance=0.5,
    average=Average.MEAN,
    default_number=0,
    challengers=["next"],
    shadow=0.1,
    limits={"window_ms": 60_000, "disagreement": 0.05, "roll_back": True},
)


def written(folder: Path, text: str, name: str = "policy.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_toml(tmp_path: Path) -> None:
    assert read_policy_file(written(tmp_path, TOML)) == STATED


def test_json(tmp_path: Path) -> None:
    text = '{"datatype": "wine", "tmout": 100, "models": ["smart", "fast"], "default_label": "5"}'
    read = read_policy_file(written(tmp_path, text, "policy.JSON"))
    assert read == SpeculativeControl(datatype="wine", tmout=100, models=["smart", "fast"], default_label="5")


def test_a_decider_is_for_the_job_to_know(tmp_path: Path) -> None:
    text = 'datatype = "wine"\ntmout = 50\nmodels = ["a"]\ndecider = "no_such_module:decide"'
    assert read_policy_file(written(tmp_path, text)).decider == "no_such_module:decide"


LEAST = 'datatype = "wine"\ntmout = 50\nmodels = ["a", "b"]\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("datatype = ", "not a TOML file: "),
        (LEAST + "qorum = 1", "qorum: unknown key; known here: average, canary, "),
        (LEAST + 'rule = "BEST"', "rule: 'BEST' is unknown; use one of TRUST, CONSENSUS, QUALITY, COMBINED"),
        (LEAST + "rule = []", "rule: [] is unknown; use one of TRUST"),
        (LEAST + 'action = "PROMOTE"', "`modelserving policy promote` and `rollback` send one"),
        (LEAST + 'previous = "c"', "previous: unknown key"),
        (LEAST + 'rule = "CONSENSUS"\nquorum = 3', "quorum: 3 of 2 models can never agree; ask for 2 at most"),
        (LEAST + "quorum = 1.5", "quorum"),
        (LEAST + "shadow = 2026-01-01", "shadow"),
        (LEAST + "limits = 3", "limits"),
        (LEAST + "[limits]\nwindow = 3", "limits.window: unknown key; known here: disagreement, errors, "),
        (LEAST + "[limits]\nwindow_ms = 3", "limits: are of no use without challengers"),
        (LEAST + 'challengers = ["c"]\nshadow = nan', "shadow"),
        (LEAST + "default_number = 1\ndefault_label = ''", "default"),
        ('datatype = "wine"\ntmout = 0\nmodels = ["a"]', "tmout: must be from 1 to 600000 ms, not 0"),
        ('tmout = 1\nmodels = ["a"]', "datatype: is empty; name the data type that the policy is for"),
        ("", "datatype: is empty"),
    ],
)
def test_what_is_wrong_is_told_with_the_file(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as raised:
        read_policy_file(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("text", "told"), [("{", "not a JSON file: "), ("[1]", "not an object; ")])
def test_json_that_is_none(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        read_policy_file(written(tmp_path, text, "policy.json"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(ConfigurationError, match=r"cannot be read .*; name an existing file"):
            read_policy_file(path)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="not a TOML file"):
        read_policy_file(path)


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^    datatype = .*\n(?:    .*\n)*", text, flags=re.M)
    assert read_policy_file(written(tmp_path, example)).rule == Rule.COMBINED

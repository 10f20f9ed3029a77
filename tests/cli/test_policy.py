"""`modelserving policy` puts policies and actions on the control stream, and refuses what the job would."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelserving.local.broker import LocalBroker, free_port
from modelserving.topics import Topics
from modelserving.wire.speculative_pb2 import RolloutAction, SpeculativeControl
from tests.cli.conftest import ReadTopic, Run

TOML = 'datatype = "wine"\ntmout = 50\nmodels = ["smart", "fast"]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(TOML)
    return path


def sent(read_topic: ReadTopic, topics: Topics) -> list[tuple[bytes | None, SpeculativeControl]]:
    return [(key, SpeculativeControl.FromString(value)) for key, value in read_topic(topics.speculative_control)]


def test_a_policy_goes_to_the_control_stream(run: Run, read_topic: ReadTopic, topics: Topics, file: Path) -> None:
    done = run("policy", "set", file)
    assert (done.exit_code, done.stdout.split()) == (0, ["offset", "0"])
    stated = SpeculativeControl(datatype="wine", tmout=50, models=["smart", "fast"])
    assert sent(read_topic, topics) == [(b"wine", stated)]


def test_actions(run: Run, read_topic: ReadTopic, topics: Topics) -> None:
    assert run("policy", "promote", "wine").stdout.split() == ["offset", "0"]
    assert run("policy", "rollback", "wine").stdout.split() == ["offset", "1"]
    actions = [RolloutAction.PROMOTE, RolloutAction.ROLL_BACK]
    assert sent(read_topic, topics) == [
        (b"wine", SpeculativeControl(datatype="wine", action=action)) for action in actions
    ]


def test_what_is_wrong_is_one_line_and_nothing_is_sent(
    run: Run, read_topic: ReadTopic, topics: Topics, file: Path
) -> None:
    file.write_text(TOML + 'rule = "CONSENSUS"\nquorum = 3')
    for arguments in (["set", file], ["set", file.with_name("none.toml")], ["promote", ""], ["rollback", ""]):
        done = run("policy", *arguments)
        assert done.exit_code == 1
        assert done.stderr.startswith("Error: ")
        assert len(done.stderr.splitlines()) == 1
    assert sent(read_topic, topics) == []


def test_a_missing_topic_names_the_remedy(run: Run, broker: LocalBroker, file: Path) -> None:
    done = run("policy", "set", file, "--topic-prefix", "none-")
    assert done.exit_code == 1
    assert f"no topic none-speculative-control at {broker.bootstrap_servers}: create what is missing" in done.stderr


def test_a_broker_that_is_away_is_one_line(run: Run, file: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    done = run("policy", "set", file, "--bootstrap-servers", address)
    assert done.exit_code == 1
    assert re.fullmatch(rf"Error: Kafka at {address}: .*--bootstrap-servers right\?\n", done.stderr)

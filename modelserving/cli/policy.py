"""`modelserving policy`: the policies of speculative serving, changed while the job runs."""

from __future__ import annotations

from pathlib import Path

import click

from modelserving import topics as topics_module
from modelserving.cli import sending
from modelserving.cli.options import BOOTSTRAP_SERVERS, TOPICS
from modelserving.errors import ConfigurationError
from modelserving.speculative.policy_file import read_policy_file
from modelserving.topics import Topics
from modelserving.wire.speculative_pb2 import RolloutAction, SpeculativeControl


@click.group()
def policy() -> None:
    """Which models are asked for the records of a data type, by when, and how their answers become one."""


@policy.command("set")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@BOOTSTRAP_SERVERS
@TOPICS
def set_policy(*, file: Path, bootstrap_servers: str, topics: Topics) -> None:
    """Have the policy of a file hold, in place of the one that its data type has; TOML, or JSON if so named."""
    _send(read_policy_file(file), bootstrap_servers, topics)


@policy.command()
@click.argument("data_type", metavar="DATA_TYPE")
@BOOTSTRAP_SERVERS
@TOPICS
def promote(*, data_type: str, bootstrap_servers: str, topics: Topics) -> None:
    """Have the first challenger take the champion's place: that of the first model."""
    _act(data_type, RolloutAction.PROMOTE, bootstrap_servers, topics)


@policy.command()
@click.argument("data_type", metavar="DATA_TYPE")
@BOOTSTRAP_SERVERS
@TOPICS
def rollback(*, data_type: str, bootstrap_servers: str, topics: Topics) -> None:
    """Drop the challengers; if there are none, undo the promotion before."""
    _act(data_type, RolloutAction.ROLL_BACK, bootstrap_servers, topics)


def _act(data_type: str, action: RolloutAction, bootstrap_servers: str, topics: Topics) -> None:
    if not data_type:
        raise ConfigurationError("DATA_TYPE is empty; name the data type whose policy is meant")
    _send(SpeculativeControl(datatype=data_type, action=action), bootstrap_servers, topics)


def _send(control: SpeculativeControl, bootstrap_servers: str, topics: Topics) -> None:
    topics_module.check(bootstrap_servers, topics, (topics.speculative_control,))
    key = control.datatype.encode()
    offset = sending.append(topics.speculative_control, key, control.SerializeToString(), bootstrap_servers)
    click.echo(f"offset   {offset}")

"""`modelserving local`: a Kafka broker on this machine, with the topics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from modelserving import topics as topics_module
from modelserving.cli.options import TOPICS
from modelserving.errors import BrokerError
from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics

DEFAULT_DIRECTORY = Path(".run/kafka")
DEFAULT_PORT = 9092

_DIRECTORY = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_DIRECTORY,
    show_default=True,
    help="Folder of the broker: its settings, log and data.",
)


def _port(default: int | None, text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    kind = click.IntRange(1, 65535)
    return click.option("--port", type=kind, default=default, show_default=default is not None, help=text)


@click.group()
def local() -> None:
    """A Kafka broker on this machine, for trying things out."""


@local.command()
@_DIRECTORY
@_port(DEFAULT_PORT, "Port on the loopback interface.")
@click.option(
    "--partitions",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Partitions of a topic that is created now; `models` and `speculative-control` always have one.",
)
@TOPICS
def up(directory: Path, port: int, partitions: int, topics: Topics) -> None:
    """Start the broker and create the topics. What is there already is left as it is."""
    broker = LocalBroker(directory, port)
    broker.start()
    topics_module.create(broker.bootstrap_servers, topics, partitions)
    topics_module.check(broker.bootstrap_servers, topics, topics.names)
    click.echo(f"broker at {broker.bootstrap_servers}, pid {broker.pid}, folder {directory}")


@local.command()
@_DIRECTORY
@_port(None, "Port that the broker must have; any if left out.")
def down(directory: Path, port: int | None) -> None:
    """Stop the broker. Its data stay in the folder, for the next `up`."""
    broker = _running(directory, port)
    if broker is None:
        click.echo(f"no broker runs in {directory}")
        return
    broker.stop()
    click.echo(f"broker at {broker.bootstrap_servers} stopped")


@local.command()
@_DIRECTORY
@_port(None, "Port that the broker must have; any if left out.")
def status(directory: Path, port: int | None) -> None:
    """Show the broker and its topics; exit code 1 if it does not run."""
    broker = _running(directory, port)
    if broker is None:
        raise BrokerError(f"no broker runs in {directory}: start it with `modelserving local up`")
    click.echo(f"broker at {broker.bootstrap_servers}, pid {broker.pid}, folder {directory}")
    for name, count in sorted(topics_module.partition_counts(broker.bootstrap_servers).items()):
        click.echo(f"  {name}: {count} {'partition' if count == 1 else 'partitions'}")


def _running(directory: Path, port: int | None) -> LocalBroker | None:
    running = LocalBroker(directory, port or DEFAULT_PORT).running_port()
    if running is None:
        return None
    if port not in (None, running):
        raise BrokerError(f"the broker of {directory} has port {running}, not {port}: correct --port or leave it out")
    return LocalBroker(directory, running)

"""Options that several commands share."""

from __future__ import annotations

import click

from modelserving.errors import ConfigurationError
from modelserving.topics import Topics

BOOTSTRAP_SERVERS = click.option(
    "--bootstrap-servers",
    envvar="MODELSERVING_BOOTSTRAP_SERVERS",
    default="localhost:9092",
    show_default=True,
    show_envvar=True,
    metavar="HOST:PORT,...",
    help="Kafka brokers to connect to.",
)


def _topics(_context: click.Context, _parameter: click.Parameter, prefix: str) -> Topics:
    try:
        return Topics(prefix)
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from error


TOPICS = click.option(
    "--topic-prefix",
    "topics",
    envvar="MODELSERVING_TOPIC_PREFIX",
    default="",
    show_envvar=True,
    callback=_topics,
    metavar="TEXT",
    help="Put in front of the name of each topic.",
)

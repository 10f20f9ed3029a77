"""`modelserving retire`: take a model out of service."""

from __future__ import annotations

import time

import click

from modelserving import descriptors
from modelserving.cli import model_log
from modelserving.cli.options import BOOTSTRAP_SERVERS, TOPICS
from modelserving.errors import ConfigurationError, ModelRejected
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor


@click.command()
@click.option("--name", required=True, help="Name of the model.")
@click.option("--data-type", required=True, help="Data type that the model serves.")
@click.option("--version", default="", help="Only this version.  [default: all versions of the name]")
@BOOTSTRAP_SERVERS
@TOPICS
def retire(*, name: str, data_type: str, version: str, bootstrap_servers: str, topics: Topics) -> None:
    """Take a model out of service: the newest one before it that is not retired serves, if there is one."""
    descriptor = ModelDescriptor(
        name=name, dataType=data_type, version=version, retire=True, created_at_ms=time.time_ns() // 1_000_000
    )
    try:
        descriptors.parse(descriptor.SerializeToString())
    except ModelRejected as fault:
        raise ConfigurationError(fault.detail) from fault
    click.echo(f"offset   {model_log.append(descriptor, bootstrap_servers, topics)}")

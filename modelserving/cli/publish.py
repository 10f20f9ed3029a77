"""`modelserving publish`: put a model on the model log."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import click
from kafka import KafkaProducer

from modelserving import archive, descriptors
from modelserving import topics as topics_module
from modelserving.cli.options import BOOTSTRAP_SERVERS, TOPICS
from modelserving.errors import ConfigurationError, ModelRejected
from modelserving.topics import MAX_BATCH_BYTES, MAX_MESSAGE_BYTES, Topics
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType

SEND_LIMIT_S = 60.0

_TYPES = {
    "pmml": ModelType.PMML,
    "tensorflow": ModelType.TENSORFLOW,
    "tensorflow-saved": ModelType.TENSORFLOWSAVED,
}
_SUFFIXES = {".pmml": "pmml", ".pb": "tensorflow"} | dict.fromkeys(
    (".zip", ".tar", ".tar.gz", ".tgz"), "tensorflow-saved"
)


@click.command()
@click.argument("file", required=False, type=click.Path(exists=True, path_type=Path))
@click.option("--location", metavar="URL", help="Instead of FILE: where the job itself finds the model.")
@click.option("--name", required=True, help="Name of the model.")
@click.option("--data-type", required=True, help="Data type whose records the model scores.")
@click.option(
    "--type", "model_type", type=click.Choice(list(_TYPES)), help="Kind of model; known by itself from most suffixes."
)
@click.option("--version", default="", help="Version of the model.  [default: 12 digits of the sha256 of its bytes]")
@click.option("--description", default="", help="A word about the model.")
@BOOTSTRAP_SERVERS
@TOPICS
def publish(
    *,
    file: Path | None,
    location: str | None,
    name: str,
    data_type: str,
    model_type: str | None,
    version: str,
    description: str,
    bootstrap_servers: str,
    topics: Topics,
) -> None:
    """Publish the model in FILE: PMML, a frozen TensorFlow graph, or a SavedModel (a folder, zip or tar)."""
    if (file is None) == (location is None):
        raise click.UsageError("give either FILE or --location")
    descriptor = ModelDescriptor(
        name=name,
        description=description,
        dataType=data_type,
        modeltype=_TYPES[model_type or _type_of(file, location or "")],
        version=version,
        created_at_ms=time.time_ns() // 1_000_000,
    )
    if file is None:
        descriptor.location = location or ""
    else:
        descriptor.data = _read(file)
        descriptor.sha256 = hashlib.sha256(descriptor.data).hexdigest()
        descriptor.version = version or descriptor.sha256[: descriptors.VERSION_DIGITS]
    offset = _send(_checked(descriptor), descriptor.dataType, bootstrap_servers, topics)
    click.echo(f"name     {descriptor.name}")
    click.echo(f"version  {descriptor.version or '(set when the job reads the location)'}")
    click.echo(f"sha256   {descriptor.sha256 or '(set when the job reads the location)'}")
    click.echo(f"offset   {offset}")


def _type_of(file: Path | None, location: str) -> str:
    if file is not None and file.is_dir():
        return "tensorflow-saved"
    name = location if file is None else file.name
    for suffix, model_type in _SUFFIXES.items():
        if name.lower().endswith(suffix):
            return model_type
    raise click.UsageError(f"the name {name} does not tell what kind of model it is: give --type")


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            return archive.pack_folder(path)
        _refuse_large(path.stat().st_size)
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    if not data:
        raise ConfigurationError(f"{path} is empty: give the file of a model")
    return data


def _checked(descriptor: ModelDescriptor) -> bytes:
    """The message, if the job would not refuse it at first sight."""
    message = descriptor.SerializeToString()
    _refuse_large(len(message))
    try:
        descriptors.parse(message)
    except ModelRejected as fault:
        raise ConfigurationError(fault.detail) from fault
    return message


def _refuse_large(size: int) -> None:
    if size > MAX_MESSAGE_BYTES:
        raise ConfigurationError(
            f"the model makes a message of {size} bytes, above the limit of {MAX_MESSAGE_BYTES}: "
            "put it where the job can read it, and publish its --location"
        )


def _send(message: bytes, key: str, bootstrap_servers: str, topics: Topics) -> int:
    topics_module.check(bootstrap_servers, topics)
    with topics_module.translated_errors(bootstrap_servers):
        producer = KafkaProducer(
            bootstrap_servers=bootstrap_servers,
            bootstrap_timeout_ms=topics_module.CONNECT_LIMIT_MS,
            max_block_ms=topics_module.CONNECT_LIMIT_MS,
            max_request_size=MAX_BATCH_BYTES,
        )
        try:
            offset: int = producer.send(topics.models, message, key=key.encode()).get(timeout=SEND_LIMIT_S).offset
        finally:
            producer.close(timeout=1)
    return offset

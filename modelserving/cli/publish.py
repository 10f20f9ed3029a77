"""`modelserving publish`: put a model on the model log."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime
from pathlib import Path

import click

from modelserving import archive, descriptors, stores
from modelserving.cli.model_log import append
from modelserving.cli.options import BOOTSTRAP_SERVERS, TOPICS
from modelserving.errors import ConfigurationError, ModelRejected
from modelserving.locations import MAX_MODEL_BYTES, Location
from modelserving.topics import MAX_MESSAGE_BYTES, Topics
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType

_TYPES = {
    "pmml": ModelType.PMML,
    "tensorflow": ModelType.TENSORFLOW,
    "tensorflow-saved": ModelType.TENSORFLOWSAVED,
}
_SUFFIXES = {".pmml": "pmml", ".pb": "tensorflow"} | dict.fromkeys(
    (".zip", ".tar", ".tar.gz", ".tgz"), "tensorflow-saved"
)

_SMALLEST_EPOCH_MS = 10**11
"""In 1973: what is smaller was meant as seconds."""


def _activation_ms(_context: click.Context, _parameter: click.Parameter, text: str | None) -> int:
    if text is None:
        return 0
    if text.isascii() and text.isdigit() and int(text) >= _SMALLEST_EPOCH_MS:
        return int(text)
    try:
        time_at = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is neither ISO 8601 nor epoch milliseconds") from error
    if time_at.tzinfo is None:
        raise click.BadParameter(f"{text!r} has no time zone: add Z or, for instance, +02:00")
    return round(time_at.timestamp() * 1000)


def _store(_context: click.Context, _parameter: click.Parameter, text: str | None) -> Location | None:
    try:
        return None if text is None else stores.parse(text)
    except ConfigurationError as error:
        raise click.BadParameter(str(error)) from error


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
@click.option(
    "--activate-at",
    "activation_ms",
    callback=_activation_ms,
    metavar="TIME",
    help="When it begins to serve: ISO 8601 with a time zone, or epoch milliseconds.  [default: at once]",
)
@click.option(
    "--store",
    envvar="MODELSERVING_STORE",
    show_envvar=True,
    callback=_store,
    metavar="URL",
    help="Folder, or s3:// or gs:// URL, for a model too large for a message; below a model root of the job.",
)
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
    activation_ms: int,
    store: Location | None,
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
        activation_ms=activation_ms,
    )
    if file is None:
        descriptor.location = location or ""
        _check(descriptor)
    else:
        _add_model(descriptor, file, store)
    offset = append(descriptor, bootstrap_servers, topics)
    click.echo(f"name     {name}")
    click.echo(f"version  {descriptor.version or '(set when the job reads the location)'}")
    click.echo(f"sha256   {descriptor.sha256 or '(set when the job reads the location)'}")
    if store and descriptor.location:
        click.echo(f"location {descriptor.location}")
    click.echo(f"offset   {offset}")


def _add_model(descriptor: ModelDescriptor, file: Path, store: Location | None) -> None:
    """Put the model in `file` into the descriptor, or, if it is too large for a message, into the store."""
    data = _read(file)
    descriptor.sha256 = hashlib.sha256(data).hexdigest()
    descriptor.version = descriptor.version or descriptor.sha256[: descriptors.VERSION_DIGITS]
    descriptor.data = data
    if store is None or descriptor.ByteSize() <= MAX_MESSAGE_BYTES:
        _check(descriptor)
        return
    _refuse_unservable(len(data))
    suffix = ".tar" if file.is_dir() else _suffix(file.name) or file.suffix
    place = stores.place(store, (descriptor.dataType, descriptor.name), descriptor.sha256 + suffix)
    descriptor.location = place.url
    _check(descriptor)
    stores.put(place, data)


def _type_of(file: Path | None, location: str) -> str:
    if file is not None and file.is_dir():
        return "tensorflow-saved"
    name = location if file is None else file.name
    suffix = _suffix(name)
    if suffix is None:
        raise click.UsageError(f"the name {name} does not tell what kind of model it is: give --type")
    return _SUFFIXES[suffix]


def _suffix(name: str) -> str | None:
    return next((suffix for suffix in _SUFFIXES if name.lower().endswith(suffix)), None)


def _read(path: Path) -> bytes:
    try:
        if path.is_dir():
            return archive.pack_folder(path)
        _refuse_unservable(path.stat().st_size)
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from error
    if not data:
        raise ConfigurationError(f"{path} is empty: give the file of a model")
    return data


def _refuse_unservable(size: int) -> None:
    if size > MAX_MODEL_BYTES:
        raise ConfigurationError(f"the model has {size} bytes, above the limit of {MAX_MODEL_BYTES} for the job")


def _check(descriptor: ModelDescriptor) -> None:
    """Refuse what the job would refuse at first sight."""
    message = descriptor.SerializeToString()
    if len(message) > MAX_MESSAGE_BYTES:
        raise ConfigurationError(
            f"the model makes a message of {len(message)} bytes, above the limit of {MAX_MESSAGE_BYTES}: "
            "give a --store, or put it where the job can read it and publish its --location"
        )
    try:
        descriptors.parse(message)
    except ModelRejected as fault:
        raise ConfigurationError(fault.detail) from fault

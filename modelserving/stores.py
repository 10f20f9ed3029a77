"""Stores: where `publish` puts models that are too large for a message, for the job to find by location."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from modelserving import locations
from modelserving.errors import ConfigurationError
from modelserving.locations import Location

SCHEMES = ("file", "s3", "gs")


def parse(text: str) -> Location:
    """Parse a store: a folder or the URL of a bucket.

    Raises:
        ConfigurationError: it is none that can be written to.
    """
    store = locations.parse_root(text)
    if store.scheme not in SCHEMES:
        raise ConfigurationError(f"{text!r} is no store: give a folder, s3://BUCKET/PREFIX or gs://BUCKET/PREFIX")
    return store


def place(store: Location, folders: tuple[str, ...], name: str) -> Location:
    """Where `name` goes in `folders` below the store; each folder becomes one component, whatever is in its name."""
    return store.below(*(_component(folder) for folder in folders), name)


def put(target: Location, data: bytes) -> None:
    """Write `data` at `target`, whose name tells its content: whole or not at all.

    What is there already, of the same size, is left alone.

    Raises:
        ConfigurationError: it cannot be written.
    """
    try:
        if target.scheme == "file":
            _write_file(target.path, data)
        else:
            from modelserving import remote  # noqa: PLC0415 - heavy

            remote.write(target, data)
    except Exception as error:  # each client has errors of its own
        raise ConfigurationError(
            f"the model cannot be written to {target.url}: {type(error).__name__}: {error}; is --store right?"
        ) from error


def _component(name: str) -> str:
    text = name.replace("%", "%25").replace("/", "%2F").replace("\\", "%5C")
    return text.replace(".", "%2E") if text.strip(".") == "" else text


def _write_file(path: Path, data: bytes) -> None:
    if path.is_file() and path.stat().st_size == len(data):
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # the job may run as another user
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

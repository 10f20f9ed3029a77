"""Model descriptors: from the bytes of a message on the model log to a complete, checked descriptor.

A complete descriptor holds the model's bytes in `data`, and its version and sha256, whatever the producer left out.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from google.protobuf.message import DecodeError

from modelserving import archive
from modelserving.errors import ModelRejected
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Reason

MAX_NAME_CHARACTERS = 256
VERSION_DIGITS = 12
MAX_MODEL_BYTES = 256 * 1024 * 1024
"""Of a model by location: its bytes travel on in a message and are kept in the job's state."""


@dataclass(frozen=True, slots=True)
class ModelSources:
    """Where models may come from.

    Attributes:
        roots: folders below which a `location` may lie; none by default.
    """

    roots: tuple[Path, ...] = ()


def parse(message: bytes | None) -> ModelDescriptor:
    """Parse a message of the model log and check its fields; a model's bytes are not looked at.

    Raises:
        ModelRejected: MALFORMED.
    """
    if not message:
        raise ModelRejected(Reason.MALFORMED, "empty message; send a ModelDescriptor")
    try:
        descriptor = ModelDescriptor.FromString(message)
    except DecodeError as error:
        raise ModelRejected(Reason.MALFORMED, f"not a ModelDescriptor: {error}") from error
    _check_text(descriptor.name, "name", required=True)
    _check_text(descriptor.dataType, "dataType", required=True)
    _check_text(descriptor.version, "version", required=False)
    if descriptor.modeltype not in ModelType.values():
        raise ModelRejected(Reason.MALFORMED, f"unknown model type {descriptor.modeltype}")
    if descriptor.WhichOneof("model") is None:
        raise ModelRejected(Reason.MALFORMED, "neither data nor location is set; set one")
    if not (descriptor.data or descriptor.location):
        raise ModelRejected(Reason.MALFORMED, f"{descriptor.WhichOneof('model')} is empty")
    return descriptor


def _check_text(text: str, field: str, *, required: bool) -> None:
    """Refuse what could forge a path, a line of a log, or a key."""
    if required and not text:
        raise ModelRejected(Reason.MALFORMED, f"{field} is missing")
    if len(text) > MAX_NAME_CHARACTERS:
        raise ModelRejected(
            Reason.MALFORMED, f"{field} has {len(text)} characters; at most {MAX_NAME_CHARACTERS} are allowed"
        )
    if not text.isprintable():
        raise ModelRejected(Reason.MALFORMED, f"{field} {text!r} has a control character in it")
    if "../" in f"{text}/":
        raise ModelRejected(Reason.MALFORMED, f"{field} {text!r} has a step up ('../') in it")


def complete(descriptor: ModelDescriptor, sources: ModelSources) -> ModelDescriptor:
    """Fetch the model's bytes if it goes by location, and fill in sha256 and version.

    Raises:
        ModelRejected: LOCATION, OVERSIZE, CONFLICT (the sha256 given is not the bytes'), or what packing a folder
            raises.
    """
    done = ModelDescriptor()
    done.CopyFrom(descriptor)
    if descriptor.WhichOneof("model") == "location":
        path = _allowed_path(descriptor.location, sources)
        try:
            _check_size(path)
            done.data = archive.pack_folder(path) if path.is_dir() else path.read_bytes()
            digest = archive.folder_sha256(path) if path.is_dir() else hashlib.sha256(done.data).hexdigest()
        except (OSError, ValueError) as error:  # ValueError: a file's name that is no text
            raise ModelRejected(Reason.LOCATION, f"location {descriptor.location!r} cannot be read: {error}") from error
    else:
        digest = hashlib.sha256(descriptor.data).hexdigest()
    if descriptor.sha256 and descriptor.sha256.lower() != digest:
        raise ModelRejected(Reason.CONFLICT, f"sha256 is given as {descriptor.sha256} but the model's is {digest}")
    done.sha256 = digest
    done.version = descriptor.version or digest[:VERSION_DIGITS]
    return done


def _check_size(path: Path) -> None:
    files = (each for each in path.rglob("*") if each.is_file()) if path.is_dir() else iter([path])
    size = sum(file.stat().st_size for file in files)
    if size > MAX_MODEL_BYTES:
        raise ModelRejected(Reason.OVERSIZE, f"the model has {size} bytes; at most {MAX_MODEL_BYTES} can be served")


def _allowed_path(location: str, sources: ModelSources) -> Path:
    """The local path of `location`: a bare path or a file:// URL, below one of the roots after all links."""
    if "::" in location:
        raise ModelRejected(Reason.LOCATION, f"chained location {location!r} is not allowed")
    try:
        url = urlsplit(location)
        if location.startswith("/"):
            text = location
        elif url.scheme == "file" and url.netloc in ("", "localhost"):
            text = unquote(url.path)
        else:
            raise ModelRejected(Reason.LOCATION, f"location {location!r} is neither an absolute path nor a file:// URL")
        path = Path(text).resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelRejected(Reason.LOCATION, f"location {location!r} cannot be resolved: {error}") from error
    if not any(path.is_relative_to(root.resolve()) for root in sources.roots):
        raise ModelRejected(
            Reason.LOCATION, f"location {location!r} is below no model root; start the job with --model-root"
        )
    if not (path.is_dir() or path.is_file()):
        # Reading a pipe or a device may never end.
        raise ModelRejected(Reason.LOCATION, f"location {location!r} is neither a file nor a folder")
    return path

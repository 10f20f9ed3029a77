"""Model descriptors: from the bytes of a message on the model log to a complete, checked descriptor.

A complete descriptor holds the model's bytes in `data`, and its version and sha256, whatever the producer left out.
"""

from __future__ import annotations

import hashlib
import re

from google.protobuf.message import DecodeError

from modelserving import locations
from modelserving.errors import ModelRejected
from modelserving.locations import ModelSources
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Reason

__all__ = ["MAX_NAME_CHARACTERS", "VERSION_DIGITS", "ModelSources", "complete", "parse"]

MAX_NAME_CHARACTERS = 256
_SHA256 = re.compile("[0-9a-fA-F]{64}")
VERSION_DIGITS = 12


def parse(message: bytes | None) -> ModelDescriptor:
    """Parse a message of the model log, a model or a retirement, and check its fields; not the model's bytes.

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
    if descriptor.sha256 and not _SHA256.fullmatch(descriptor.sha256):
        raise ModelRejected(Reason.MALFORMED, "sha256 is not 64 hexadecimal digits; correct it or leave it out")
    if descriptor.modeltype not in ModelType.values():
        raise ModelRejected(Reason.MALFORMED, f"unknown model type {descriptor.modeltype}")
    if descriptor.activation_ms < 0:
        raise ModelRejected(Reason.MALFORMED, f"activation_ms is {descriptor.activation_ms}, before 1970")
    if descriptor.retire:
        if descriptor.WhichOneof("model") is not None:
            raise ModelRejected(Reason.MALFORMED, "both a model and a retirement; send one after the other")
        return descriptor
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
        ModelRejected: CONFLICT: the sha256 given is not the bytes'; or what `locations.read` raises.
    """
    done = ModelDescriptor()
    done.CopyFrom(descriptor)
    if descriptor.WhichOneof("model") == "location":
        done.data, digest = locations.read(descriptor.location, sources)
    else:
        digest = hashlib.sha256(descriptor.data).hexdigest()
    if descriptor.sha256 and descriptor.sha256.lower() != digest:
        raise ModelRejected(Reason.CONFLICT, f"sha256 is given as {descriptor.sha256} but the model's is {digest}")
    done.sha256 = digest
    done.version = descriptor.version or digest[:VERSION_DIGITS]
    return done

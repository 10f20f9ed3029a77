"""A policy as a file, TOML or JSON: the fields of `SpeculativeControl`, enums by name."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict, ParseError

from modelserving.errors import ConfigurationError
from modelserving.speculative.control import policy_of
from modelserving.wire.speculative_pb2 import RolloutLimits, SpeculativeControl

_OF_THE_JOB = ("action", "previous")
"""Fields that are no part of a policy which somebody states."""


def read_policy_file(path: Path) -> SpeculativeControl:
    """The message that a file states, checked as the job checks it; but which deciders there are the job alone knows.

    Args:
        path: JSON if its name ends with .json, else TOML.

    Raises:
        ConfigurationError: the file cannot be read, or something in it is wrong; the message names it and the remedy.
    """
    try:
        document = _document(path)
        _check_names(document, SpeculativeControl.DESCRIPTOR, "")
        control = ParseDict(document, SpeculativeControl())
        policy_of(control, (control.decider,))
    except ParseError as error:
        raise ConfigurationError(f"{path}: {' '.join(str(error).split())}; see proto/speculative.proto") from error
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    return control


def _document(path: Path) -> dict[str, Any]:
    is_json = path.suffix.lower() == ".json"
    try:
        text = path.read_text(encoding="utf-8")
        document = json.loads(text) if is_json else tomllib.loads(text)
    except OSError as error:
        raise ConfigurationError(f"cannot be read ({error.strerror}); name an existing file") from error
    except ValueError as error:
        raise ConfigurationError(f"not a {'JSON' if is_json else 'TOML'} file: {error}") from error
    if not isinstance(document, dict):
        raise ConfigurationError("not an object; write the fields of a policy between braces")
    return document


def _check_names(table: dict[str, Any], descriptor: Any, place: str) -> None:
    """Refuse keys, and names of enums, that are unknown: the messages of protobuf's parser tell no remedy."""
    known = {field.name: field for field in descriptor.fields if place or field.name not in _OF_THE_JOB}
    for key, value in table.items():
        if key not in known:
            remedy = "; `modelserving policy promote` and `rollback` send one" if key == "action" else ""
            raise ConfigurationError(f"{place}{key}: unknown key; known here: {', '.join(sorted(known))}{remedy}")
        field = known[key]
        names = {} if field.enum_type is None else field.enum_type.values_by_name
        if names and str(value) not in names:
            raise ConfigurationError(f"{place}{key}: {value!r} is unknown; use one of {', '.join(names)}")
        if field.message_type is not None and isinstance(value, dict):
            _check_names(value, RolloutLimits.DESCRIPTOR, f"{key}.")

"""The keys of the topic of statistics: what tells whether a message is of a policy or of a model version."""

from __future__ import annotations

_POLICY = b"\0policy\0"
"""No other key begins with it: an empty data type has no models."""


def policy_key(data_type: str) -> bytes:
    """The key of a policy's totals."""
    return _POLICY + data_type.encode()


def version_key(data_type: str, name: str, version: str, sha256: str) -> bytes:
    """The key of a model version's totals."""
    return "\0".join((data_type, name, version, sha256)).encode()


def is_of_policy(key: bytes | None) -> bool:
    """Whether the totals under this key are those of a policy, `PolicyStats`; else they are `ServingStats`."""
    return key is not None and key.startswith(_POLICY)

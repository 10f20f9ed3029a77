"""JSON in pieces: each message is encoded once, when it arrives, and answers are joined of what is encoded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

GREATEST = 2**63 - 1
"""JSON's numbers end nowhere, the encoder's do."""


def encode(value: Any) -> bytes:
    """`value` as JSON; a number that is not finite becomes null."""
    return orjson.dumps(value)


def array(items: Iterable[bytes]) -> bytes:
    """A JSON array of encoded items."""
    return b"[" + b",".join(items) + b"]"


def mapping(**members: bytes) -> bytes:
    """A JSON object of encoded members."""
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in members.items()) + b"}"

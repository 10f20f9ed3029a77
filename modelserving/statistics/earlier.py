"""What is forgotten: of each data type only so many versions that serve no more are kept, the others are added up.

Nothing of what was counted is lost by it: what a version has is added to a row of its data type before it goes, so the
sum of all rows is the number of results as before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from modelserving.statistics.keys import is_of_policy

if TYPE_CHECKING:  # the query service needs the names alone
    from modelserving.statistics.totals import Totals
    from modelserving.wire.stats_pb2 import ServingStats

MOST_AT_REST = 64
"""Of each data type, in each bucket: some 250 in all, about as many as admission remembers."""
NAME = "(earlier versions)"
"""The model's name of the row that has what was forgotten."""


def is_earlier(stats: ServingStats) -> bool:
    """Whether it is such a row. A model of that name would have a sha256."""
    return stats.name == NAME and not stats.model_sha256


def key_of_earlier(data_type: str, bucket: str) -> bytes:
    """The key of what was forgotten of a data type. Each bucket has a row of its own: no other may write it."""
    return "\0".join((data_type, NAME, f"part {bucket}", "")).encode()


def is_of_version(key: bytes) -> bool:
    """Whether a key is that of a version: it has a sha256, and may be forgotten."""
    return not is_of_policy(key) and not key.endswith(b"\0")


def add_to_earlier(earlier: Totals, ended: Totals, bucket: str, now_ms: int) -> None:
    """Add all that a version has, which is then to be forgotten.

    Args:
        now_ms: epoch milliseconds.
    """
    earlier.absorb(ended, now_ms)
    stats = earlier.stats
    stats.data_type, stats.name, stats.model_version = ended.stats.data_type, NAME, f"part {bucket}"
    stats.description = "versions that have not served for long, added up"


class AtRest:
    """The versions of one bucket that are at rest.

    Args:
        keys: those that came to rest longest ago first.
    """

    def __init__(self, keys: Iterable[bytes] = ()) -> None:
        self._keys: dict[str, dict[bytes, None]] = {}
        """By data type."""
        for key in keys:
            self.add(key)

    def add(self, key: bytes) -> None:
        """It came to rest after all others. What is of no version is passed over."""
        if is_of_version(key):
            self._keys.setdefault(_data_type_of(key), {})[key] = None

    def discard(self, key: bytes) -> None:
        """It serves again."""
        self._keys.get(_data_type_of(key), {}).pop(key, None)

    def excess(self) -> list[tuple[str, bytes]]:
        """Data type and key of those that are too many; they are at rest no more."""
        found = []
        for data_type, of_type in self._keys.items():
            while len(of_type) > MOST_AT_REST:
                key = next(iter(of_type))
                del of_type[key]
                found.append((data_type, key))
        return found


def _data_type_of(key: bytes) -> str:
    return key.rsplit(b"\0", 3)[0].decode()

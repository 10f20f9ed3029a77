"""The statistics of one data type together: totals over all of them, and which versions were told of last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from modelserving.query.encoding import GREATEST, encode
from modelserving.statistics.earlier import is_of_version
from modelserving.wire.stats_pb2 import ServingStats

MOST_LATELY = 10
"""Versions that count as told of lately. The topic has some 250 of a data type, each of one or two kilobytes."""


class DataTypeStats:
    """What is counted of a data type, message by message."""

    def __init__(self, data_type: str) -> None:
        self.data_type = data_type
        self.keys: set[bytes] = set()
        self.rejected: Counter[str] = Counter()
        self._served = self._errors = self._updated_ms = 0
        self._lately: dict[bytes, int] = {}
        """Versions, and when they were told of."""
        self._others: set[bytes] = set()
        """A few: versions that were added up, and what was rejected before a model was asked."""

    def add(self, key: bytes, stats: ServingStats) -> None:
        """Count a message."""
        self.keys.add(key)
        self._count(stats, 1)
        self._updated_ms = max(self._updated_ms, stats.updated_ms)
        if is_of_version(key):
            self._lately[key] = stats.updated_ms
            if len(self._lately) > MOST_LATELY:
                del self._lately[min(self._lately, key=self._lately.__getitem__)]
        else:
            self._others.add(key)

    def remove(self, key: bytes, stats: ServingStats) -> None:
        """Count a message no more that was counted."""
        self.keys.discard(key)
        self._count(stats, -1)
        self._lately.pop(key, None)
        self._others.discard(key)

    def lately(self) -> Iterator[bytes]:
        """The keys of the versions that were told of last, and of what is no version."""
        yield from self._lately
        yield from self._others

    @property
    def has_more(self) -> bool:
        """Whether there are others besides."""
        return len(self.keys) > len(self._lately) + len(self._others)

    def totals(self) -> bytes:
        """The sums over all messages, encoded."""
        return encode(
            {
                "data_type": self.data_type,
                "served": min(self._served, GREATEST),
                "errors": min(self._errors, GREATEST),
                "rejected": {reason: min(count, GREATEST) for reason, count in sorted(self.rejected.items())},
                "updated_ms": self._updated_ms,
            }
        )

    def _count(self, stats: ServingStats, sign: int) -> None:
        self._served += sign * stats.served
        self._errors += sign * stats.errors
        for reason, count in stats.rejected.items():
            self.rejected[reason] += sign * count
            if not self.rejected[reason]:
                del self.rejected[reason]

"""What was turned away, kept as a sample: a flood of one kind does not drive out what is rare."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import chain

from modelserving.query.recent import Order, Recent

MOST_OF_EACH = 100
"""Kept of records, and of models, of each data type and reason."""
MOST = 5000
"""Kept in all; data types and reasons that nothing was heard of for longest are forgotten first."""


class Rejections:
    """The newest rejections of each kind, data type and reason, encoded."""

    def __init__(self) -> None:
        self._lists: dict[tuple[str, str, str], Recent] = {}
        """By kind, data type and reason; in the order in which something was added last."""
        self._kept = 0

    def add(self, kind: str, data_type: str, reason: str, order: Order, encoded: bytes) -> None:
        """Keep a rejection; `kind` is "record" or "model"."""
        key = (kind, data_type, reason)
        of_key = self._lists.pop(key, None) or Recent(MOST_OF_EACH)
        self._kept -= len(of_key)
        of_key.add(order, encoded)
        self._kept += len(of_key)
        self._lists[key] = of_key
        while self._kept > MOST:
            self._kept -= len(self._lists.pop(next(iter(self._lists))))

    def newest(self, limit: int, data_type: str | None = None) -> list[bytes]:
        """At most `limit` of those that were kept, newest first, of all data types or of one."""
        kept: Iterable[tuple[Order, bytes]] = chain.from_iterable(
            of_key for (_, of, _), of_key in self._lists.items() if data_type in (None, of)
        )
        return [item for _, item in heapq.nlargest(limit, kept)]

"""The newest of what arrives, in bounded memory."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterator

Order = tuple[int, int, int]
"""Epoch milliseconds, partition and offset: messages of several partitions arrive in no order."""


class Recent:
    """The newest encoded items, at most `most` of them."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: list[tuple[Order, bytes]] = []

    def add(self, order: Order, item: bytes) -> None:
        """Keep `item`, in place of the oldest if there are too many."""
        if len(self._items) == self._most and order < self._items[0][0]:
            return
        insort(self._items, (order, item))
        if len(self._items) > self._most:
            del self._items[0]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[tuple[Order, bytes]]:
        """The items, each with its place, oldest first."""
        return iter(self._items)

    def newest(self, limit: int) -> list[bytes]:
        """At most `limit` items, newest first."""
        return [item for _, item in self._items[: -limit - 1 : -1]]

"""The newest events of the stream, for clients that come again and name the last one that they had."""

from __future__ import annotations

import re
import secrets
from collections import deque
from collections.abc import Iterable

MOST_BYTES = 4 * 1024 * 1024
"""Some thousand events: minutes of a job with a few models, a second of one with thousands."""

_NUMBER = re.compile(r"[0-9]{1,18}")


class Replay:
    """Events as they were streamed, each with an id: of which run, and its number."""

    def __init__(self) -> None:
        self._kept: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._number = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """What was streamed has no sequel: ids from before mean nothing from now on."""
        self._run = secrets.token_hex(4)
        self._kept.clear()
        self._bytes = 0

    @property
    def last_id(self) -> str:
        """The id of the newest event."""
        return f"{self._run}-{self._number}"

    def add(self, name: str, items: Iterable[bytes]) -> bytes:
        """Encoded JSON values as events of one name; how they are streamed."""
        events = []
        for item in items:
            self._number += 1
            events.append(b"id: %s\nevent: %s\ndata: %s\n\n" % (self.last_id.encode(), name.encode(), item))
            self._kept.append((self._number, events[-1]))
            self._bytes += len(events[-1])
        while self._bytes > MOST_BYTES:
            self._bytes -= len(self._kept.popleft()[1])
        return b"".join(events)

    def since(self, last_id: str) -> bytes | None:
        """What was streamed after the event of this id; None if not all of it is known."""
        run, _, number = last_id.rpartition("-")
        oldest = self._kept[0][0] if self._kept else self._number + 1
        if run != self._run or not _NUMBER.fullmatch(number) or not oldest - 1 <= int(number) <= self._number:
            return None
        return b"".join(event for at, event in self._kept if at > int(number))

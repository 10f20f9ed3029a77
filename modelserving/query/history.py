"""Rates and latencies of the last ten minutes: what was told of each second or so, kept in bounded memory.

The topic has only the newest messages for ever. After a restart of the service there is what of them is still there.
"""

from __future__ import annotations

from math import nan
from struct import Struct

from modelserving.wire.stats_pb2 import Quantiles

SPAN_MS = 600_000
MOST_POINTS = 600
"""Of a series: the job tells of a second at most once."""
MOST_SERIES = 1000
"""30 MB, if something is told of all of them each second. More are kept only in place of such as have ended: else each
would drive out another, and none would have a past."""

Key = tuple[str, ...]
"""The data type, and what tells its series apart."""
Point = tuple[int, float, int, int, float, float]
"""When it was told (epoch milliseconds); of the seconds before: how many, two counts, and p50 and p99 of a latency in
milliseconds, not a number where there is none."""

_POINT = Struct("<qdqqdd")


class History:
    """Series of points, the newest of each."""

    def __init__(self) -> None:
        self._series: dict[Key, bytearray] = {}
        """Packed points, oldest first."""

    def add(self, key: Key, updated_ms: int, seconds: float, counts: tuple[int, int], latency: Quantiles) -> None:
        """Add a point to the series of `key`; one that is not newer than those that are there is passed over."""
        points = self._series.get(key)
        if points is None:
            if len(self._series) >= MOST_SERIES and not self._make_room(updated_ms - SPAN_MS):
                return
            points = bytearray()
        elif updated_ms <= _told_ms(points, -_POINT.size):
            return
        quantiles = (latency.p50, latency.p99) if latency.count else (nan, nan)
        points += _POINT.pack(updated_ms, seconds, *counts, *quantiles)
        while len(points) > MOST_POINTS * _POINT.size or _told_ms(points, 0) <= updated_ms - SPAN_MS:
            del points[: _POINT.size]
        self._series.pop(key, None)
        self._series[key] = points  # as the last, for `_make_room`

    def of(self, data_type: str, since_ms: int) -> list[tuple[Key, list[Point]]]:
        """The series of a data type that have points after `since_ms`; what was told of last first."""
        found: list[tuple[Key, list[Point]]] = []
        for key, packed in self._series.items():
            if key[0] == data_type and _told_ms(packed, -_POINT.size) > since_ms:
                found.append((key, [point for point in _POINT.iter_unpack(packed) if point[0] > since_ms]))
        return sorted(found, key=lambda each: each[1][-1][0], reverse=True)

    def _make_room(self, since_ms: int) -> bool:
        """Forget the first series, if nothing was told of it after `since_ms`; else the next call looks at another."""
        first = next(iter(self._series))
        points = self._series.pop(first)
        ended = _told_ms(points, -_POINT.size) <= since_ms
        if not ended:
            self._series[first] = points
        return ended


def _told_ms(points: bytearray, at: int) -> int:
    told_ms: int = _POINT.unpack_from(points, at)[0]
    return told_ms

"""The statistics as the topic tells them: the latest message of each key."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator

from modelserving.query.encoding import GREATEST, array, encode, mapping
from modelserving.query.plain import plain
from modelserving.statistics.sketch import Sketch
from modelserving.wire.stats_pb2 import ServingStats

log = logging.getLogger(__name__)


class StatsView:
    """Totals of each data type and model version, decoded for whoever counts and encoded for whoever asks."""

    def __init__(self) -> None:
        self._latest: dict[bytes, tuple[ServingStats, bytes]] = {}

    def apply(self, key: bytes | None, value: bytes | None) -> bytes | None:
        """Take in a message of the topic; what it says, encoded, or None if it removes its key, or is older than
        what is known.

        Raises:
            DecodeError: it is not a `ServingStats`; nothing has changed.
        """
        if not value:
            self._latest.pop(key or b"", None)
            return None
        stats = ServingStats.FromString(value)
        known = self._latest.get(key or b"")
        if known is not None and stats.updated_ms < known[0].updated_ms:
            # The key was in another partition before the topic got more of them.
            return None
        encoded = encode(plain(stats))
        self._latest[key or b""] = (stats, encoded)
        return encoded

    def __iter__(self) -> Iterator[ServingStats]:
        """The messages, by data type and since when they serve."""
        return (stats for stats, _ in self._sorted())

    def encoded(self) -> list[bytes]:
        """The same, encoded."""
        return [encoded for _, encoded in self._sorted()]

    def of_model(self, data_type: str, model: str) -> bytes | None:
        """A model's versions, encoded, with the quantiles over all of them; None if there are none."""
        found = [each for each in self._sorted() if (each[0].data_type, each[0].name) == (data_type, model)]
        if not found:
            return None
        return mapping(
            data_type=encode(data_type),
            model=encode(model),
            versions=array(encoded for _, encoded in found),
            latency_ms=_merged(stats.latency_sketch for stats, _ in found),
            score_time_us=_merged(stats.score_time_sketch for stats, _ in found),
        )

    def rejected(self) -> dict[str, int]:
        """Reason → records that were turned away for it."""
        total: Counter[str] = Counter()
        for stats, _ in self._latest.values():
            total.update(stats.rejected)
        return {reason: min(count, GREATEST) for reason, count in sorted(total.items())}

    def _sorted(self) -> list[tuple[ServingStats, bytes]]:
        return sorted(self._latest.values(), key=lambda each: (each[0].data_type, each[0].since))


def _merged(sketches: Iterable[bytes]) -> bytes:
    """The quantiles of all that the sketches have seen, encoded; one that cannot be read is left out."""
    merged = Sketch()
    for encoded in filter(None, sketches):
        try:
            merged.merge(Sketch(encoded))
        except (RuntimeError, ValueError, IndexError, TypeError, MemoryError) as error:
            log.warning("a sketch on the topic cannot be read: %.200s", error)
    return encode(plain(merged.quantiles()))

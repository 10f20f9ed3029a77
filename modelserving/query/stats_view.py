"""The statistics as the topic tells them: the latest message of each key."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator

from modelserving.query.encoding import GREATEST, array, encode, mapping
from modelserving.query.history import History
from modelserving.query.plain import plain
from modelserving.statistics.earlier import is_earlier
from modelserving.statistics.sketch import Sketch
from modelserving.wire.stats_pb2 import ServingStats

log = logging.getLogger(__name__)


class StatsView:
    """Totals of each data type and model version, decoded for whoever counts and encoded for whoever asks."""

    def __init__(self) -> None:
        self.history = History()
        """By data type, name, version and sha256: records served and rejected, and the latency from their log."""
        self._latest: dict[bytes, tuple[ServingStats, bytes]] = {}
        self._of_model: dict[tuple[str, str], set[bytes]] = {}
        """Data type and model → keys: who asks for one that is not there must not have all looked through."""
        self._rejected: dict[str, Counter[str]] = {}
        """By data type, then reason."""

    def apply(self, key: bytes | None, value: bytes | None) -> bytes | None:
        """Take in a message of the topic.

        Returns:
            What it says, encoded; of one that removes its key, what that named; None if it is no news.

        Raises:
            DecodeError: it is not a `ServingStats`; nothing has changed.
        """
        key = key or b""
        if not value:
            return self._forget(key)
        stats = ServingStats.FromString(value)
        known = self._latest.get(key)
        if known is not None and stats.updated_ms < known[0].updated_ms:
            # The key was in another partition before the topic got more of them.
            return None
        encoded = encode(plain(stats))
        self._uncount(key)
        self._latest[key] = (stats, encoded)
        self._of_model.setdefault((stats.data_type, stats.name), set()).add(key)
        self._rejected.setdefault(stats.data_type, Counter()).update(stats.rejected)
        if not is_earlier(stats):
            recent, version = stats.recent, (stats.data_type, stats.name, stats.model_version, stats.model_sha256)
            self.history.add(
                version, stats.updated_ms, recent.seconds, (recent.served, recent.rejected), recent.latency_ms
            )
        return encoded

    def __contains__(self, data_type: str) -> bool:
        """Whether something was told of a data type."""
        return data_type in self._rejected

    def __iter__(self) -> Iterator[ServingStats]:
        """The messages, by data type and since when they serve."""
        return (stats for stats, _ in self._sorted())

    def encoded(self) -> list[bytes]:
        """The same, encoded."""
        return [encoded for _, encoded in self._sorted()]

    def of_model(self, data_type: str, model: str) -> bytes | None:
        """A model's versions, encoded, with the quantiles over all of them; None if there are none."""
        keys = self._of_model.get((data_type, model))
        if keys is None:
            return None
        found = sorted((self._latest[key] for key in keys), key=_order)
        return mapping(
            data_type=encode(data_type),
            model=encode(model),
            versions=array(encoded for _, encoded in found),
            latency_ms=_merged(stats.latency_sketch for stats, _ in found),
            score_time_us=_merged(stats.score_time_sketch for stats, _ in found),
        )

    def rejected(self, data_type: str | None = None) -> dict[str, int]:
        """Reason → records that were turned away for it, of all data types or of one."""
        total: Counter[str] = Counter()
        for of_type in self._rejected.values() if data_type is None else [self._rejected.get(data_type, Counter())]:
            total.update(of_type)
        return {reason: min(count, GREATEST) for reason, count in sorted(total.items())}

    def _forget(self, key: bytes) -> bytes | None:
        self._uncount(key)
        known = self._latest.pop(key, None)
        if known is None:
            return None
        stats, _ = known
        names = ("data_type", "name", "model_version", "model_sha256")
        return encode({name: getattr(stats, name) for name in names})

    def _uncount(self, key: bytes) -> None:
        if key not in self._latest:
            return
        stats, _ = self._latest[key]
        of_model = self._of_model[stats.data_type, stats.name]
        of_model.discard(key)
        if not of_model:
            del self._of_model[stats.data_type, stats.name]
        of_type = self._rejected[stats.data_type]
        of_type.subtract(stats.rejected)
        for reason in stats.rejected:
            if not of_type[reason]:
                del of_type[reason]

    def _sorted(self) -> list[tuple[ServingStats, bytes]]:
        return sorted(self._latest.values(), key=_order)


def _order(each: tuple[ServingStats, bytes]) -> tuple[str, int]:
    return each[0].data_type, each[0].since


def _merged(sketches: Iterable[bytes]) -> bytes:
    """The quantiles of all that the sketches have seen, encoded; one that cannot be read is left out."""
    merged = Sketch()
    for encoded in filter(None, sketches):
        try:
            merged.merge(Sketch(encoded))
        except (RuntimeError, ValueError, IndexError, TypeError, MemoryError) as error:
            log.warning("a sketch on the topic cannot be read: %.200s", error)
    return encode(plain(merged.quantiles()))

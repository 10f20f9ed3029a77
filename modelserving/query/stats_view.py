"""The statistics as the topic tells them: the latest message of each key."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from modelserving.query.data_type_models import VersionKey
from modelserving.query.data_type_stats import DataTypeStats
from modelserving.query.encoding import GREATEST, array, encode, mapping
from modelserving.query.history import History
from modelserving.query.plain import plain
from modelserving.query.told import Told
from modelserving.statistics.earlier import is_earlier
from modelserving.statistics.keys import version_key
from modelserving.statistics.sketch import Sketch
from modelserving.wire.stats_pb2 import ServingStats

log = logging.getLogger(__name__)


class StatsView:
    """Totals of each data type and model version, decoded for whoever counts and encoded for whoever asks."""

    def __init__(self) -> None:
        self.history = History()
        """By data type, name, version and sha256: records served and rejected, and the latency from their log."""
        self._latest: dict[bytes, Told[ServingStats]] = {}
        self._of_model: dict[tuple[str, str], set[bytes]] = {}
        """Data type and model → keys: who asks for one that is not there must not have all looked through."""
        self._of_type: dict[str, DataTypeStats] = {}
        self._changed: set[str] = set()

    def apply(self, key: bytes | None, value: bytes | None, partition: int = 0) -> bytes | None:
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
        if known is not None and known.outdates(stats, partition):
            return None
        self._uncount(key)
        told = self._latest[key] = Told.of(stats, partition)
        self._of_model.setdefault((stats.data_type, stats.name), set()).add(key)
        self._of_type.setdefault(stats.data_type, DataTypeStats(stats.data_type)).add(key, stats)
        self._changed.add(stats.data_type)
        if not is_earlier(stats):
            recent, version = stats.recent, (stats.data_type, stats.name, stats.model_version, stats.model_sha256)
            self.history.add(
                version, stats.updated_ms, recent.seconds, (recent.served, recent.rejected), recent.latency_ms
            )
        return told.encoded

    def __contains__(self, data_type: str) -> bool:
        """Whether something was told of a data type."""
        return data_type in self._of_type

    def __iter__(self) -> Iterator[ServingStats]:
        """The messages, by data type and since when they serve."""
        return (told.stats for told in self._sorted())

    def encoded(self) -> list[bytes]:
        """The same, encoded."""
        return [told.encoded for told in self._sorted()]

    def encoded_of(self, data_type: str) -> list[bytes]:
        """Those of a data type."""
        of_type = self._of_type.get(data_type)
        return [] if of_type is None else self._encoded_of(of_type.keys)

    def lately(self, serving: Callable[[str], Iterable[VersionKey]]) -> list[bytes]:
        """Of each data type those of the versions that serve or were told of last, and what is of no version.

        Args:
            serving: tells what serves a data type.
        """
        keys: set[bytes] = set()
        for data_type, of_type in self._of_type.items():
            keys.update(of_type.lately())
            if of_type.has_more:
                keys.update(version_key(data_type, *version) for version in serving(data_type))
        return self._encoded_of(keys & self._latest.keys())

    def totals(self) -> list[bytes]:
        """The sums of each data type, encoded."""
        return [of_type.totals() for _, of_type in sorted(self._of_type.items())]

    def totals_of(self, data_type: str) -> bytes:
        """Those of one; of one that is not known they are 0."""
        return (self._of_type.get(data_type) or DataTypeStats(data_type)).totals()

    def changed(self) -> list[bytes]:
        """The sums of each data type of which something was told since this was asked last."""
        changed, self._changed = self._changed, set()
        return [self.totals_of(data_type) for data_type in sorted(changed)]

    def of_model(self, data_type: str, model: str) -> bytes | None:
        """A model's versions, encoded, with the quantiles over all of them; None if there are none."""
        keys = self._of_model.get((data_type, model))
        if keys is None:
            return None
        found = sorted((self._latest[key] for key in keys), key=_order)
        return mapping(
            data_type=encode(data_type),
            model=encode(model),
            versions=array(told.encoded for told in found),
            latency_ms=_merged(told.stats.latency_sketch for told in found),
            score_time_us=_merged(told.stats.score_time_sketch for told in found),
        )

    def rejected(self, data_type: str | None = None) -> dict[str, int]:
        """Reason → records that were turned away for it, of all data types or of one."""
        total: Counter[str] = Counter()
        for name in self._of_type if data_type is None else self._of_type.keys() & {data_type}:
            total.update(self._of_type[name].rejected)
        return {reason: min(count, GREATEST) for reason, count in sorted(total.items())}

    def _forget(self, key: bytes) -> bytes | None:
        self._uncount(key)
        known = self._latest.pop(key, None)
        if known is None:
            return None
        names = ("data_type", "name", "model_version", "model_sha256")
        return encode({name: getattr(known.stats, name) for name in names})

    def _uncount(self, key: bytes) -> None:
        if key not in self._latest:
            return
        stats = self._latest[key].stats
        of_model = self._of_model[stats.data_type, stats.name]
        of_model.discard(key)
        if not of_model:
            del self._of_model[stats.data_type, stats.name]
        of_type = self._of_type[stats.data_type]
        of_type.remove(key, stats)
        if not of_type.keys:
            del self._of_type[stats.data_type]
        self._changed.add(stats.data_type)

    def _sorted(self) -> list[Told[ServingStats]]:
        return sorted(self._latest.values(), key=_order)

    def _encoded_of(self, keys: Iterable[bytes]) -> list[bytes]:
        return [told.encoded for told in sorted((self._latest[key] for key in keys), key=_order)]


def _order(told: Told[ServingStats]) -> tuple[str, int]:
    return told.stats.data_type, told.stats.since


def _merged(sketches: Iterable[bytes]) -> bytes:
    """The quantiles of all that the sketches have seen, encoded; one that cannot be read is left out."""
    merged = Sketch()
    for encoded in filter(None, sketches):
        try:
            merged.merge(Sketch(encoded))
        except (RuntimeError, ValueError, IndexError, TypeError, MemoryError) as error:
            log.warning("a sketch on the topic cannot be read: %.200s", error)
    return encode(plain(merged.quantiles()))

"""The policies as the topic of statistics tells them: the latest message of each key, which is a data type's."""

from __future__ import annotations

from collections.abc import Iterator

from modelserving.query.history import History
from modelserving.query.told import Told
from modelserving.statistics.keys import policy_key
from modelserving.wire.stats_pb2 import PolicyStats


class PoliciesView:
    """What each data type's policy has decided, decoded for whoever counts and encoded for whoever asks."""

    def __init__(self) -> None:
        self._latest: dict[bytes, Told[PolicyStats]] = {}
        self.history = History()
        """By data type: records decided, those of them at the deadline, and the time to a decision."""

    def apply(self, key: bytes | None, value: bytes | None, partition: int = 0) -> bytes | None:
        """Take in a message of the topic; what it says, encoded, or None if it removes its key, or is older than
        what is known.

        Raises:
            DecodeError: it is not a `PolicyStats`; nothing has changed.
        """
        key = key or b""
        if not value:
            self._latest.pop(key, None)
            return None
        stats = PolicyStats.FromString(value)
        known = self._latest.get(key)
        if known is not None and known.outdates(stats, partition):
            return None
        told = self._latest[key] = Told.of(stats, partition)
        recent = stats.recent
        counts = (recent.decided, recent.at_deadline)
        self.history.add((stats.data_type,), stats.updated_ms, recent.seconds, counts, recent.decision_ms)
        return told.encoded

    def __iter__(self) -> Iterator[PolicyStats]:
        """The messages, by data type."""
        return (told.stats for _, told in sorted(self._latest.items()))

    def encoded(self) -> list[bytes]:
        """The same, encoded."""
        return [told.encoded for _, told in sorted(self._latest.items())]

    def of(self, data_type: str) -> bytes | None:
        """A data type's, encoded; None if it has none."""
        found = self._latest.get(policy_key(data_type))
        return None if found is None else found.encoded

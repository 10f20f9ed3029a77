"""What was told of a key last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from modelserving.query.encoding import encode
from modelserving.query.plain import plain
from modelserving.wire.stats_pb2 import PolicyStats, ServingStats

S = TypeVar("S", ServingStats, PolicyStats)


@dataclass(frozen=True, slots=True)
class Told(Generic[S]):
    """A message of the topic of statistics: decoded for whoever counts, and encoded for whoever asks."""

    stats: S
    encoded: bytes
    partition: int

    @staticmethod
    def of(stats: S, partition: int) -> Told[S]:
        """A message that was read from a partition."""
        return Told(stats, encode(plain(stats)), partition)

    def outdates(self, stats: S, partition: int) -> bool:
        """Whether a message of the same key, which was read after this one, is older.

        The key was in another partition before the topic got more of them. In the same one the order on the log tells:
        the job's machines may have clocks that differ.
        """
        return self.partition != partition and stats.updated_ms < self.stats.updated_ms

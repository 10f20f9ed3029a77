"""Records sent to a job, and what came of them: each is to leave exactly once, scored by the model that serves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from modelserving.topics import Topics
from modelserving.wire.serving_pb2 import Rejected, ServingResult
from tests.flink.messages import wine_record
from tests.kafka_client import TopicReader, produce
from tests.waiting import wait_until

Model = tuple[str, str]
"""Name and version."""


class Flow:
    """Records of some data types, in turn.

    Args:
        before: positions of records that others sent and that are to leave the job too.
    """

    def __init__(
        self, servers: str, topics: Topics, data_types: Sequence[str], before: Sequence[tuple[int, int]] = ()
    ) -> None:
        self._servers = servers
        self._topics = topics
        self._data_types = data_types
        self._sent = list(before)
        self._results = TopicReader(servers, topics.results)
        self._rejected = TopicReader(servers, topics.rejected_records)

    def send(self, count: int) -> list[tuple[int, int]]:
        """Send so many records of each data type; the job may be down. Their positions."""
        records: list[tuple[bytes | None, bytes | None]] = [
            (None, wine_record(number, data_type)) for number in range(count) for data_type in self._data_types
        ]
        positions = produce(self._servers, self._topics.records, records)
        self._sent += positions
        return positions

    def wait(self) -> list[ServingResult]:
        """Until all records sent have left the job: each once, and scored. Their results."""
        wait_until(
            lambda: len(self._results.poll()) + len(self._rejected.poll()) >= len(self._sent),
            describe=lambda: f"{len(self._results.messages)} of {len(self._sent)} scored",
        )
        rejected = [Rejected.FromString(message.value()) for message in self._rejected.messages]
        assert not rejected, rejected[0]
        results = [ServingResult.FromString(message.value()) for message in self._results.messages]
        assert Counter((r.record.partition, r.record.offset) for r in results) == Counter(self._sent)
        return results

    def models(self, positions: Iterable[tuple[int, int]]) -> dict[str, set[Model]]:
        """Data type → the models that scored the records at these positions."""
        asked = set(positions)
        models: dict[str, set[Model]] = {}
        for result in self.wait():
            if (result.record.partition, result.record.offset) in asked:
                models.setdefault(result.data_type, set()).add((result.model_name, result.model_version))
        return models

    def wait_for_models(self, expected: Mapping[str, Model]) -> None:
        """Until each data type is scored by its model."""
        newest: dict[str, set[Model]] = {}

        def serve() -> bool:
            nonlocal newest
            newest = self.models(self.send(10))
            return newest == only(expected)

        wait_until(serve, describe=lambda: f"{newest} serve, not {dict(expected)}")

    def close(self) -> None:
        """Leave the broker."""
        self._results.close()
        self._rejected.close()


def only(models: Mapping[str, Model]) -> dict[str, set[Model]]:
    """As `Flow.models` says that each data type is scored by its model alone."""
    return {data_type: {model} for data_type, model in models.items()}

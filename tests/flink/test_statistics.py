"""Statistics of a running job: what they say, and when; that they are exact after faults, `test_faults.py` shows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelType
from modelserving.wire.stats_pb2 import ServingStats
from tests.flink.conftest import StartJob
from tests.flink.jobs import MiniClusterJob, rest
from tests.flink.messages import example_model, wine_record, wine_records
from tests.kafka_client import TopicReader, produce
from tests.waiting import wait_until

GOOD, BAD, UNKNOWN = 400, 7, 3


class Told:
    """What the topic of statistics has told so far."""

    def __init__(self, servers: str, topics: Topics) -> None:
        self._reader = TopicReader(servers, topics.serving_stats)

    def all(self) -> list[tuple[bytes, ServingStats]]:
        return [(message.key(), ServingStats.FromString(message.value())) for message in self._reader.poll()]

    def newest(self) -> dict[tuple[str, str, str], ServingStats]:
        """By data type, model and version."""
        newest = dict(self.all())
        return {(stats.data_type, stats.name, stats.model_version): stats for stats in newest.values()}

    def wait_for(self, data_type: str, name: str, version: str, served: int) -> ServingStats:
        """Until a version has served so many records, and rests."""
        asked = (data_type, name, version)

        def there() -> bool:
            stats = self.newest().get(asked)
            return stats is not None and stats.served == served and not stats.recent.served

        wait_until(there, describe=lambda: f"{self.newest()}")
        return self.newest()[asked]

    def wait_for_all(self, data_type: str, served: int) -> dict[tuple[str, str, str], ServingStats]:
        """Until all versions of a data type together have served so many records, and rest: one instance may still
        have served the first when the other had begun with the second."""

        def there() -> bool:
            found = [stats for (of, _, _), stats in self.newest().items() if of == data_type]
            return sum(stats.served for stats in found) == served and not any(each.recent.served for each in found)

        wait_until(there, describe=lambda: f"{self.newest()}")
        return self.newest()

    def close(self) -> None:
        self._reader.close()


@pytest.fixture
def told(broker: LocalBroker, topics: Topics) -> Iterator[Told]:
    reader = Told(broker.bootstrap_servers, topics)
    yield reader
    reader.close()


def test_totals_of_each_version(
    join: str, start_job: StartJob, broker: LocalBroker, topics: Topics, told: Told
) -> None:
    servers = broker.bootstrap_servers
    produce(servers, topics.models, [(None, example_model("linear.pmml", version="1", name="linear"))])
    with start_job(join, parallelism=2) as job:
        produce(servers, topics.records, wine_records(GOOD))
        bad = [(None, b"\xff\xff")] * BAD + [(None, wine_record(0, "beer"))] * UNKNOWN
        produce(servers, topics.records, bad)
        first = told.wait_for("wine", "linear", "1", GOOD)
        produce(servers, topics.models, [(None, example_model("tensorflow.pb", version="2", name="graph"))])
        results = TopicReader(servers, topics.results)
        sent = GOOD

        def second_serves() -> bool:
            nonlocal sent
            produce(servers, topics.records, wine_records(10, start=sent))
            sent += 10
            return ("wine", "graph", "2") in told.newest()

        wait_until(second_serves)
        results.wait_for(sent)
        second = told.wait_for_all("wine", sent)["wine", "graph", "2"]
        check_flinks_metrics(job, join, sent, BAD + UNKNOWN)
        results.close()
    assert (first.modelType, second.modelType) == (ModelType.PMML, ModelType.TENSORFLOW)
    assert first.usage == GOOD
    assert 0 < first.min <= first.max <= first.duration
    assert first.latency_ms.count == first.score_time_us.count == GOOD
    assert 0 < first.since <= first.last_served_ms <= second.last_served_ms
    assert sum(second.scores.labels.values()) == second.served
    unasked = {key[0]: dict(stats.rejected) for key, stats in told.newest().items() if not key[1]}
    turned_away = {"MALFORMED": BAD, "UNKNOWN_DATA_TYPE": UNKNOWN}
    assert {reason: count for each in unasked.values() for reason, count in each.items()} == turned_away
    check_pace(told)


def check_pace(told: Told) -> None:
    """No key may be told twice in a second."""
    times: dict[bytes, list[int]] = {}
    for key, stats in told.all():
        times.setdefault(key, []).append(stats.updated_ms)
    for of_key in times.values():
        # Windows end at whole seconds; how soon after it that is noticed varies.
        assert len(of_key) <= (max(of_key) - min(of_key)) / 1000 + 2


def check_flinks_metrics(job: MiniClusterJob, join: str, served: int, rejected: int) -> None:
    """Flink's own counters must come to the same, once they are reported."""

    def counted(name: str) -> float:
        total = 0.0
        for vertex in rest(f"{job.url}/jobs/{job.job}")["vertices"]:
            address = f"{job.url}/jobs/{job.job}/vertices/{vertex['id']}/subtasks/metrics"
            names = [metric["id"] for metric in rest(address) if metric["id"].endswith(name)]
            if names:
                total += sum(metric["sum"] for metric in rest(f"{address}?get={','.join(names)}&agg=sum"))
        return total

    wait_until(
        lambda: (counted("records_served"), counted("records_rejected")) == (served, rejected),
        describe=lambda: f"{join}: {counted('records_served')} served, {counted('records_rejected')} rejected",
    )

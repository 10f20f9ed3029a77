"""A job submitted with `flink run`, stopped with a savepoint, restored at other parallelisms and after a change."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from modelserving.local.broker import LocalBroker
from modelserving.local.cluster import LocalCluster
from modelserving.topics import Topics
from modelserving.wire.serving_pb2 import Rejected, ServingResult
from tests.flink.cluster import local_cluster, stop_with_savepoint, submit
from tests.flink.messages import example_model, unloadable_model, wine_records
from tests.kafka_client import TopicReader, produce
from tests.waiting import wait_until

ONE_MORE_OPERATOR = Path(__file__).with_name("one_more_operator.py")
RECORDS = 2_000


class Flow:
    """Records sent to the job, and what came of them."""

    def __init__(self, broker: LocalBroker, topics: Topics) -> None:
        self._servers = broker.bootstrap_servers
        self._topics = topics
        self._results = TopicReader(self._servers, topics.results)
        self._rejected = TopicReader(self._servers, topics.rejected_records)
        self._sent: list[tuple[int, int]] = []

    def send(self, count: int) -> None:
        """Send records; the job may be down."""
        records = wine_records(count, start=len(self._sent))
        self._sent += produce(self._servers, self._topics.records, records)

    def wait(self) -> None:
        """Until all records sent have left the job, each exactly once and scored by the one good model."""
        wait_until(
            lambda: len(self._results.poll()) + len(self._rejected.poll()) >= len(self._sent),
            describe=lambda: f"{len(self._results.messages)} of {len(self._sent)} scored",
        )
        rejected = [Rejected.FromString(message.value()) for message in self._rejected.messages]
        assert not rejected, rejected[0]
        results = [ServingResult.FromString(message.value()) for message in self._results.messages]
        assert Counter((r.record.partition, r.record.offset) for r in results) == Counter(self._sent)
        assert {(result.model_name, result.model_version) for result in results} == {("tree", "good")}


def test_submitted_stopped_and_restored(join: str, broker: LocalBroker, topics: Topics, tmp_path: Path) -> None:
    servers = broker.bootstrap_servers
    flow = Flow(broker, topics)
    produce(servers, topics.models, [(None, example_model("tree.pmml", version="good")), (None, unloadable_model())])
    with local_cluster(tmp_path) as cluster:
        job = submit(cluster, servers, topics, join, parallelism=2)
        flow.send(RECORDS)
        flow.wait()
        savepoint = restart(cluster, servers, topics, join, job, flow, parallelism=1)
        job = submit(cluster, servers, topics, join, 4, savepoint)
        flow.wait()
        flow.send(RECORDS)
        flow.wait()
        flow.send(RECORDS)  # some of it is under way when the job stops
        savepoint = stop_with_savepoint(cluster, job)
        flow.send(RECORDS)
        job = submit(cluster, servers, topics, join, 2, savepoint, script=ONE_MORE_OPERATOR)
        flow.wait()
        cluster.flink("cancel", job)
    rejected_models = TopicReader(servers, topics.rejected_models).wait_for(1)
    assert len(rejected_models) == 1, "a bad model is rejected once, not again after each restore"


def restart(
    cluster: LocalCluster, servers: str, topics: Topics, join: str, job: str, flow: Flow, parallelism: int
) -> str:
    """Stop the job, restore it at another parallelism, use it, stop it again; the second savepoint."""
    savepoint = stop_with_savepoint(cluster, job)
    flow.send(RECORDS)
    job = submit(cluster, servers, topics, join, parallelism, savepoint)
    flow.wait()
    return stop_with_savepoint(cluster, job)

"""How the JVM gathers records into batches."""

from __future__ import annotations

from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from modelserving.wire.serving_pb2 import ServingResult
from tests.flink.conftest import StartJob
from tests.flink.jobs import rest
from tests.flink.messages import example_model, wine_record
from tests.kafka_client import TopicReader, produce

RECORDS = 2000


def batches(url: str, job: str) -> int:
    """How many have left."""
    (vertex,) = [each for each in rest(f"{url}/jobs/{job}")["vertices"] if "-> batch" in each["name"]]
    return int(vertex["metrics"]["write-records"])


def test_gathered_in_order(join: str, start_job: StartJob, broker: LocalBroker, topics: Topics) -> None:
    servers = broker.bootstrap_servers
    produce(servers, topics.models, [(None, example_model("linear.pmml"))])
    produce(servers, topics.records, [(b"%d" % n, wine_record(n)) for n in range(RECORDS)], partition=0)
    results = TopicReader(servers, topics.results)
    with start_job(join, "--batch-interval", "10000") as job:
        found = results.wait_for(RECORDS)
        assert batches(job.url, job.job) < RECORDS / 10
    offsets = [(message.partition(), ServingResult.FromString(message.value()).record.offset) for message in found]
    for partition in {partition for partition, _ in offsets}:
        of_partition = [offset for other, offset in offsets if other == partition]
        assert of_partition == sorted(of_partition)
    assert sorted(offset for _, offset in offsets) == list(range(RECORDS))
    results.close()

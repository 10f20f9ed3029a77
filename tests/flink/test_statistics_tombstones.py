"""A running job has the topic of statistics forget versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelserving.local.broker import LocalBroker
from modelserving.statistics.earlier import is_earlier
from modelserving.topics import Topics
from modelserving.wire.stats_pb2 import ServingStats
from tests.flink.jobs import MiniClusterJob
from tests.flink.messages import example_model, wine_records
from tests.kafka_client import TopicReader, produce
from tests.waiting import wait_until

SCRIPT = Path(__file__).with_name("forgetful.py")


class ForgetfulJob(MiniClusterJob):
    """The job of `SCRIPT`."""

    def __init__(self, folder: Path, bootstrap_servers: str, topics: Topics, join: str) -> None:
        super().__init__(folder, bootstrap_servers, topics, join)
        self._command[1] = str(SCRIPT)


@pytest.mark.usefixtures("flink_ready")
def test_versions_at_rest_leave_the_topic_and_their_sum_stays(
    tmp_path: Path, broker: LocalBroker, topics: Topics
) -> None:
    servers = broker.bootstrap_servers
    produce(servers, topics.models, [(None, example_model("linear.pmml", version="1", name="linear"))])
    with ForgetfulJob(tmp_path, servers, topics, "keyed"):
        reader = TopicReader(servers, topics.serving_stats)

        def held() -> list[ServingStats]:
            newest = {message.key(): message.value() for message in reader.poll()}
            return [ServingStats.FromString(value) for value in newest.values() if value is not None]

        for sent in (100, 250):
            produce(servers, topics.records, wine_records(sent - sum(stats.served for stats in held())))
            wait_until(
                lambda sent=sent: [(is_earlier(stats), stats.served) for stats in held()] == [(True, sent)],  # type: ignore[misc]
                describe=lambda: f"{held()}",
            )
        told = [message.value() for message in reader.poll()]
        assert None in told
        reader.close()

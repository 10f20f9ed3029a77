"""The page, the API, the terminal and a consumer of the results agree to the record, whatever happened before."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modelserving.demo.query_service import QueryService
from modelserving.local.broker import LocalBroker
from modelserving.local.cluster import LocalCluster
from modelserving.topics import Topics
from tests.faults.processes import supervise, workers
from tests.flink.cluster import local_cluster, submit
from tests.flink.conftest import join  # noqa: F401 - a fixture
from tests.flink.jobs import metric
from tests.flink.messages import example_model, wine_records
from tests.kafka_client import TopicReader, produce
from tests.query.page_browser import Page
from tests.waiting import wait_until

BAD = b"\xff\xff"
pytestmark = pytest.mark.alone
MODELS = ("linear.pmml", "tensorflow.pb", "tree.pmml")


class Traffic:
    """Records sent, and how many of them have left the job."""

    def __init__(self, servers: str, topics: Topics) -> None:
        self.sent = self.bad = 0
        self._servers, self._topics = servers, topics
        self.results = TopicReader(servers, topics.results)
        self.rejected = TopicReader(servers, topics.rejected_records)

    def send(self, good: int, bad: int) -> None:
        produce(self._servers, self._topics.records, wine_records(good, start=self.sent) + [(None, BAD)] * bad)
        self.sent += good
        self.bad += bad

    def wait(self, cluster: LocalCluster) -> None:
        """Until all have left."""

        def have_left() -> bool:
            supervise(cluster)
            return (len(self.results.poll()), len(self.rejected.poll())) == (self.sent, self.bad)

        wait_until(
            have_left,
            # Beam waits a minute for each of several connections of a worker that was killed.
            limit_s=300,
            describe=lambda: (
                f"{len(self.results.messages)} of {self.sent}, {len(self.rejected.messages)} of {self.bad}"
            ),
        )

    def close(self) -> None:
        self.results.close()
        self.rejected.close()


@pytest.fixture
def traffic(broker: LocalBroker, topics: Topics) -> Iterator[Traffic]:
    sender = Traffic(broker.bootstrap_servers, topics)
    yield sender
    sender.close()


def test_all_agree_after_swaps_bad_records_and_a_killed_worker(
    page: Page,
    join: str,  # noqa: F811
    flink_ready: None,  # noqa: ARG001
    broker: LocalBroker,
    topics: Topics,
    traffic: Traffic,
    tmp_path: Path,
) -> None:
    servers = broker.bootstrap_servers
    with (
        local_cluster(tmp_path / "cluster") as cluster,
        QueryService(tmp_path, servers, topics.prefix) as service,
    ):
        job = submit(cluster, servers, topics, join, 2)
        for version, file in enumerate(MODELS):
            produce(servers, topics.models, [(None, example_model(file, version=str(version), name="model"))])
            traffic.send(good=300, bad=5)
            if version == 1:
                workers(cluster)[0].kill()
            traffic.wait(cluster)
        wait_until(
            lambda: metric(cluster.url, job, "numRestarts") >= 1,
            describe=lambda: "no worker was missed",
        )
        by_consumer = (traffic.sent, traffic.bad)
        wait_until(
            lambda: by_api(service.url) == by_consumer, describe=lambda: f"{by_api(service.url)}, not {by_consumer}"
        )
        assert by_terminal(servers, topics) == by_consumer
        page.open(service.url)
        wait_until(
            lambda: (
                (page.figure("Served in all"), page.figure("Records rejected in all"))
                == (f"{traffic.sent:,}", f"{traffic.bad:,}")
            ),
            describe=lambda: page.text("#figures"),
        )
        page.driver.get("about:blank")  # the service ends before the page does


def by_api(url: str) -> tuple[int, int]:
    """Served and rejected, as the query service says."""

    def ask(name: str) -> Any:
        with urllib.request.urlopen(f"{url}api/{name}", timeout=10) as response:  # noqa: S310 - our own address
            return json.load(response)

    return sum(each["served"] for each in ask("stats")["totals"]), ask("rejected")["records"]["total"]


def by_terminal(servers: str, topics: Topics) -> tuple[int, int]:
    """Served and rejected, as `modelserving stats` says."""
    command = [sys.executable, "-m", "modelserving.cli.main", "stats", "--json"]
    command += ["--bootstrap-servers", servers, "--topic-prefix", topics.prefix]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)["stats"]
    return sum(each["served"] for each in told), sum(sum(each["rejected"].values()) for each in told)

"""The savepoints that were kept of the speculative job, restored into today's."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelserving import topics as topics_module
from modelserving.local.broker import LocalBroker
from modelserving.local.cluster import LocalCluster
from modelserving.wire.speculative_pb2 import SpeculativeDecision
from tests.flink.cluster import local_cluster, submit
from tests.flink.jobs import SPECULATIVE_JOB
from tests.kafka_client import TopicReader, produce
from tests.savepoints.make import present_release
from tests.savepoints.speculative import FAST, LANES, SMART, TIMEOUT_MS, KeptSpeculative, kept_speculative, send
from tests.waiting import wait_until

KEPT = kept_speculative()
UNREADABLE = b"\xff\xff"


@pytest.fixture
def cluster(flink_ready: None, tmp_path: Path) -> Iterator[LocalCluster]:  # noqa: ARG001
    with local_cluster(tmp_path / "cluster") as running:
        yield running


def test_this_release_has_one() -> None:
    assert present_release() in {kept.release for kept in KEPT}


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: kept.release)
def test_restored(kept: KeptSpeculative, cluster: LocalCluster, broker: LocalBroker, tmp_path: Path) -> None:
    """Requests in flight are decided, each once; policy and models are those of the state, not of the logs."""
    servers, topics = broker.bootstrap_servers, kept.topics
    topics_module.create(servers, topics, 1)
    known = kept.decided + kept.in_flight
    # What was read cannot be read again unnoticed.
    for topic, count in (
        (topics.records, known),
        (topics.models, kept.models),
        (topics.speculative_control, kept.policies),
    ):
        produce(servers, topic, [(None, UNREADABLE)] * count, 0)
    savepoint = tmp_path / "savepoint"
    shutil.copytree(kept.savepoint, savepoint)
    decisions, rejected = (TopicReader(servers, topic) for topic in (topics.decisions, topics.rejected_records))
    job = submit(
        cluster, servers, topics, None, 2, savepoint.as_uri(), SPECULATIVE_JOB, arguments=["--lanes", str(LANES + 1)]
    )
    try:
        found = read(decisions, kept.in_flight)
        assert sorted(found) == list(range(kept.decided, known))
        assert {each.model_name for each in found.values()} <= {SMART, FAST}
        assert all(vote.model_sha256 for each in found.values() for vote in each.votes if vote.counted)
        sent = 0

        def newest() -> SpeculativeDecision:
            nonlocal sent
            send(servers, topics, known + sent)
            sent += 1
            return read(decisions, kept.in_flight + sent)[known + sent - 1]

        wait_until(lambda: newest().model_name == SMART)
        assert newest().timeout_ms == TIMEOUT_MS
        assert sorted(read(decisions, kept.in_flight + sent)) == list(range(kept.decided, known + sent))
        assert rejected.poll() == []
    finally:
        cluster.flink("cancel", job)
    decisions.close()
    rejected.close()


def read(decisions: TopicReader, count: int) -> dict[int, SpeculativeDecision]:
    """Decisions so far, at least so many, by the record's offset; none twice."""
    found = [SpeculativeDecision.FromString(message.value()) for message in decisions.wait_for(count)]
    by_offset = {each.record.offset: each for each in found}
    assert len(by_offset) == len(found)
    return by_offset

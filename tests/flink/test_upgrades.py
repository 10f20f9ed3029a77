"""The savepoints that were kept of each release, restored into today's job."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from modelserving import topics as topics_module
from modelserving.flink.options import JOINS
from modelserving.local.broker import LocalBroker
from modelserving.local.cluster import LocalCluster
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import EventKind, ModelEvent, Reason, Rejected
from tests.flink.cluster import local_cluster, submit
from tests.flink.flow import Flow, only
from tests.flink.messages import example_model
from tests.kafka_client import TopicReader, produce
from tests.savepoints.kept import DATA_TYPES, Kept, data_types_file, kept_savepoints
from tests.savepoints.make import present_release
from tests.waiting import wait_until

KEPT = kept_savepoints()
RECORDS = 100
UNREADABLE = b"\xff\xff"


@pytest.fixture(scope="module")
def cluster(flink_ready: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:  # noqa: ARG001
    """One for all of them."""
    with local_cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running


def test_each_release_has_one_for_each_join() -> None:
    assert {kept.release for kept in KEPT} >= {"0.1.0", present_release()}
    for release in {kept.release for kept in KEPT}:
        assert {kept.join for kept in KEPT if kept.release == release} == set(JOINS)


@pytest.mark.parametrize("kept", KEPT, ids=[f"{kept.release}-{kept.join}" for kept in KEPT])
def test_restored(kept: Kept, cluster: LocalCluster, broker: LocalBroker, tmp_path: Path) -> None:
    servers = broker.bootstrap_servers
    lay_out(kept, servers)
    held = [
        (partition, scored + number)
        for partition, (scored, held) in enumerate(zip(kept.scored, kept.held, strict=True))
        for number in range(held)
    ]
    assert held or kept.release not in ("0.1.0", "0.2.0"), "windows held records"
    flow = Flow(servers, kept.topics, DATA_TYPES, before=held)
    waiting = flow.send(RECORDS)
    savepoint = tmp_path / "savepoint"
    shutil.copytree(kept.savepoint, savepoint)
    options = ["--data-types", str(data_types_file(tmp_path))]
    job = submit(cluster, servers, kept.topics, kept.join, 2, savepoint.as_uri(), arguments=options)
    try:
        assert flow.models([*held, *waiting]) == only(kept.serving)
        knows_what_serves(kept, servers)
        falls_back_to_what_served(kept, servers, flow)
        has_its_schedule(kept, servers)
    finally:
        cluster.flink("cancel", job)
    flow.close()


def lay_out(kept: Kept, servers: str) -> None:
    """Topics as the savepoint expects them. What was read already cannot be read again unnoticed."""
    topics_module.create(servers, kept.topics, len(kept.scored))
    for partition, count in enumerate(map(sum, zip(kept.scored, kept.held, strict=True))):
        produce(servers, kept.topics.records, [(None, UNREADABLE)] * count, partition)
    models = kept.models
    models[kept.serving_offset("wine")] = example_model("linear.pmml", "wine", "from the log, not from the state")
    produce(servers, kept.topics.models, [(None, message) for message in models])


def knows_what_serves(kept: Kept, servers: str) -> None:
    """Admission takes the serving descriptor, sent again, for no news, and another by its name for a conflict."""
    name, version = kept.serving["red"]
    again = kept.models[kept.serving_offset("red")]
    forged = example_model("tree.pmml", "red", version, name)
    produce(servers, kept.topics.models, [(None, again), (None, forged)])
    rejected = TopicReader(servers, kept.topics.rejected_models)
    turned_away = [Rejected.FromString(message.value()) for message in rejected.wait_for(1)]
    rejected.close()
    assert [(one.reason, one.model_name, one.model_version) for one in turned_away] == [
        (Reason.CONFLICT, name, version)
    ]
    events = TopicReader(servers, kept.topics.model_events)

    def kinds() -> set[EventKind]:
        told = [ModelEvent.FromString(message.value()) for message in events.poll()]
        return {event.kind for event in told if event.data_type == "red"}

    wait_until(lambda: EventKind.REJECTED in kinds(), describe=lambda: f"{kinds()}")
    assert EventKind.ADMITTED not in kinds()
    events.close()


def falls_back_to_what_served(kept: Kept, servers: str, flow: Flow) -> None:
    """What served when the savepoint was made is the last good one of a newer model."""
    newer = example_model("tree.pmml", "red", version="newer")
    produce(servers, kept.topics.models, [(None, newer)])
    flow.wait_for_models({**kept.serving, "red": ("tree", "newer")})
    retirement = ModelDescriptor(name="tree", dataType="red", retire=True).SerializeToString()
    produce(servers, kept.topics.models, [(None, retirement)])
    flow.wait_for_models(kept.serving)


def has_its_schedule(kept: Kept, servers: str) -> None:
    """What waited for its activation time still does: there is something to retire."""
    retirements = [
        ModelDescriptor(name=name, dataType=data_type, version=version, retire=True)
        for data_type, (name, version) in kept.scheduled.items()
    ]
    messages = [(None, retirement.SerializeToString()) for retirement in retirements]
    positions = produce(servers, kept.topics.models, messages)
    events = TopicReader(servers, kept.topics.model_events)

    def missing() -> set[int]:
        told = [ModelEvent.FromString(message.value()) for message in events.poll()]
        return {offset for _, offset in positions} - {
            event.position.offset for event in told if event.kind == EventKind.RETIRED
        }

    wait_until(lambda: not missing(), describe=lambda: f"nothing was retired by the messages at {missing()}")
    events.close()

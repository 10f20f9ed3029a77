"""The savepoints of the speculative job: requests in flight, a policy, and the models that it asks."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from confluent_kafka import Consumer, TopicPartition

from modelserving import topics as topics_module
from modelserving.local.cluster import LocalCluster
from modelserving.topics import Topics
from modelserving.wire.speculative_pb2 import SpeculativeControl, SpeculativeDecision
from tests.faults.processes import model_processes
from tests.flink.cluster import submit, take_savepoint
from tests.flink.jobs import SPECULATIVE_JOB
from tests.flink.messages import example_model, wine_record
from tests.kafka_client import TopicReader, produce
from tests.savepoints.kept import FOLDER
from tests.waiting import LIMIT_S, wait_until

KIND = "speculative"
SMART, FAST = "smart", "fast"
LANES = 2
TIMEOUT_MS = 60_000
WAITING = 20
"""Records that are on their way when the savepoint is made."""
AT_REST_S = 5.0
"""Longer than statistics are told after what they are about."""
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class KeptSpeculative:
    """A savepoint of the speculative job, and what a broker must hold for it to be restored."""

    release: str
    topic_prefix: str
    """The savepoint names its topics."""
    decided: int
    """Records from offset 0 on, of one partition, that were decided before."""
    in_flight: int
    """Those after them: they are in the savepoint."""
    models: int
    """Messages on the model log; the savepoint is after all of them."""
    policies: int
    """The same of the control stream."""

    @property
    def topics(self) -> Topics:
        """The topics that the savepoint names."""
        return Topics(self.topic_prefix)

    @property
    def savepoint(self) -> Path:
        """Flink's files."""
        return FOLDER / self.release / KIND / "savepoint"


def kept_speculative() -> list[KeptSpeculative]:
    """All that are kept."""
    return [KeptSpeculative(**json.loads(file.read_text())) for file in sorted(FOLDER.glob(f"*/{KIND}/{_MANIFEST}"))]


def make_speculative(release: str, servers: str, cluster: LocalCluster) -> Path:
    """Have two models asked, stop the job while the slow one is far behind, and keep its savepoint; the folder."""
    topics = Topics(f"kept-{release}-{KIND}-")
    topics_module.create(servers, topics, 1)
    models = [example_model("smoothed.pb", "wine", "1", SMART), example_model("tensorflow.pb", "wine", "1", FAST)]
    produce(servers, topics.models, [(None, model) for model in models])
    policies = [
        SpeculativeControl(datatype="wine", tmout=tmout, models=[SMART, FAST]).SerializeToString()
        for tmout in (5_000, TIMEOUT_MS)
    ]
    produce(servers, topics.speculative_control, [(None, policies[0])])
    arguments = ["--lanes", str(LANES), "--lane-queue", str(2 * WAITING)]
    job = submit(cluster, servers, topics, None, 1, script=SPECULATIVE_JOB, arguments=arguments)
    decisions = TopicReader(servers, topics.decisions)
    sent = 0

    def newest() -> SpeculativeDecision:
        nonlocal sent
        send(servers, topics, sent)
        sent += 1
        return SpeculativeDecision.FromString(decisions.wait_for(sent)[-1].value())

    wait_until(lambda: newest().model_name == SMART, 2 * LIMIT_S)
    produce(servers, topics.speculative_control, [(None, policies[1])])
    wait_until(lambda: newest().timeout_ms == TIMEOUT_MS)
    decided = sent
    # Nothing else stops a model for as long as it takes until all else is at rest.
    smart = max(model_processes(cluster), key=lambda process: process.cpu_times().user)
    smart.suspend()
    for _ in range(WAITING):
        send(servers, topics, sent)
        sent += 1
    wait_until(lambda: read(servers, topics) == sent, describe=lambda: f"{read(servers, topics)} of {sent} read")
    wait_until_at_rest(servers, topics)
    savepoint = take_savepoint(cluster.url, job)
    assert len(decisions.poll()) == decided, "something was decided meanwhile"
    smart.resume()
    cluster.flink("cancel", job)
    decisions.close()
    kept = KeptSpeculative(release, topics.prefix, decided, sent - decided, len(models), len(policies))
    folder = FOLDER / release / KIND
    folder.mkdir(parents=True)
    (folder / _MANIFEST).write_text(json.dumps(asdict(kept), indent=2) + "\n")
    shutil.copytree(savepoint, kept.savepoint)
    return folder


def send(servers: str, topics: Topics, number: int) -> None:
    """Send a record."""
    produce(servers, topics.records, [(b"%d" % number, wine_record(number))], 0)


def wait_until_at_rest(servers: str, topics: Topics) -> None:
    """Until the job has written nothing for a while: none of its transactions is open then, or waits for its commit."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "at-rest", "isolation.level": "read_uncommitted"})
    seen: list[tuple[int, ...]] = []
    since_s = 0.0

    def rests() -> bool:
        nonlocal since_s
        ends = tuple(
            consumer.get_watermark_offsets(TopicPartition(topic, partition), LIMIT_S)[1]
            for topic in topics.written_speculative
            for partition in consumer.list_topics(topic, LIMIT_S).topics[topic].partitions
        )
        if seen[-1:] != [ends]:
            seen.append(ends)
            since_s = time.monotonic()
        return time.monotonic() - since_s > AT_REST_S

    wait_until(rests)
    consumer.close()


def read(servers: str, topics: Topics) -> int:
    """How many records a checkpoint of the job says that it has read."""
    group = {"bootstrap.servers": servers, "group.id": f"{topics.prefix}speculative-serving"}
    consumer = Consumer(group)
    (position,) = consumer.committed([TopicPartition(topics.records, 0)], LIMIT_S)
    consumer.close()
    return max(0, int(position.offset))

"""Makes the savepoints of the present release: `python -m tests.savepoints.make`.

There is one for each join, and one of the speculative job.

Run it when a release is made, with the code of the release; `tests/flink/test_upgrades.py` and
`test_speculative_upgrades.py` restore what it leaves here.
"""

from __future__ import annotations

import shutil
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from modelserving import topics as topics_module
from modelserving.events import ADMISSION
from modelserving.flink.options import JOINS
from modelserving.local.broker import LocalBroker, free_port
from modelserving.local.cluster import LocalCluster
from modelserving.pieces import PIECE_BYTES
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import EventKind, ModelEvent, ServingResult
from modelserving.wire.stats_pb2 import ServingStats
from tests.flink.cluster import local_cluster, submit, take_savepoint
from tests.flink.jobs import ROOT
from tests.flink.messages import example_model, unloadable_model, wine_record
from tests.kafka_client import TopicReader, produce
from tests.savepoints.kept import DATA_TYPES, FOLDER, Kept, data_types_file
from tests.savepoints.speculative import KIND, make_speculative
from tests.waiting import wait_until

PARTITIONS = 4
PARALLELISM = 2
RECORDS = 30
"""Sent to each partition at a time."""
YEAR_2200_MS = 7_258_118_400_000


def scheduled(model: bytes) -> bytes:
    """The descriptor with an activation time that does not come."""
    descriptor = ModelDescriptor.FromString(model)
    descriptor.activation_ms = YEAR_2200_MS
    return descriptor.SerializeToString()


def in_pieces(model: bytes) -> bytes:
    """The descriptor with so many blanks in its document that it is kept in pieces."""
    descriptor = ModelDescriptor.FromString(model)
    descriptor.data += b" " * PIECE_BYTES
    return descriptor.SerializeToString()


@dataclass(frozen=True, slots=True)
class Stage:
    """Models published together, and what serves when all of them were judged."""

    models: tuple[bytes, ...]
    serving: Mapping[str, tuple[str, str]]


STAGES = (
    Stage(
        (
            example_model("linear.pmml", "wine", version="1"),
            example_model("linear.pmml", "red", version="1"),
            in_pieces(example_model("linear.pmml", "white", version="1")),
        ),
        dict.fromkeys(DATA_TYPES, ("linear", "1")),
    ),
    Stage(
        (
            unloadable_model("wine"),
            example_model("tensorflow.pb", "wine", version="2"),
            example_model("glm.pmml", "red", version="2"),
            unloadable_model("red"),
        ),
        {"wine": ("tensorflow", "2"), "red": ("glm", "2"), "white": ("linear", "1")},
    ),
    Stage(
        (
            example_model("linear.pmml", "wine", version="1"),  # a rollback
            example_model("linear.pmml", "red", version="3"),
            scheduled(example_model("glm.pmml", "white", version="2")),
        ),
        {"wine": ("linear", "1"), "red": ("linear", "3"), "white": ("linear", "1")},
    ),
    Stage(
        (ModelDescriptor(name="linear", dataType="red", version="3", retire=True).SerializeToString(),),
        {"wine": ("linear", "1"), "red": ("glm", "2"), "white": ("linear", "1")},
    ),
)
"""Each message is admitted, rejected, scheduled or retires something: none goes without an event."""
_JUDGED = {EventKind.ADMITTED, EventKind.REJECTED, EventKind.SCHEDULED, EventKind.RETIRED}


def main() -> None:
    """Make those that this release does not have."""
    release = present_release()
    missing = [kind for kind in (*JOINS, KIND) if not (FOLDER / release / kind).exists()]
    if not missing:
        sys.exit(
            f"{FOLDER / release} is there already; take away what is to be made anew if release {release} is not out"
        )
    with TemporaryDirectory(prefix="savepoints-") as name:
        folder = Path(name)
        with LocalBroker(folder / "kafka", free_port()) as broker, local_cluster(folder / "flink") as cluster:
            for kind in missing:
                if kind == KIND:
                    made = make_speculative(release, broker.bootstrap_servers, cluster)
                else:
                    made = make(release, kind, broker.bootstrap_servers, cluster).folder
                size = sum(file.stat().st_size for file in made.rglob("*"))
                print(f"{made.relative_to(ROOT)}: {size / 1000:.0f} kB")


def present_release() -> str:
    """The version that `pyproject.toml` says."""
    version: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    return version


def make(release: str, join: str, servers: str, cluster: LocalCluster) -> Kept:
    """Run the job through all stages, and keep a savepoint."""
    topics = Topics(f"kept-{release}-{join}-")
    topics_module.create(servers, topics, PARTITIONS)
    options = ["--data-types", str(data_types_file(cluster.folder))]
    job = submit(cluster, servers, topics, join, PARALLELISM, arguments=options)
    results = TopicReader(servers, topics.results)
    events = TopicReader(servers, topics.model_events)
    sent = published = 0
    for stage in STAGES:
        produce(servers, topics.models, [(None, model) for model in stage.models])
        published += len(stage.models)
        wait_until_judged(events, published)
        serving: dict[str, tuple[str, str]] = {}
        while serving != stage.serving:
            sent += send(servers, topics, sent)
            newest = results.wait_for(sent)[-RECORDS * PARTITIONS :]
            scores = [ServingResult.FromString(message.value()) for message in newest]
            serving = {score.data_type: (score.model_name, score.model_version) for score in scores}
    wait_until_at_rest(servers, topics)
    savepoint = take_savepoint(cluster.url, job)
    cluster.flink("cancel", job)
    results.close()
    events.close()
    kept = Kept(
        release=release,
        join=join,
        parallelism=PARALLELISM,
        topic_prefix=topics.prefix,
        scored=(sent // PARTITIONS,) * PARTITIONS,
        held=(0,) * PARTITIONS,
        model_log=tuple(in_words(model) for stage in STAGES for model in stage.models),
        serving=dict(STAGES[-1].serving),
        scheduled={
            model.dataType: (model.name, model.version)
            for model in (ModelDescriptor.FromString(message) for stage in STAGES for message in stage.models)
            if model.activation_ms
        },
    )
    kept.write([model for stage in STAGES for model in stage.models])
    shutil.copytree(savepoint, kept.savepoint)
    return kept


def send(servers: str, topics: Topics, start: int) -> int:
    """Send records of all data types to all partitions; how many."""
    for partition in range(PARTITIONS):
        numbers = range(start + partition * RECORDS, start + (partition + 1) * RECORDS)
        records = [(b"%d" % number, wine_record(number, DATA_TYPES[number % len(DATA_TYPES)])) for number in numbers]
        produce(servers, topics.records, records, partition)
    return PARTITIONS * RECORDS


def wait_until_judged(events: TopicReader, count: int) -> None:
    """Until admission has decided about so many messages of the model log."""

    def judged() -> int:
        told = [ModelEvent.FromString(message.value()) for message in events.poll()]
        return len({event.position.offset for event in told if event.instance == ADMISSION and event.kind in _JUDGED})

    wait_until(lambda: judged() == count, describe=lambda: f"{judged()} of {count} models judged")


def wait_until_at_rest(servers: str, topics: Topics) -> None:
    """Until the job has told, and committed, that nothing comes any more: then none of its transactions is open."""
    reader = TopicReader(servers, topics.serving_stats)

    def busy() -> list[str]:
        newest = {message.key(): ServingStats.FromString(message.value()) for message in reader.poll()}
        return [f"{each.data_type} {each.name}" for each in newest.values() if each.recent.served]

    wait_until(lambda: reader.poll() and not busy(), describe=lambda: f"not at rest: {busy()}")
    reader.close()


def in_words(model: bytes) -> str:
    """Which model a message is about."""
    descriptor = ModelDescriptor.FromString(model)
    kind = ", a retirement" if descriptor.retire else ", scheduled" if descriptor.activation_ms else ""
    return f"{descriptor.dataType}: {descriptor.name} {descriptor.version}".rstrip() + kind


if __name__ == "__main__":
    main()

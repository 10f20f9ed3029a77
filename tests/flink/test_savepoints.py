"""A job submitted with `flink run`, stopped with savepoints, restored at other parallelisms and after changes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from confluent_kafka import OFFSET_END, TopicPartition
from confluent_kafka.admin import AdminClient

from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelType
from modelserving.wire.stats_pb2 import ServingStats
from tests.flink.cluster import local_cluster, stop_with_savepoint, submit
from tests.flink.flow import Flow, only
from tests.flink.jobs import JOB
from tests.flink.messages import example_model, model, wine_table
from tests.kafka_client import TopicReader, produce
from tests.waiting import LIMIT_S, wait_until

DATA_TYPES = [f"wine-{number}" for number in range(6)]
"""Enough of them to find each instance of a keyed join."""
RECORDS = 300
"""Of each data type, each time."""
HERE = Path(__file__).parent
STEPS = [
    (1, HERE / "renamed_functions.py"),
    (2, HERE / "one_more_operator.py"),
    (4, HERE / "later_state.py"),
    (2, JOB),  # which knows nothing of the states and fields of the later release
]


def test_restored_at_other_parallelisms_and_after_changes(
    flink_ready: None,  # noqa: ARG001
    join: str,
    broker: LocalBroker,
    topics: Topics,
    tmp_path: Path,
) -> None:
    servers = broker.bootstrap_servers
    flow = Flow(servers, topics, DATA_TYPES)
    configuration = tmp_path / "data-types.toml"
    configuration.write_text("\n".join(wine_table(name) for name in DATA_TYPES))
    # With so long an interval records are being gathered whenever the job stops.
    options = ["--data-types", str(configuration), "--batch-interval", "10000"]
    with local_cluster(tmp_path) as cluster:
        job = submit(cluster, servers, topics, join, parallelism=3, arguments=options)
        serving = dict.fromkeys(DATA_TYPES, ("linear", "1"))
        models = [example_model("linear.pmml", data_type, version="1") for data_type in DATA_TYPES]
        models.append(model(b"not a document", ModelType.PMML, DATA_TYPES[0], name="text"))
        produce(servers, topics.models, [(None, message) for message in models])
        flow.send(RECORDS)
        flow.wait_for_models(serving)
        for number, (parallelism, script) in enumerate(STEPS):
            flow.send(RECORDS)  # some of it is under way when the job stops
            savepoint = stop_with_savepoint(cluster, job)
            waiting = flow.send(RECORDS)
            forget_model_log(servers, topics)
            job = submit(cluster, servers, topics, join, parallelism, savepoint, script, options)
            assert flow.models(waiting) == only(serving), f"restored by {script.name}"
            version = f"after {script.stem}"
            produce(servers, topics.models, [(None, example_model("glm.pmml", DATA_TYPES[number], version))])
            serving[DATA_TYPES[number]] = ("glm", version)
            flow.wait_for_models(serving)
        check_statistics(servers, topics, Counter(result.data_type for result in flow.wait()))
        cluster.flink("cancel", job)
    rejected_models = TopicReader(servers, topics.rejected_models)
    assert len(rejected_models.wait_for(1)) == 1, "a bad model is rejected once, not again after each restore"
    rejected_models.close()
    flow.close()


def check_statistics(servers: str, topics: Topics, results: Mapping[str, int]) -> None:
    """The statistics must have counted every result, across all restores."""
    reader = TopicReader(servers, topics.serving_stats)

    def served() -> dict[str, int]:
        newest = {message.key(): ServingStats.FromString(message.value()) for message in reader.poll()}
        counted: Counter[str] = Counter()
        for stats in newest.values():
            counted[stats.data_type] += stats.served
        return dict(counted)

    wait_until(lambda: served() == dict(results), describe=lambda: f"{served()}, not {dict(results)}")
    reader.close()


def forget_model_log(servers: str, topics: Topics) -> None:
    """Delete the messages of the model log: what serves from now on comes from the savepoint."""
    client = AdminClient({"bootstrap.servers": servers})
    for deleted in client.delete_records([TopicPartition(topics.models, 0, OFFSET_END)]).values():
        deleted.result(LIMIT_S)

"""A job that starts on a backlog of models and records: every record is scored by the newest good model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from modelserving.wire.serving_pb2 import Reason, Rejected, ServingResult
from tests.flink.conftest import StartJob
from tests.flink.messages import example_model, wine_record, wine_table
from tests.kafka_client import TopicReader, produce
from tests.model_cases import MALFORMED, changed

DATA_TYPES = ("red", "white", "rose")
FILES = ("tree.pmml", "tensorflow.pb", "saved-model.zip", "neural-network.pmml", "linear.pmml")
RECORDS = 3_000


def models() -> list[bytes | None]:
    """The backlog: for each data type five models, in turn; after them bad ones, which are the newest of white."""
    good: list[bytes | None] = [
        example_model(file, data_type, version=str(version))
        for version, file in enumerate(FILES)
        for data_type in DATA_TYPES
    ]
    bad = changed(dataType="white", name="text", data=b"a text")
    return [bad, *good, bad, MALFORMED["random bytes"], bad]


def test_backlog_on_both_topics(
    join: str, start_job: StartJob, broker: LocalBroker, topics: Topics, tmp_path: Path
) -> None:
    servers = broker.bootstrap_servers
    configuration = tmp_path / "data-types.toml"
    configuration.write_text("\n".join(wine_table(name) for name in DATA_TYPES))
    records = [(None, wine_record(number, DATA_TYPES[number % len(DATA_TYPES)])) for number in range(RECORDS)]
    positions = produce(servers, topics.records, records)
    produce(servers, topics.models, [(None, message) for message in models()])
    results = TopicReader(servers, topics.results)
    rejected = TopicReader(servers, topics.rejected_records)
    rejected_models = TopicReader(servers, topics.rejected_models)
    with start_job(join, "--data-types", str(configuration), parallelism=2) as job:
        scored = [ServingResult.FromString(message.value()) for message in results.wait_for(RECORDS)]
        turned_away = [Rejected.FromString(message.value()) for message in rejected_models.wait_for(4)]
        assert rejected.poll() == []
        assert job.restarts() == 0
    assert Counter((result.record.partition, result.record.offset) for result in scored) == Counter(positions)
    last = str(len(FILES) - 1)
    assert {(result.data_type, result.model_name, result.model_version) for result in scored} == {
        (data_type, "linear", last) for data_type in DATA_TYPES
    }
    assert Counter(Reason.Name(one.reason) for one in turned_away) == {"UNLOADABLE": 3, "MALFORMED": 1}
    for reader in (results, rejected, rejected_models):
        reader.close()

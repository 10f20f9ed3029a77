"""At any parallelism every subtask of every stage gets batches."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from tests.flink.conftest import StartJob
from tests.flink.jobs import records_by_subtask
from tests.flink.messages import example_model, wine_record
from tests.kafka_client import produce
from tests.waiting import wait_until

# The keyed join gives a data type to one subtask, so there are enough of them to find each one.
DATA_TYPES = [f"wine-{number}" for number in range(32)]


def many_data_types(folder: Path) -> Path:
    """A configuration of many data types that share the wine record."""
    descriptor_set = Path(__file__).parents[2] / "modelserving" / "wire" / "wine.binpb"
    features = ", ".join(f'{{ name = "{name}" }}' for name in ("alcohol", "sulphates"))
    tables = [
        f"[data_types.{name}]\n"
        f'codec = "protobuf"\ndescriptor_set = "{descriptor_set}"\nmessage = "modelserving.WineRecord"\n'
        f'route = {{ by = "field", field = "dataType" }}\nfeatures = [{features}]\n'
        for name in DATA_TYPES
    ]
    file = folder / "data-types.toml"
    file.write_text("\n".join(tables))
    return file


@pytest.mark.parametrize("parallelism", [2, 4])
def test_every_subtask_of_every_stage_gets_batches(
    join: str, parallelism: int, start_job: StartJob, broker: LocalBroker, topics: Topics, tmp_path: Path
) -> None:
    servers = broker.bootstrap_servers
    bad_models = [(None, example_model("tree.pmml", name)) for name in DATA_TYPES]
    configuration = str(many_data_types(tmp_path))
    with start_job(join, "--data-types", configuration, parallelism=parallelism) as job:
        produce(servers, topics.models, bad_models)
        for partition in range(4):
            records = [(None, wine_record(number, DATA_TYPES[number % len(DATA_TYPES)])) for number in range(320)]
            produce(servers, topics.records, records, partition)

        def idle() -> dict[str, list[int]]:
            counts = records_by_subtask(job.url, job.job)
            # The model log has one partition, so its source has one subtask that works, and no savepoint was restored;
            # all others are to be busy.
            spared = ("model_log", "restored-windows")
            return {name: each for name, each in counts.items() if 0 in each and not any(s in name for s in spared)}

        wait_until(lambda: not idle(), describe=lambda: f"idle: {idle()}")
        counts = records_by_subtask(job.url, job.job)
        assert any("join" in name and len(each) == parallelism for name, each in counts.items()), counts

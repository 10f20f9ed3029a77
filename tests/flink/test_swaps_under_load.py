"""Models swapped while records flow, good and bad ones in turn: each record is scored once, by an admitted model."""

from __future__ import annotations

from bench.load import Load, ModelLog
from bench.results import wait_for_version
from bench.swap_models import ModelMaker
from bench.swap_results import read, wrong
from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from tests.flink.conftest import StartJob
from tests.waiting import LIMIT_S

RATE = 500
VERSIONS = (8, 9, 19, 24, 28, 29, 30, 39, 40, 44, 49, 58, 59, 60)
"""All three types, up to 1.7 MB; those that end in 9 are bad, each in a way of its own."""


def test_swaps_under_load(join: str, start_job: StartJob, broker: LocalBroker, topics: Topics) -> None:
    servers = broker.bootstrap_servers
    models, log = ModelMaker("wine"), ModelLog(servers, topics.models)
    # Without a model, the first records would be rejected.
    log.publish(models.make(0))
    with start_job(join, parallelism=2) as job:
        with Load(servers, topics.records, RATE):
            wait_for_version(servers, topics.results, "0", LIMIT_S)
            for version in VERSIONS:
                model = models.make(version)
                log.publish(model)
                if not model.fault:
                    wait_for_version(servers, topics.results, str(version), LIMIT_S)
        reading = read(servers, topics, log.published)
        assert job.restarts() == 0
    assert wrong(reading, log.published) == []
    good = {model.number for model in log.published if not model.fault}
    assert set(reading.account.results.version.tolist()) == good
    assert len(log.published) - len(good) == 6

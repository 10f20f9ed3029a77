"""Nothing is lost, nothing doubled: every record leaves exactly once, as a result or rejected."""

from __future__ import annotations

from collections import Counter

from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from modelserving.wire.serving_pb2 import Reason, Rejected, ServingResult
from tests.flink.conftest import StartJob
from tests.flink.messages import example_model, wine_record
from tests.kafka_client import TopicReader, produce
from tests.waiting import wait_until

RECORDS = 50_000
SWAPS = 10
MODELS = ("tensorflow.pb", "linear.pmml", "saved-model.zip")
PROBE = 100
BAD = b"\xff\xff"


def test_50_000_records_with_ten_swaps_and_bad_records(
    join: str, start_job: StartJob, broker: LocalBroker, topics: Topics
) -> None:
    servers = broker.bootstrap_servers
    results = TopicReader(servers, topics.results)
    rejected = TopicReader(servers, topics.rejected_records)
    sent: dict[tuple[int, int], int] = {}

    def send(count: int) -> None:
        """Send the next records, 1 % of them bad."""
        numbers = range(len(sent), min(len(sent) + count, RECORDS))
        messages = [(b"%d" % number, BAD if number % 100 == 50 else wine_record(number)) for number in numbers]
        sent.update(zip(produce(servers, topics.records, messages), numbers, strict=True))

    def answered() -> bool:
        return len(results.poll()) + len(rejected.poll()) >= len(sent)

    with start_job(join, parallelism=2) as job:
        for swap in range(SWAPS + 1):
            model = example_model(MODELS[swap % len(MODELS)], version=str(swap))
            produce(servers, topics.models, [(None, model)])
            serving = ""
            while serving != str(swap):  # each version must have its turn, so records flow until it has
                send(PROBE)
                wait_until(answered, describe=lambda: f"{len(sent)} sent, {len(results.messages)} scored")
                serving = ServingResult.FromString(results.messages[-1].value()).model_version
            send(RECORDS // (SWAPS + 2))
        send(RECORDS)
        wait_until(answered, describe=lambda: f"{len(sent)} sent, {len(results.messages)} scored")
        assert job.restarts() == 0
    scored = [ServingResult.FromString(message.value()) for message in results.poll()]
    turned_away = [Rejected.FromString(message.value()) for message in rejected.poll()]
    positions = [(result.record.partition, result.record.offset) for result in scored]
    positions += [(record.position.partition, record.position.offset) for record in turned_away]
    assert len(sent) == RECORDS
    assert Counter(positions) == Counter(sent.keys())
    assert len(turned_away) == RECORDS // 100
    assert {(record.reason, record.original) for record in turned_away} == {(Reason.MALFORMED, BAD)}
    for message, result in zip(results.messages, scored, strict=True):
        assert message.key() == b"%d" % sent[result.record.partition, result.record.offset]
    assert {result.model_version for result in scored} == {str(swap) for swap in range(SWAPS + 1)}
    results.close()
    rejected.close()

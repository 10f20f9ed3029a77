"""Bad models, each by name, in a running job: rejected once, and the good one goes on serving."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from modelserving.admission import data_type_of
from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from modelserving.wire.serving_pb2 import Reason, Rejected, ServingResult
from tests.flink.conftest import StartJob
from tests.flink.jobs import rest
from tests.flink.messages import example_model, wine_records
from tests.kafka_client import TopicReader, produce
from tests.model_cases import MALFORMED, UNLOADABLE, changed
from tests.waiting import wait_until

FIRST = example_model("tensorflow.pb", name="first", version="1")
SECOND = example_model("linear.pmml", name="second", version="2")
COUNTERS = ("models_admitted", "models_rejected", "models_repeated")
CASES: dict[str, tuple[bytes | None, Reason]] = {
    **{name: (message, Reason.MALFORMED) for name, message in MALFORMED.items()},
    **{name: (message, Reason.UNLOADABLE) for name, message in UNLOADABLE.items()},
    "unknown data type": (changed(dataType="beer"), Reason.UNKNOWN_DATA_TYPE),
    "location outside the roots": (changed(location="file:///etc/passwd"), Reason.LOCATION),
    "another digest than the bytes have": (changed(sha256="ab" * 32), Reason.CONFLICT),
}


def counters(url: str, job: str) -> dict[str, int]:
    """The counters of admission, over all its subtasks; Flink gathers them every few seconds."""
    (vertex,) = (each["id"] for each in rest(f"{url}/jobs/{job}")["vertices"] if "admission" in each["name"])
    address = f"{url}/jobs/{job}/vertices/{vertex}/subtasks/metrics"
    names = [each["id"] for each in rest(address) if re.search(r"\.models_\w+$", each["id"])]
    counts: dict[str, int] = dict.fromkeys(COUNTERS, 0)
    for each in rest(f"{address}?get={','.join(names)}") if names else []:
        counts[each["id"].rpartition(".")[2]] += int(each["sum"])
    return counts


def test_bad_models(join: str, start_job: StartJob, broker: LocalBroker, topics: Topics) -> None:
    servers = broker.bootstrap_servers
    results = TopicReader(servers, topics.results)
    rejected = TopicReader(servers, topics.rejected_models)
    sent = 0

    def send_records(count: int) -> None:
        nonlocal sent
        produce(servers, topics.records, wine_records(count, start=sent))
        sent += count

    def answers() -> list[str]:
        """Name and version of the model of each result so far, once all records sent have one."""
        scored = [ServingResult.FromString(message.value()) for message in results.wait_for(sent)]
        assert len(scored) == sent
        return [f"{result.model_name} {result.model_version}" for result in scored]

    def wait_for_counts(*counts: int) -> None:
        due = dict(zip(COUNTERS, counts, strict=True))
        wait_until(
            lambda: counters(job.url, job.job) == due,
            describe=lambda: f"{counters(job.url, job.job)} instead of {due}",
        )

    produce(servers, topics.models, [(None, FIRST)])
    with start_job(join, parallelism=2) as job:
        send_records(20)
        assert set(answers()) == {"first 1"}
        messages = [(None, message) for message, _ in CASES.values()]
        offsets = [offset for _, offset in produce(servers, topics.models, messages)]
        send_records(20)
        wait_until(
            lambda: len(rejected.poll()) >= len(CASES),
            describe=lambda: f"{faults(rejected.messages, offsets, topics.models)}, restarts: {job.restarts()}",
        )
        produce(servers, topics.models, [(None, FIRST), (None, FIRST)])
        wait_for_counts(1, len(CASES), 2)
        send_records(20)
        assert set(answers()) == {"first 1"}
        # What came through all that still takes a good model.
        produce(servers, topics.models, [(None, SECOND)])
        wait_for_counts(2, len(CASES), 2)
        while "second 2" not in answers():
            send_records(1)
        assert set(answers()) == {"first 1", "second 2"}
        assert job.restarts() == 0
    assert faults(rejected.poll(), offsets, topics.models) == {}
    results.close()
    rejected.close()


def faults(messages: Sequence[Any], offsets: Sequence[int], topic: str) -> dict[str, str]:
    """Case → what is wrong with its rejection."""
    found = {}
    by_offset: dict[int, list[tuple[bytes | None, Rejected]]] = {offset: [] for offset in offsets}
    for message in messages:
        one = Rejected.FromString(message.value())
        by_offset.setdefault(one.position.offset, []).append((message.key(), one))
    for (name, (original, reason)), offset in zip(CASES.items(), offsets, strict=True):
        rejections = by_offset.pop(offset)
        if len(rejections) != 1:
            found[name] = f"rejected {len(rejections)} times"
            continue
        key, one = rejections[0]
        said = (Reason.Name(one.reason), one.original if one.HasField("original") else None, one.position.topic, key)
        due = (Reason.Name(reason), original, topic, data_type_of(original).encode() or None)
        if said != due:
            found[name] = f"{said} instead of {due}: {one.detail}"
    found.update({f"offset {offset}": f"rejected {len(more)} times" for offset, more in by_offset.items()})
    return found

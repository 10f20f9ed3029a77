"""Bad models, each by name, in a running job: rejected once, and the good one goes on serving."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from modelserving.admission import data_type_of
from modelserving.local.broker import LocalBroker
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Reason, Rejected, ServingResult
from tests.flink.conftest import StartJob
from tests.flink.jobs import ROOT, rest
from tests.flink.messages import example_model, model, wine_records
from tests.kafka_client import TopicReader, produce
from tests.model_cases import FAILED_GATE, HOSTILE, LINEAR, LOCATION, MALFORMED, OVERSIZE, UNLOADABLE, changed
from tests.waiting import wait_until

FIRST = example_model("tensorflow.pb", name="first", version="1")
SECOND = example_model("linear.pmml", name="second", version="2")
NO_OPS: dict[str, bytes] = {
    "the descriptor now serving, sent again": FIRST,
    "and once more": FIRST,
    "retirement of a model that isn't there": ModelDescriptor(
        name="none", dataType="wine", retire=True
    ).SerializeToString(),
}
Cases = dict[str, tuple[bytes | None, Reason]]
LIMITS = ("--load-limit", "15", "--probe-limit", "1", "--load-memory", "512")


def cases(root: Path) -> Cases:
    """Messages by name, and why they must be rejected; `root` is a model root."""
    large = root / "large.pmml"
    with large.open("wb") as file:
        file.truncate(1024**3)
    return {
        **{name: (message, Reason.MALFORMED) for name, message in MALFORMED.items()},
        **{name: (message, Reason.UNLOADABLE) for name, message in UNLOADABLE.items()},
        **{name: (message, Reason.LOCATION) for name, message in LOCATION.items()},
        **{name: (message, Reason.OVERSIZE) for name, message in OVERSIZE.items()},
        **{name: (message, Reason.FAILED_GATE) for name, message in (FAILED_GATE | HOSTILE).items()},
        "unknown data type": (changed(dataType="beer"), Reason.UNKNOWN_DATA_TYPE),
        "location that announces 1 GB": (changed(location=str(large)), Reason.OVERSIZE),
        "same name and version with other bytes": (
            model(LINEAR, ModelType.PMML, version="1", name="first"),
            Reason.CONFLICT,
        ),
        "sha256 that doesn't match": (changed(sha256="ab" * 32), Reason.CONFLICT),
        "an activation time before the serving version's": (changed(activation_ms=1), Reason.CONFLICT),
    }


def counters(url: str, job: str) -> dict[str, int]:
    """The counters of admission, over all its subtasks; Flink gathers them every few seconds."""
    (vertex,) = (each["id"] for each in rest(f"{url}/jobs/{job}")["vertices"] if "admission" in each["name"])
    address = f"{url}/jobs/{job}/vertices/{vertex}/subtasks/metrics"
    names = [each["id"] for each in rest(address) if re.search(r"\.models_\w+$", each["id"])]
    counts: dict[str, int] = {}
    for each in rest(f"{address}?get={','.join(names)}") if names else []:
        found = re.search(r"(?:reason\.(\w+)\.)?(models_\w+)$", each["id"])
        assert found
        name = found[1] or found[2]
        counts[name] = counts.get(name, 0) + int(each["sum"])
    return counts


def due(judged: Cases, admitted: int) -> dict[str, int]:
    """What the counters must say once all cases and no-ops have been judged."""
    reasons = [Reason.Name(reason) for _, reason in judged.values()]
    counts = {reason: reasons.count(reason) for reason in reasons}
    return counts | {"models_admitted": admitted, "models_no_op": len(NO_OPS)}


def test_bad_models(
    join: str,
    start_job: StartJob,
    broker: LocalBroker,
    topics: Topics,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    servers = broker.bootstrap_servers
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests" / "hostile"))
    bad = cases(tmp_path)
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

    def wait_for_counts(admitted: int) -> None:
        expected = due(bad, admitted)
        wait_until(
            lambda: counters(job.url, job.job) == expected,
            describe=lambda: f"{counters(job.url, job.job)} instead of {expected}",
        )

    produce(servers, topics.models, [(None, FIRST)])
    roots = ("--model-root", str(tmp_path), "--model-root", "s3://models")
    with start_job(join, *LIMITS, *roots, parallelism=2) as job:
        send_records(20)
        assert set(answers()) == {"first 1"}
        messages = [(None, message) for message, _ in bad.values()]
        offsets = [offset for _, offset in produce(servers, topics.models, messages)]
        send_records(20)
        wait_until(
            lambda: len(rejected.poll()) >= len(bad),
            limit_s=300,
            describe=lambda: f"{faults(bad, rejected.messages, offsets, topics.models)}, restarts: {job.restarts()}",
        )
        produce(servers, topics.models, [(None, message) for message in NO_OPS.values()])
        wait_for_counts(admitted=1)
        send_records(20)
        assert set(answers()) == {"first 1"}
        # What came through all that still takes a good model.
        produce(servers, topics.models, [(None, SECOND)])
        wait_for_counts(admitted=2)
        while "second 2" not in answers():
            send_records(1)
        assert set(answers()) == {"first 1", "second 2"}
        assert job.restarts() == 0
    assert faults(bad, rejected.poll(), offsets, topics.models) == {}
    results.close()
    rejected.close()


def faults(bad: Cases, messages: Sequence[Any], offsets: Sequence[int], topic: str) -> dict[str, str]:
    """Case → what is wrong with its rejection."""
    found = {}
    by_offset: dict[int, list[tuple[bytes | None, Rejected]]] = {offset: [] for offset in offsets}
    for message in messages:
        one = Rejected.FromString(message.value())
        by_offset.setdefault(one.position.offset, []).append((message.key(), one))
    for (name, (original, reason)), offset in zip(bad.items(), offsets, strict=True):
        rejections = by_offset.pop(offset)
        if len(rejections) != 1:
            found[name] = f"rejected {len(rejections)} times"
            continue
        key, one = rejections[0]
        said = (Reason.Name(one.reason), one.original if one.HasField("original") else None, one.position.topic, key)
        expected = (Reason.Name(reason), original, topic, data_type_of(original).encode() or None)
        if said != expected:
            found[name] = f"{said} instead of {expected}: {one.detail}"
    found.update({f"offset {offset}": f"rejected {len(more)} times" for offset, more in by_offset.items()})
    return found

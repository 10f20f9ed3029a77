"""Messages of the topics for tests, and a service that reads none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from starlette.testclient import TestClient

from modelserving.errors import BrokerError
from modelserving.query.app import application
from modelserving.query.progress import Progress
from modelserving.query.rate import Rate
from modelserving.query.service import Service
from modelserving.query.view import View
from modelserving.statistics.keys import policy_key
from modelserving.statistics.sketch import Sketch
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelType
from modelserving.wire.serving_pb2 import EventKind, LogPosition, ModelEvent, Reason, Rejected, ServingResult
from modelserving.wire.speculative_pb2 import Rule
from modelserving.wire.stats_pb2 import (
    ModelAgreement,
    PolicyModel,
    PolicyStats,
    PolicyTerms,
    Quantiles,
    RecentDecisions,
    ServingStats,
)

TOPICS = Topics()
NOW_MS = 1_800_000_000_000
TOKEN = "a-token-of-the-tests-0123456789"  # noqa: S105
READY = Progress(caught_up=True, heard_s=0.0)


@dataclass
class Message:
    """A message as Kafka's client gives it."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    partition: int = 0
    offset: int = 0


def stats(name: str = "tree", version: str = "1", **fields: Any) -> ServingStats:
    """Totals of a version of data type wine, with sketches of what `latencies` lists."""
    latencies = fields.pop("latencies", [1.0, 2.0, 3.0])
    sketch = Sketch()
    sketch.add(latencies, [1] * len(latencies))
    told = ServingStats(
        name=name,
        modelType=ModelType.PMML,
        data_type="wine",
        model_version=version,
        model_sha256=f"sha-{name}-{version}",
        served=len(latencies),
        since=NOW_MS,
        updated_ms=NOW_MS,
        latency_ms=sketch.quantiles(),
        latency_sketch=sketch.encode(),
        score_time_sketch=sketch.encode(),
    )
    told.MergeFrom(ServingStats(**fields))
    return told


def stats_message(told: ServingStats) -> Message:
    key = "\0".join((told.data_type, told.name, told.model_version, told.model_sha256)).encode()
    return Message(TOPICS.serving_stats, told.SerializeToString(), key)


def policy(data_type: str = "wine", **fields: Any) -> PolicyStats:
    """What the policy of a data type decided: 100 records, 12 of them at the deadline, by the answer of `fast`."""
    defaults: dict[str, Any] = {
        "terms": PolicyTerms(rule=Rule.COMBINED, quorum=2, timeout_ms=50, models=["smart", "fast"]),
        "since": NOW_MS,
        "last_decided_ms": NOW_MS + 60_000,
        "decided": 100,
        "why": {"QUORUM": 80, "NO_QUORUM": 8, "DEADLINE": 12},
        "at_deadline": 12,
        "late": 3,
        "decision_ms": Quantiles(count=100, min=1, p50=20, p90=40, p99=51, p999=52, max=52),
        "late_ms": Quantiles(count=3, min=1, p50=1, p90=2, p99=2, p999=2, max=2),
        "models": [
            PolicyModel(
                model="smart",
                asked=100,
                answered=95,
                late=7,
                counted=88,
                missing={"SHED": 2},
                taken_ms=Quantiles(count=95, min=10, p50=20, p90=45, p99=200, p999=210, max=210),
                last_asked_ms=NOW_MS + 60_000,
            ),
            PolicyModel(model="fast", asked=100, answered=100, counted=92, taken_ms=Quantiles(count=100, p50=1, p99=2)),
        ],
        "agreement": [ModelAgreement(first="fast", second="smart", compared=95, agreed=85)],
        "recent": RecentDecisions(
            seconds=1, decided=10, decided_per_s=10, why={"QUORUM": 10}, late_answers={"smart": 1}
        ),
        "updated_ms": NOW_MS + 60_000,
    }
    return PolicyStats(data_type=data_type, **(defaults | fields))


def policy_message(told: PolicyStats) -> Message:
    return Message(TOPICS.serving_stats, told.SerializeToString(), policy_key(told.data_type))


def event(kind: EventKind, version: str = "1", at_ms: int = NOW_MS, **fields: Any) -> ModelEvent:
    """What happened to a version of model tree of data type wine, at offset 7 of the model log."""
    defaults: dict[str, Any] = {
        "data_type": "wine",
        "model_name": "tree",
        "model_sha256": f"sha-tree-{version}",
        "instance": "admission",
        "position": LogPosition(topic="models", offset=7),
    }
    return ModelEvent(kind=kind, model_version=version, at_ms=at_ms, **(defaults | fields))


def event_message(told: ModelEvent, offset: int = 0, partition: int = 0) -> Message:
    return Message(TOPICS.model_events, told.SerializeToString(), b"wine", partition, offset)


def rejected(detail: str = "not a WineRecord", at_ms: int = NOW_MS, **fields: Any) -> Rejected:
    """A record that did not parse."""
    defaults: dict[str, Any] = {
        "reason": Reason.MALFORMED,
        "original": b"\x01\x02",
        "position": LogPosition(topic="records", partition=2, offset=17),
    }
    return Rejected(detail=detail, rejected_at_ms=at_ms, **(defaults | fields))


def rejected_message(told: Rejected, offset: int = 0, topic: str = TOPICS.rejected_records) -> Message:
    return Message(topic, told.SerializeToString(), None, 0, offset)


def result(offset: int = 0, **fields: Any) -> ServingResult:
    """A score of a record at `offset`."""
    defaults: dict[str, Any] = {
        "data_type": "wine",
        "model_name": "tree",
        "model_version": "1",
        "model_sha256": "sha-tree-1",
        "record": LogPosition(topic="records", partition=1, offset=offset, timestamp_ms=NOW_MS),
        "scored_at_ms": NOW_MS + offset,
        "latency_us": 250,
    }
    return ServingResult(**(defaults | fields))


EVERYTHING: Sequence[Message] = (
    stats_message(stats(version="1", served=3, rejected={"MODEL_FAILED": 2}, errors=2)),
    stats_message(stats(version="2", since=NOW_MS + 1, latencies=[10.0, 20.0])),
    stats_message(ServingStats(data_type="wine", rejected={"MALFORMED": 5}, updated_ms=NOW_MS)),
    event_message(event(EventKind.RECEIVED), 0),
    event_message(event(EventKind.ADMITTED, at_ms=NOW_MS + 1), 1),
    event_message(event(EventKind.SERVING, at_ms=NOW_MS + 2, instance="partitioned-join 1/1"), 2),
    event_message(event(EventKind.REJECTED, "2", NOW_MS + 3, reason=Reason.CONFLICT, detail="known"), 3),
    rejected_message(rejected()),
    rejected_message(rejected("known", NOW_MS + 1, reason=Reason.CONFLICT), 1, TOPICS.rejected_models),
    policy_message(policy()),
)
"""Something of each kind."""


class FakeReader:
    """Fills the view from a list, in place of Kafka."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.running = False

    def start(self) -> None:
        self.running = True

    def stop(self, limit_s: float) -> None:  # noqa: ARG002
        self.running = False


@dataclass
class FakeResults:
    """Results without Kafka."""

    encoded: list[bytes] = field(default_factory=list)
    fault: str = ""

    async def newest(self, limit: int) -> list[bytes]:
        if self.fault:
            raise BrokerError(self.fault)
        return self.encoded[:limit]

    async def close(self) -> None:
        pass


def service_of(
    messages: Sequence[Message] = EVERYTHING,
    *,
    progress: Progress = READY,
    results: FakeResults | None = None,
    clock_s: Callable[[], float] = lambda: 1.0,
) -> Service:
    """A service that has read `messages`."""
    service = Service(View(TOPICS), lambda *_: FakeReader(progress), results or FakeResults(), clock_s)
    service.view.apply(messages)
    return service


@contextmanager
def client_of(
    service: Service, token: str | None = None, rate: Rate | None = None, host: str = "localhost"
) -> Iterator[TestClient]:
    """A client of the application, without a network."""
    app = application(service, token, rate)
    with TestClient(app, base_url=f"http://{host}", raise_server_exceptions=False) as client:
        yield client

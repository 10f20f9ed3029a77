"""Speculative serving under load: how soon records are decided, and what a slow model takes from a fast one.

python -m bench.speculative --help
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from bench.jobs import ROOT, Job
from bench.load import LOG_LEVEL, Load
from bench.topics import renew
from modelserving.local.broker import LocalBroker, free_port
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.speculative_pb2 import SpeculativeControl, SpeculativeDecision, VoteState

TOPICS = Topics("bench-speculative-")
FAST = "fast"
ALONE = "fast alone"
WAITS = "fast beside one that waits 200 ms"
COMPUTES = "fast beside one that computes 200 ms"
CASES: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    ALONE: {FAST: {"wait_ms": 1}},
    WAITS: {"slow": {"wait_ms": 200}, FAST: {"wait_ms": 1}},
    COMPUTES: {"slow": {"burn_ms": 200}, FAST: {"wait_ms": 1}},
}
"""What is measured: models, the most trusted first, and what they take for a batch."""
LEAST_SHARE = {ALONE: 1.0, WAITS: 0.9, COMPUTES: 0.5}
"""Of the records that the fast model answers in time alone."""
LATE_MS = 20
"""After the deadline, at most, at the 99th percentile, beside a slow one."""
_ENVIRONMENT = {"PYTHONPATH": os.pathsep.join((str(ROOT / "bench" / "timed_models"), str(ROOT)))}
_START_LIMIT_S = 180.0
_REST_LIMIT_S = 60.0


@dataclass(slots=True)
class Seen:
    """What was decided."""

    records: set[tuple[int, int]] = field(default_factory=set)
    twice: int = 0
    latency_ms: list[float] = field(default_factory=list)
    """Of records that were decided while it was measured."""
    by_fast: int = 0
    """Of those: the fast model had answered."""
    newest: str = ""
    """The model whose answer the last one is."""


class Decisions:
    """Reads what is decided, as soon as it is written."""

    def __init__(self, bootstrap_servers: str) -> None:
        self.seen = Seen()
        self.measuring = False
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "bench",
                "isolation.level": "read_uncommitted",
                "enable.auto.commit": False,
                "log_level": LOG_LEVEL,
            }
        )
        topic = self._consumer.list_topics(TOPICS.decisions).topics[TOPICS.decisions]
        self._consumer.assign([TopicPartition(TOPICS.decisions, each, OFFSET_BEGINNING) for each in topic.partitions])

    def poll(self) -> None:
        """Take in what is there."""
        for message in self._consumer.consume(5_000, timeout=0.1):
            if message.error() is not None:
                raise click.ClickException(str(message.error()))
            decision = SpeculativeDecision.FromString(message.value())
            record = (decision.record.partition, decision.record.offset)
            self.seen.twice += record in self.seen.records
            self.seen.records.add(record)
            self.seen.newest = decision.model_name
            if self.measuring:
                self.seen.latency_ms.append(decision.latency_us / 1000)
                self.seen.by_fast += any(
                    vote.model == FAST and vote.state == VoteState.ANSWERED for vote in decision.votes
                )

    def close(self) -> None:
        """Let the connection go."""
        self._consumer.close()


@contextmanager
def running(bootstrap_servers: str, models: Mapping[str, Mapping[str, float]], tmout: int, name: str) -> Iterator[Job]:
    """The job, on topics made anew, with models and policy published."""
    renew(bootstrap_servers, TOPICS, keep=())
    producer = Producer({"bootstrap.servers": bootstrap_servers, "log_level": LOG_LEVEL})
    for number, (model, takes) in enumerate(models.items()):
        document = json.dumps({"answer": number, **takes}).encode()
        descriptor = ModelDescriptor(name=model, dataType="wine", modeltype=ModelType.PMML, data=document)
        producer.produce(TOPICS.models, descriptor.SerializeToString())
    control = SpeculativeControl(datatype="wine", tmout=tmout, models=list(models))
    producer.produce(TOPICS.speculative_control, control.SerializeToString())
    producer.flush()
    command = [sys.executable, str(ROOT / "jobs" / "speculative_serving.py"), "--name", name, "--parallelism", "1"]
    command += ["--bootstrap-servers", bootstrap_servers, "--topic-prefix", TOPICS.prefix, "--lanes", "2"]
    with Job(command, _ENVIRONMENT) as job:
        yield job


def measure(job: Job, bootstrap_servers: str, rate: int, warm_up: float, seconds: float) -> tuple[Seen, int]:
    """What was decided of records at a rate, and how many were sent in all.

    Raises:
        click.ClickException: the job ended, or not all records were decided.
    """
    decisions = Decisions(bootstrap_servers)

    def until(limit_s: float, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + limit_s
        while not holds():
            job.check()
            decisions.poll()
            if time.monotonic() > end:
                raise click.ClickException(f"after {limit_s:.0f} s: {len(decisions.seen.records)} records decided")

    with Load(bootstrap_servers, TOPICS.records, rate) as load:
        until(_START_LIMIT_S, lambda: decisions.seen.newest == FAST)
        for measuring, span_s in ((False, warm_up), (True, seconds)):
            decisions.measuring = measuring
            end = time.monotonic() + span_s
            while time.monotonic() < end:
                job.check()
                decisions.poll()
        decisions.measuring = False
    until(_REST_LIMIT_S, lambda: len(decisions.seen.records) >= load.sent)
    decisions.close()
    return decisions.seen, load.sent


@click.command(context_settings={"show_default": True})
@click.option("--rate", default=2_000, help="Records/s that are sent.")
@click.option("--tmout", default=50, help="Of the policy: the deadline, in ms.")
@click.option("--warm-up", default=20.0, help="Seconds before it is measured, once the fast model answers.")
@click.option("--seconds", default=30.0, help="Of measuring.")
@click.option("--alone", is_flag=True, help="The fast model alone, as to find out how much the job can take.")
def main(rate: int, tmout: int, warm_up: float, seconds: float, *, alone: bool) -> None:
    """Measure each case with a job of its own, and print a table; fail where it misses what was aimed at."""
    click.echo(f"{rate:,} records/s, deadline {tmout} ms, {seconds:.0f} s each\n")
    click.echo("| case | sent | decided once | twice | p50 | p99 | max ms | fast answered in time, records/s |")
    click.echo("| --- | --- | --- | --- | --- | --- | --- | --- |")
    numbers = count(1)
    shares: list[float] = []
    missed: list[str] = []
    with TemporaryDirectory() as folder, LocalBroker(Path(folder) / "kafka", free_port()) as broker:
        servers = broker.bootstrap_servers
        for case, models in ({ALONE: CASES[ALONE]} if alone else CASES).items():
            with running(servers, models, tmout, f"bench-speculative-{next(numbers)}") as job:
                seen, sent = measure(job, servers, rate, warm_up, seconds)
            p50, p99, most = np.percentile(seen.latency_ms, (50, 99, 100))
            click.echo(
                f"| {case} | {sent:,} | {len(seen.records):,} | {seen.twice} | {p50:.1f} | {p99:.1f} | {most:.1f} "
                f"| {seen.by_fast / seconds:,.0f} |"
            )
            shares.append(seen.by_fast)
            if seen.twice:
                missed.append(f"{case}: {seen.twice} records decided twice")
            if case != ALONE and p99 > tmout + LATE_MS:
                missed.append(f"{case}: p99 is {p99:.1f} ms, {tmout + LATE_MS} at most")
            if shares[-1] < LEAST_SHARE[case] * shares[0]:
                missed.append(f"{case}: the fast model answers {shares[-1] / shares[0]:.0%} of what it does alone")
    if missed:
        raise click.ClickException("; ".join(missed))


if __name__ == "__main__":
    main()

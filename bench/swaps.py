"""Swaps under load: a new model every second while records flow. Is anything lost, does latency or memory grow?

python -m bench.swaps --help
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from bench.jobs import Job
from bench.load import Load, ModelLog
from bench.pipelines import PIPELINES, Settings
from bench.results import wait_for_version
from bench.swap_memory import memory
from bench.swap_models import KINDS, SIZES, ModelMaker
from bench.swap_report import AFTER, BEFORE, SWAPPING, Run, report
from bench.swap_results import read
from bench.topics import stamp_on_append
from modelserving import topics as kafka_topics
from modelserving.flink.options import JOINS
from modelserving.local.broker import LocalBroker, free_port
from modelserving.wire.model_pb2 import ModelType

TOPICS = kafka_topics.Topics("swaps-")
PARTITIONS = 4
FIRST_SWAPS = 100
"""After so many, memory is measured for the first time."""
WARM_UP_S = 20.0
"""For each type of model."""
SETTLE_S = 5.0
SERVING_LIMIT_S = 180.0
METRICS_LIMIT_S = 60.0
REFERENCE_SIZE = SIZES[3]
"""Of the models that serve while nothing is swapped."""


@click.command()
@click.option("--swaps", default=1000, show_default=True, help="Models published, one a second, a tenth of them bad.")
@click.option("--rate", default=5000, show_default=True, help="Records/s.")
@click.option("--baseline", default=60, show_default=True, help="Seconds without swaps, before and after.")
@click.option("--join", type=click.Choice(JOINS), default="partitioned", show_default=True)
@click.option("--parallelism", default=2, show_default=True)
def main(swaps: int, rate: int, baseline: int, join: str, parallelism: int) -> None:
    """Swap models under load and print what came of it; exit code 1 if a condition fails."""
    with TemporaryDirectory(prefix="swaps-") as folder, LocalBroker(Path(folder) / "kafka", free_port()) as broker:
        kafka_topics.create(broker.bootstrap_servers, TOPICS, PARTITIONS)
        stamp_on_append(broker.bootstrap_servers, TOPICS.records, TOPICS.results)
        bench = Bench(broker.bootstrap_servers, swaps)
        # Without a model, the first records would be rejected.
        bench.publish_reference(KINDS[0])
        port = free_port()
        settings = Settings(broker.bootstrap_servers, TOPICS, "swaps", parallelism)
        with Job([*PIPELINES[join].command(settings), "-D", f"rest.bind-port={port}"]) as job:
            with Load(broker.bootstrap_servers, TOPICS.records, rate):
                bench.run(baseline, job.pid)
            click.echo("reading the results", err=True)
            reading = read(broker.bootstrap_servers, TOPICS, bench.log.published)
            run = Run(bench.phases, bench.log.published, swaps, bench.memory, _restarts(f"http://localhost:{port}"))
    faults = report(run, reading)
    if faults:
        raise click.ClickException("; ".join(faults))


class Bench:
    """Publishes models, and notes what was when."""

    def __init__(self, bootstrap_servers: str, swaps: int) -> None:
        self.log = ModelLog(bootstrap_servers, TOPICS.models)
        self.phases: dict[str, list[tuple[int, int]]] = defaultdict(list)
        self.memory: dict[int, dict[str, float]] = {}
        self._servers = bootstrap_servers
        self._swaps = swaps
        self._models = ModelMaker("wine")
        self._references = count(swaps)
        for kind, size in product(KINDS, SIZES):
            self._models.good(0, kind, size)  # the first of each takes its time

    def run(self, baseline_s: float, job: int) -> None:
        """All phases, while records flow through the job whose first process that is."""
        for kind in KINDS:
            self._serve_reference(kind)
            time.sleep(WARM_UP_S)
        self._baseline(BEFORE, baseline_s)
        first = min(FIRST_SWAPS, self._swaps // 2)
        for numbers in (range(first), range(first, self._swaps)):
            self._swap(numbers)
            self._serve_reference(ModelType.TENSORFLOW)
            self.memory[numbers.stop] = memory(job)
        self._baseline(AFTER, baseline_s)

    def publish_reference(self, kind: ModelType) -> int:
        """Publish another good model that is not one of the swaps; its number."""
        number = next(self._references)
        self.log.publish(self._models.good(number, kind, REFERENCE_SIZE))
        return number

    def _serve_reference(self, kind: ModelType) -> None:
        """Have such a model serve, and let the job come to rest."""
        number = self.publish_reference(kind)
        wait_for_version(self._servers, TOPICS.results, str(number), SERVING_LIMIT_S)
        time.sleep(SETTLE_S)

    def _baseline(self, phase: str, seconds: float) -> None:
        """A model of each type serves for its share of the time."""
        for kind in KINDS:
            self._serve_reference(kind)
            with self._phase(phase):
                time.sleep(seconds / len(KINDS))

    def _swap(self, numbers: range) -> None:
        """Publish one model a second."""
        start = time.monotonic()
        with self._phase(SWAPPING):
            for turn, number in enumerate(numbers):
                model = self._models.make(number)
                time.sleep(max(0.0, start + turn - time.monotonic()))
                self.log.publish(model)
                click.echo(f"\rswap {number + 1}", err=True, nl=False)
            time.sleep(max(0.0, start + len(numbers) - time.monotonic()))
        click.echo(err=True)

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        start = time.time_ns() // 1_000_000
        yield
        self.phases[name].append((start, time.time_ns() // 1_000_000))


def _restarts(url: str) -> int:
    """How often the job was restarted."""

    def get(path: str) -> Any:
        with urllib.request.urlopen(f"{url}/jobs{path}", timeout=10) as response:  # noqa: S310 - our own address
            return json.load(response)

    job = get("")["jobs"][0]["id"]
    # Flink begins to gather metrics when it is first asked for them.
    deadline = time.monotonic() + METRICS_LIMIT_S
    while time.monotonic() < deadline:
        found = get(f"/{job}/metrics?get=numRestarts")
        if found:
            return int(found[0]["value"])
        time.sleep(0.5)
    raise click.ClickException(f"Flink does not say how often it restarted job {job}")


if __name__ == "__main__":
    main()

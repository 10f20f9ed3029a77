"""Records per second, end to end: Kafka → job → Kafka, broker and job on this machine.

python -m bench.throughput --help
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO

import click
from kafka import KafkaConsumer, TopicPartition

from bench.records import fill
from modelserving import topics as kafka_topics
from modelserving.local.broker import LocalBroker, free_port

ROOT = Path(__file__).resolve().parents[1]
TOPICS = kafka_topics.Topics("bench-")
MODEL = ROOT / "examples" / "winequality" / "models" / "tensorflow.pb"
SERVING = [str(ROOT / "jobs" / "model_serving.py"), "--from", "earliest", "--join"]
PIPELINES = {
    "partitioned": [*SERVING, "partitioned"],
    "keyed": [*SERVING, "keyed"],
    "identity": ["-m", "bench.identity"],
}
LIMIT_S = 300


@click.command()
@click.option("--records", default=1_000_000, show_default=True, help="Measured, after the warm-up.")
@click.option("--warm-up", default=1_000_000, show_default=True, help="Records before the measured ones.")
@click.option("--rounds", default=1, show_default=True, help="Of all pipelines, in turn.")
@click.option("--parallelism", default=1, show_default=True, help="Of every pipeline.")
def main(records: int, warm_up: int, rounds: int, parallelism: int) -> None:
    """Measure our two joins and the per-record identity pipeline, with a TensorFlow graph, exactly once."""
    rates: dict[str, list[float]] = defaultdict(list)
    with TemporaryDirectory() as folder, LocalBroker(Path(folder), free_port()) as broker:
        bench = Benchmark(broker.bootstrap_servers, warm_up, records, parallelism)
        bench.prepare()
        for number in range(rounds):
            for pipeline in PIPELINES:
                rates[pipeline].append(bench.measure(pipeline, number))
                click.echo(f"round {number + 1}  {pipeline:12} {rates[pipeline][-1]:10,.0f} records/s")
    identity = statistics.median(rates["identity"])
    click.echo("\npipeline      median records/s   ratio to identity")
    for pipeline, figures in rates.items():
        median = statistics.median(figures)
        click.echo(f"{pipeline:12} {median:17,.0f} {median / identity:19.2f}")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The same records for every pipeline, on one broker."""

    bootstrap_servers: str
    warm_up: int
    records: int
    parallelism: int

    def prepare(self) -> None:
        """Create the topics, publish the model, produce all records."""
        kafka_topics.create(self.bootstrap_servers, TOPICS, partitions=4)
        command = [sys.executable, "-m", "modelserving.cli.main", "publish", str(MODEL)]
        options = ["--name", "bench", "--data-type", "wine", *self._where]
        subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)
        fill(self.bootstrap_servers, TOPICS.records, self.warm_up + self.records)

    def measure(self, pipeline: str, number: int) -> float:
        """Records/s of one pipeline, from the last record of the warm-up to the last of all."""
        written = _Written(self.bootstrap_servers)
        options = [*self._where, "--name", f"bench-{pipeline}-{number}", "--parallelism", str(self.parallelism)]
        with TemporaryFile("w+") as log:
            command = [sys.executable, *PIPELINES[pipeline], *options]
            job = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
            try:
                warm = self._reached(written, self.warm_up, job, log)
                return self.records / (self._reached(written, self.warm_up + self.records, job, log) - warm)
            finally:
                job.terminate()
                job.wait()

    @property
    def _where(self) -> list[str]:
        return ["--bootstrap-servers", self.bootstrap_servers, "--topic-prefix", TOPICS.prefix]

    @staticmethod
    def _reached(written: _Written, goal: int, job: subprocess.Popen[bytes], log: IO[str]) -> float:
        """When so many results had been written."""
        deadline = time.monotonic() + LIMIT_S
        while written.count() < goal:
            if job.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise click.ClickException(f"{written.count()} of {goal} records in {LIMIT_S} s: {log.read()[-3000:]}")
            time.sleep(0.02)
        return time.monotonic()


class _Written:
    """Counts the messages that are written to the results topic from now on."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers)
        numbers = self._consumer.partitions_for_topic(TOPICS.results)
        self._partitions = [TopicPartition(TOPICS.results, number) for number in numbers]
        self._before = 0
        self._before = self.count()

    def count(self) -> int:
        """Messages so far, with the few markers that end transactions."""
        return int(sum(self._consumer.end_offsets(self._partitions).values())) - self._before


if __name__ == "__main__":
    main()

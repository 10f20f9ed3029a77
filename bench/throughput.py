"""Records per second, end to end: Kafka → job → Kafka, broker and job on this machine.

    python -m bench.throughput [--records N] [--warm-up N] [--rounds N] [--parallelism P]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from kafka import KafkaConsumer, TopicPartition

from bench.records import fill
from modelserving import topics as kafka_topics
from modelserving.local.broker import LocalBroker, free_port

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "bench-"
MODEL = ROOT / "examples" / "winequality" / "models" / "tensorflow.pb"
PIPELINES = {
    "partitioned": [str(ROOT / "jobs" / "model_serving.py"), "--join", "partitioned", "--from", "earliest"],
    "keyed": [str(ROOT / "jobs" / "model_serving.py"), "--join", "keyed", "--from", "earliest"],
    "identity": ["-m", "bench.identity"],
}
LIMIT_S = 300


@click.command()
@click.option("--records", default=1_000_000, show_default=True, help="Measured, after the warm-up.")
@click.option("--warm-up", default=200_000, show_default=True, help="Records before the measured ones.")
@click.option("--rounds", default=1, show_default=True, help="Of all pipelines, in turn.")
@click.option("--parallelism", default=1, show_default=True)
def main(records: int, warm_up: int, rounds: int, parallelism: int) -> None:
    """Measure our two joins and the per-record identity pipeline, with a TensorFlow graph, exactly once."""
    rates: dict[str, list[float]] = defaultdict(list)
    topics = kafka_topics.Topics(PREFIX)
    with TemporaryDirectory() as folder, LocalBroker(Path(folder), free_port()) as broker:
        kafka_topics.create(broker.bootstrap_servers, topics, partitions=4)
        _publish(broker.bootstrap_servers)
        fill(broker.bootstrap_servers, topics.records, warm_up + records)
        for number in range(rounds):
            for pipeline in PIPELINES:
                rate = _measure(pipeline, number, broker.bootstrap_servers, warm_up, records, parallelism)
                rates[pipeline].append(rate)
                click.echo(f"round {number + 1}  {pipeline:12} {rate:10,.0f} records/s")
    identity = statistics.median(rates["identity"])
    click.echo("\npipeline      median records/s   × identity")
    for pipeline, figures in rates.items():
        click.echo(f"{pipeline:12} {statistics.median(figures):17,.0f} {statistics.median(figures) / identity:12.2f}")


def _publish(bootstrap_servers: str) -> None:
    command = [sys.executable, "-m", "modelserving.cli.main", "publish", str(MODEL), "--name", "bench"]
    options = ["--data-type", "wine", "--topic-prefix", PREFIX, "--bootstrap-servers", bootstrap_servers]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL)


def _measure(
    pipeline: str, number: int, bootstrap_servers: str, warm_up: int, records: int, parallelism: int
) -> float:
    """Run one pipeline over the whole records topic; its rate from the last record of the warm-up to the last of all."""
    results = kafka_topics.Topics(PREFIX).results
    consumer = KafkaConsumer(bootstrap_servers=bootstrap_servers)
    partitions = [TopicPartition(results, partition) for partition in consumer.partitions_for_topic(results)]
    before = sum(consumer.end_offsets(partitions).values())
    arguments = ["--bootstrap-servers", bootstrap_servers, "--topic-prefix", PREFIX]
    name = ["--name", f"{PREFIX}{pipeline}-{number}", "--parallelism", str(parallelism)]
    job = subprocess.Popen(
        [sys.executable, *PIPELINES[pipeline], *arguments, *name],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        marks = []
        deadline = time.monotonic() + LIMIT_S
        for goal in (warm_up, warm_up + records):
            while sum(consumer.end_offsets(partitions).values()) - before < goal:
                if job.poll() is not None:
                    raise click.ClickException(f"{pipeline} ended: {job.communicate()[1][-2000:]}")
                if time.monotonic() > deadline:
                    raise click.ClickException(f"{pipeline} did not score {goal} records in {LIMIT_S} s")
                time.sleep(0.02)
            marks.append(time.monotonic())
        return records / (marks[1] - marks[0])
    finally:
        consumer.close()
        job.terminate()
        job.wait()


if __name__ == "__main__":
    main()

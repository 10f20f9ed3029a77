"""What the commands of the jobs share: their options, and how a job is started."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from modelserving import topics as kafka_topics
from modelserving.cli.options import BOOTSTRAP_SERVERS, TOPICS
from modelserving.configuration import load_data_types
from modelserving.errors import ModelServingError
from modelserving.flink.environment import environments, run
from modelserving.flink.options import DELIVERIES, STARTS, JobOptions
from modelserving.gate import GateLimits
from modelserving.locations import model_sources
from modelserving.manager import ManagerLimits
from modelserving.topics import Topics

MIB = 1024**2
GATE = GateLimits()
MANAGER = ManagerLimits()

Command = TypeVar("Command", bound=Callable[..., Any])
Options = TypeVar("Options", bound=JobOptions)


def _settings(_context: click.Context, _parameter: click.Parameter, items: tuple[str, ...]) -> dict[str, str]:
    without_value = [item for item in items if "=" not in item]
    if without_value:
        raise click.BadParameter(f"{without_value[0]!r} is not of the form KEY=VALUE")
    return dict(item.partition("=")[::2] for item in items)


_SHARED = (
    BOOTSTRAP_SERVERS,
    TOPICS,
    click.option(
        "--data-types",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="TOML file of the data types.  [default: the wine example]",
    ),
    click.option(
        "--name", help="Of the job, its consumer group and its transactions.  [default: PREFIX and the kind of job]"
    ),
    click.option(
        "--from",
        "start",
        type=click.Choice(STARTS),
        default="committed",
        show_default=True,
        help="Where to begin reading records without a savepoint; committed begins at the earliest the first time.",
    ),
    click.option(
        "--delivery", type=click.Choice(DELIVERIES), default="exactly-once", show_default=True, help="To Kafka."
    ),
    click.option(
        "--batch-interval",
        type=click.IntRange(1, 10_000),
        default=20,
        show_default=True,
        metavar="MS",
        help="The least time between two batches, each of which is scored as a whole; longer under load.",
    ),
    click.option(
        "--checkpoint-interval",
        type=click.IntRange(100),
        default=2000,
        show_default=True,
        metavar="MS",
        help="Between checkpoints; with exactly-once, results are committed at each.",
    ),
    click.option(
        "--parallelism",
        type=click.IntRange(1, 128),
        help="Of every operator.  [default: flink run's, or the cluster's]",
    ),
    click.option(
        "--model-root",
        "model_roots",
        multiple=True,
        metavar="URL",
        help="A folder, or an s3://, gs://, http:// or https:// address, below which a model's location may lie; "
        "may be repeated.  [default: none]",
    ),
    click.option(
        "--load-limit",
        type=click.FloatRange(0.1),
        default=GATE.load_s,
        show_default=True,
        metavar="S",
        help="Seconds in which a model must be fetched, and in which it must be loaded.",
    ),
    click.option(
        "--probe-limit",
        type=click.FloatRange(0.001),
        default=GATE.probe_s,
        show_default=True,
        metavar="S",
        help="Seconds in which a new model must answer its probe.",
    ),
    click.option(
        "--load-memory",
        type=click.IntRange(1),
        default=GATE.memory_bytes // MIB,
        show_default=True,
        metavar="MIB",
        help="What a model on trial may take of memory.",
    ),
    click.option(
        "-D",
        "configuration",
        multiple=True,
        callback=_settings,
        metavar="KEY=VALUE",
        help="A Flink setting for the job; may be repeated.",
    ),
)


def job_options(command: Command) -> Command:
    """Give a command the options that all jobs have; `shared_fields` takes them."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


def shared_fields(
    *,
    bootstrap_servers: str,
    topics: Topics,
    data_types: Path | None,
    name: str | None,
    start: str,
    delivery: str,
    batch_interval: int,
    checkpoint_interval: int,
    parallelism: int | None,
    model_roots: tuple[str, ...],
    load_limit: float,
    probe_limit: float,
    load_memory: int,
    configuration: dict[str, str],
    default_name: str,
) -> dict[str, Any]:
    """The fields of `JobOptions` that the options of `job_options` choose.

    Args:
        default_name: behind the topic prefix, where no name was given.

    Raises:
        ModelServingError: a file or an address is wrong.
    """
    return {
        "bootstrap_servers": bootstrap_servers,
        "topics": topics,
        "data_types": load_data_types(data_types),
        "name": name or f"{topics.prefix}{default_name}",
        "sources": model_sources(model_roots),
        "gate_limits": GateLimits(load_limit, probe_limit, load_memory * MIB),
        "start": start,
        "delivery": delivery,
        "batch_interval_ms": batch_interval,
        "checkpoint_interval_ms": checkpoint_interval,
        "parallelism": parallelism,
        "configuration": configuration,
    }


@contextmanager
def clear_errors() -> Iterator[None]:
    """Have a command say in one line what it cannot do, and nothing else."""
    logging.basicConfig(level=logging.WARNING)
    # What it says while it looks for a broker in vain comes as one line from us.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    # Beam says at every start that it cannot use a cloud's file system, which nobody asked for.
    logging.getLogger("apache_beam.io.filesystems").setLevel(logging.ERROR)
    # And Google's libraries, which it imports, what they will one day no longer support.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\.")
    try:
        yield
    except ModelServingError as error:
        raise click.ClickException(str(error)) from error


def execute(
    options: Options,
    needed: Sequence[str],
    build: Callable[[StreamExecutionEnvironment, StreamTableEnvironment, Options], None],
) -> None:
    """Run a job until it is stopped.

    Args:
        options: the job's.
        needed: topics that must be there.
        build: adds the job to the environments.

    Raises:
        BrokerError: the broker cannot be reached, or a topic is missing or has the wrong form.
    """
    kafka_topics.check(options.bootstrap_servers, options.topics, needed)
    with environments(options) as (stream, table):
        build(stream, table, options)
        run(stream, options.name)

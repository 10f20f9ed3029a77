"""The serving job: joins models and records from Kafka and writes a score for every record.

flink run -py jobs/model_serving.py --join partitioned --bootstrap-servers HOST:PORT
python jobs/model_serving.py --join keyed --bootstrap-servers HOST:PORT     (embedded mini cluster)
"""

from __future__ import annotations

from typing import Any

import click

from modelserving.flink.command import MANAGER, MIB, clear_errors, execute, job_options, shared_fields
from modelserving.flink.options import JOINS, JobOptions
from modelserving.flink.topology import build
from modelserving.manager import ManagerLimits


@click.command(context_settings={"max_content_width": 120})
@click.option("--join", type=click.Choice(JOINS), required=True, help="How models and records meet.")
@job_options
@click.option(
    "--model-memory",
    type=click.IntRange(1),
    default=MANAGER.memory_bytes // MIB,
    show_default=True,
    metavar="MIB",
    help="For the live models of one parallel instance, by estimate; the least recently used leave.",
)
def main(join: str, model_memory: int, load_limit: float, **shared: Any) -> None:
    """Join models and records from Kafka, and write a score for every record, until stopped."""
    with clear_errors():
        options = JobOptions(
            join=join,
            manager_limits=ManagerLimits(load_limit, model_memory * MIB),
            **shared_fields(load_limit=load_limit, default_name=f"model-serving-{join}", **shared),
        )
        execute(options, options.topics.serving, build)


if __name__ == "__main__":
    main()

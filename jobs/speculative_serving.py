"""The speculative job: asks several models for every record, and writes what is decided by the deadline.

flink run -py jobs/speculative_serving.py --bootstrap-servers HOST:PORT
python jobs/speculative_serving.py --bootstrap-servers HOST:PORT     (embedded mini cluster)
"""

from __future__ import annotations

from typing import Any

import click

from modelserving.flink.command import clear_errors, execute, job_options, shared_fields
from modelserving.flink.options import PLACES, SPECULATIVE, SpeculativeOptions
from modelserving.flink.speculative.topology import build
from modelserving.manager import ManagerLimits
from modelserving.speculative.deciders import load_deciders
from modelserving.speculative.tasks import LaneLimits

LANE = LaneLimits()


# A request costs as much as hundreds of records: half as many as in the serving job.
@click.command(context_settings={"max_content_width": 120, "default_map": {"batch_interval": 40}})
@job_options
@click.option(
    "--lanes",
    type=click.IntRange(1, 32),
    default=3,
    show_default=True,
    help="Operators that models run in. A policy's models are dealt out to them; each model has its own queue there.",
)
@click.option(
    "--lane-parallelism",
    type=click.IntRange(1, 128),
    default=1,
    show_default=True,
    help="Of each lane: so often is each of its models there.",
)
@click.option(
    "--lane-queue",
    type=click.IntRange(1, 10_000),
    default=LANE.queue,
    show_default=True,
    help="Batches that may wait for a model; another one is shed.",
)
@click.option(
    "--answer-limit",
    type=click.FloatRange(0.1),
    default=LANE.answer_s,
    show_default=True,
    metavar="S",
    help="A model that takes longer for an answer is given up, and its process is ended.",
)
@click.option(
    "--models-in",
    type=click.Choice(PLACES),
    default="process",
    show_default=True,
    help="Where a model runs: in a process of its own, or, cheaper, in a thread of the lane: for models that let go of "
    "Python's lock, and return.",
)
@click.option(
    "--decider",
    "deciders",
    multiple=True,
    metavar="MODULE:NAME",
    help="A decider that policies may name; may be repeated.  [default: none]",
)
def main(
    lanes: int,
    lane_parallelism: int,
    lane_queue: int,
    answer_limit: float,
    models_in: str,
    deciders: tuple[str, ...],
    load_limit: float,
    **shared: Any,
) -> None:
    """Ask several models for every record, and write what is decided by the deadline, until stopped."""
    with clear_errors():
        load_deciders(deciders)
        options = SpeculativeOptions(
            join=SPECULATIVE,
            manager_limits=ManagerLimits(load_limit),
            lanes=lanes,
            lane_parallelism=lane_parallelism,
            lane_limits=LaneLimits(lane_queue, answer_limit),
            models_in=models_in,
            deciders=deciders,
            **shared_fields(load_limit=load_limit, default_name="speculative-serving", **shared),
        )
        execute(options, options.topics.speculative, build)


if __name__ == "__main__":
    main()

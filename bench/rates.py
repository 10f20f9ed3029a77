"""How fast a job works off a log of records: its results are counted against the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import click

from bench.jobs import Job
from bench.watch import Watch


@dataclass(frozen=True, slots=True)
class Span:
    """How much is measured."""

    warm_up_s: float
    """From the first result on; less where else too few records would be left to measure."""
    seconds: float
    records: int
    """Whichever comes first."""
    on_log: int
    """Records that there are at all."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What was measured of one job."""

    records_per_s: float
    records: int
    seconds: float
    first_result_s: float
    """From the start of the process."""
    warm_up_s: float
    """From then until it was measured."""
    peak_mib: dict[str, float]
    """By process."""


def measure(job: Job, written: Callable[[], int], span: Span) -> Rate:
    """Watch a job from its start.

    Args:
        job: just started.
        written: results so far.
        span: what to measure.

    Raises:
        click.ClickException: the job ended or got stuck, or was done with the log before there was anything to measure.
    """
    watch = Watch(job, written)
    first = watch.until(lambda count, _: count > 0)[1]
    latest = span.on_log - span.records
    begin, start = watch.until(lambda count, now: now >= first + span.warm_up_s or count >= latest)
    end, stop = watch.until(
        lambda count, now: now >= start + span.seconds or count >= min(begin + span.records, span.on_log)
    )
    if end == begin:
        raise click.ClickException(f"a log of {span.on_log} records is too short to measure this pipeline")
    return Rate(
        records_per_s=(end - begin) / (stop - start),
        records=end - begin,
        seconds=stop - start,
        first_result_s=first - job.started,
        warm_up_s=start - first,
        peak_mib=watch.memory.mib(),
    )

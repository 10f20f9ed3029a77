"""The tables of the swap benchmark, and whether its conditions hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import click
import numpy as np
from numpy.typing import NDArray

from bench.load import Published
from bench.swap_results import Reading, wrong

MOST_LATENCY = 2.0
"""p99 while swapping, as a multiple of that without."""
MOST_MEMORY = 1.1
"""Memory at the end, as a multiple of that after the first swaps."""

BEFORE, SWAPPING, AFTER = "without swaps, before", "while swapping", "without swaps, after"


@dataclass(frozen=True, slots=True)
class Run:
    """What was done, and measured meanwhile."""

    phases: dict[str, list[tuple[int, int]]]
    """Name → begin and end of its parts, epoch milliseconds."""
    published: Sequence[Published]
    swaps: int
    """The models with lower numbers are the swaps, the others serve in between."""
    memory: dict[int, dict[str, float]]
    """Swaps so far → process → MiB."""
    restarts: int


def report(run: Run, reading: Reading) -> list[str]:
    """Print the tables; the conditions that fail, each in words."""
    faults = wrong(reading, run.published)
    if run.restarts:
        faults.append(f"{run.restarts} restarts")
    found = reading.account
    records = len(found.results.version) - found.doubled + found.unscored
    click.echo(
        f"{records} records: {found.unscored} unscored, {found.doubled} scored twice, "
        f"{reading.never_admitted.total()} scored by a model that was never admitted"
    )
    return [*faults, *_swaps(run, reading), *_latency(run, reading), *_memory(run)]


def _latency(run: Run, reading: Reading) -> list[str]:
    record_ms, latency_ms = reading.account.results.record_ms, reading.account.results.latency_ms

    def of(*phases: str) -> NDArray[np.int64]:
        parts = [part for phase in phases for part in run.phases[phase]]
        return np.concatenate([latency_ms[(record_ms >= start) & (record_ms < end)] for start, end in parts])

    click.echo("\n| latency, ms | records | p50 | p99 | p99.9 | max |\n| --- | --- | --- | --- | --- | --- |")
    for phase in (BEFORE, SWAPPING, AFTER):
        figures = of(phase)
        quantiles = np.percentile(figures, [50, 99, 99.9, 100])
        click.echo(f"| {phase} | {len(figures)} | {' | '.join(f'{each:.0f}' for each in quantiles)} |")
    ratio = np.percentile(of(SWAPPING), 99) / np.percentile(of(BEFORE, AFTER), 99)
    click.echo(f"\np99 while swapping is {ratio:.2f} times that without swaps; at most {MOST_LATENCY} is allowed.")
    return [f"p99 while swapping is {ratio:.2f} times that without"] if ratio > MOST_LATENCY else []


def _swaps(run: Run, reading: Reading) -> list[str]:
    """What became of the models, and how long after its publication each was first heard of."""
    first = reading.account.results.first_written_ms()
    good = [model for model in run.published if not model.fault]
    served = [model for model in good if model.number in first]
    click.echo(
        "\n| models swapped in | published | served | overtaken | first score after, ms: p50 | p99 | max |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )
    swaps = [model for model in good if model.number < run.swaps]
    for kind in sorted({model.kind for model in swaps}):
        mine = [model for model in swaps if model.kind == kind]
        after = [first[model.number] - model.at_ms for model in mine if model.number in first]
        quantiles = list(np.percentile(after, [50, 99, 100])) if after else [np.nan] * 3
        figures = " | ".join(f"{each:.0f}" for each in quantiles)
        click.echo(f"| {kind} | {len(mine)} | {len(after)} | {len(mine) - len(after)} | {figures} |")
    bad = [model for model in run.published if model.fault]
    click.echo(f"| bad ones | {len(bad)} | rejected: {sum(reading.rejected_models.values())} | | | | |")
    last = good[-1]
    return [] if last in served else [f"version {last.number}, the last good one, never served"]


def _memory(run: Run) -> list[str]:
    (first, before), (last, after) = sorted(run.memory.items())
    click.echo(f"\n| memory, MiB | after {first} swaps | after {last} swaps | ratio |\n| --- | --- | --- | --- |")
    faults = []
    for process, end in after.items():
        start = before.get(process)
        if start is None:
            click.echo(f"| {process} | - | {end:.0f} | |")
            continue
        click.echo(f"| {process} | {start:.0f} | {end:.0f} | {end / start:.2f} |")
        if end > MOST_MEMORY * start:
            faults.append(f"{process} holds {end / start:.2f} times the memory")
    return faults

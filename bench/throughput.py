"""Records/s of every pipeline with every model; and, of the same jobs, start-up and memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Any

from bench.models import NO_MODEL, for_each
from bench.parts import Case, Choice, Figures, Key, Part, Tree
from bench.pipelines import evaluates
from bench.rates import measure
from bench.site import Site


def cases(site: Site, choice: Choice) -> Iterator[Case]:
    """In each round one model after the other, and with each all pipelines: what is compared is close in time."""
    for number in range(1, choice.rounds + 1):
        for model in (NO_MODEL, *choice.models):
            for pipeline in choice.pipelines:
                if evaluates(pipeline, model):
                    yield Case((str(number), pipeline, model), partial(work_off, site, choice, pipeline, model))


def work_off(
    site: Site, choice: Choice, pipeline: str, model: str, *, parallelism: int | None = None, data_types: int = 1
) -> Figures:
    """How fast a job works off a log of records."""
    topics = site.backlog(choice.backlog, data_types)
    models = for_each(model, data_types)
    parallelism = parallelism or choice.parallelism
    with (
        site.job(pipeline, models, topics, parallelism=parallelism, data_types=data_types) as job,
        site.written(topics) as written,
    ):
        return asdict(measure(job, written, choice.span))


def summarise(measured: Sequence[tuple[Key, Figures]]) -> dict[str, Tree]:
    """Medians of the rounds; of memory, the most. A pipeline that evaluates no model has its rate with each of them."""
    by_case: dict[tuple[str, str], list[Figures]] = defaultdict(list)
    for (_, pipeline, model), figures in measured:
        by_case[pipeline, model].append(figures)
    sections: dict[str, Any] = {name: defaultdict(dict) for name in ("throughput", "startup", "memory")}
    for (pipeline, model), rounds in by_case.items():
        sections["throughput"][pipeline][model] = round(median(each["records_per_s"] for each in rounds))
        sections["startup"][pipeline][model] = round(median(each["first_result_s"] for each in rounds), 2)
        peaks: Tree = {}
        for each in rounds:
            for process, mib in each["peak_mib"].items():
                peaks[process] = max(mib, peaks.get(process, 0.0))
        sections["memory"][pipeline][model] = peaks
    models = [model for _, model in by_case if model != NO_MODEL]
    for rates in sections["throughput"].values():
        if NO_MODEL in rates:
            rates.update(dict.fromkeys(models, rates[NO_MODEL]))
    return {name: dict(section) for name, section in sections.items()}


PART = Part(cases, summarise)

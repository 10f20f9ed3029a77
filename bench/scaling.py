"""How throughput grows with parallelism, and with the number of data types and models."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from statistics import median

from bench.parts import Case, Choice, Figures, Key, Part, Tree
from bench.pipelines import JOINED
from bench.site import Site
from bench.throughput import work_off

PARALLELISM = (1, 2, 4)
DATA_TYPES = (1, 10, 100)
"""Each with a model of its own; at parallelism 1."""
BY_PARALLELISM, BY_DATA_TYPES = "parallelism", "data-types"


def cases(site: Site, choice: Choice) -> Iterator[Case]:
    """With the first of the models."""
    model = choice.models[0]
    for number in range(1, choice.rounds + 1):
        for pipeline in JOINED:
            if pipeline not in choice.pipelines:
                continue
            for parallelism in PARALLELISM:
                key = (str(number), pipeline, model, BY_PARALLELISM, str(parallelism))
                yield Case(key, partial(work_off, site, choice, pipeline, model, parallelism=parallelism))
            # One data type at parallelism 1 was the first of these.
            for data_types in DATA_TYPES[1:]:
                key = (str(number), pipeline, model, BY_DATA_TYPES, str(data_types))
                measure = partial(work_off, site, choice, pipeline, model, parallelism=1, data_types=data_types)
                yield Case(key, measure)


def summarise(measured: Sequence[tuple[Key, Figures]]) -> dict[str, Tree]:
    """Medians of the rounds."""
    by_case: dict[Key, list[float]] = defaultdict(list)
    for (_, pipeline, model, by, value), figures in measured:
        by_case[pipeline, model, by, value].append(figures["records_per_s"])
        if (by, value) == (BY_PARALLELISM, "1"):
            by_case[pipeline, model, BY_DATA_TYPES, "1"].append(figures["records_per_s"])
    section: Tree = {}
    for (pipeline, model, by, value), rates in by_case.items():
        section.setdefault(pipeline, {}).setdefault(model, {}).setdefault(by, {})[value] = round(median(rates))
    return {"scaling": section}


PART = Part(cases, summarise)

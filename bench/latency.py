"""Latency at steady rates: from the record's place on its log to the result's, by the broker's clock.

That is when a consumer can see a result that reads what is not yet committed; others wait for the checkpoint.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from statistics import median
from typing import Any

import click
import numpy as np

from bench.load import Load
from bench.models import for_each
from bench.parts import Case, Choice, Figures, Key, Part, Tree
from bench.pipelines import JOINED, PROFILES
from bench.records import fill
from bench.results import account
from bench.site import LIVE, Site
from bench.watch import Watch

RATES = (1_000, 10_000)
"""Records/s."""
QUANTILES: Mapping[str, float] = {"p50": 50, "p99": 99, "p99.9": 99.9, "max": 100}


def cases(site: Site, choice: Choice) -> Iterator[Case]:
    """With the first of the models; profiles are of our job alone."""
    model = choice.models[0]
    for number in range(1, choice.rounds + 1):
        for rate in RATES:
            for pipeline in JOINED:
                for profile in PROFILES:
                    if pipeline in choice.pipelines and (profile == "default" or pipeline != "java-peer"):
                        key = (str(number), pipeline, model, profile, str(rate))
                        yield Case(key, partial(_measure, site, choice, key))


def _measure(site: Site, choice: Choice, key: Key) -> Figures:
    _, pipeline, model, profile, rate = key
    with (
        site.job(pipeline, for_each(model), LIVE, parallelism=choice.parallelism, more=PROFILES[profile]) as job,
        site.written(LIVE) as written,
    ):
        watch = Watch(job, written)
        # Records that came while it starts would have to be worked off first.
        fill(site.bootstrap_servers, LIVE.records, 1)
        watch.until(lambda count, _: count > 0)
        with Load(site.bootstrap_servers, LIVE.records, int(rate)):
            watch.for_seconds(choice.warm_up_s)
            begin_ms = _now_ms()
            watch.for_seconds(choice.seconds)
            end_ms = _now_ms()
        found = account(site.bootstrap_servers, LIVE)
    if found.unscored or found.doubled:
        raise click.ClickException(f"{found.unscored} records have no result, {found.doubled} more than one")
    came_ms = found.results.record_ms
    latencies = found.results.latency_ms[(came_ms >= begin_ms) & (came_ms < end_ms)]
    if not latencies.size:
        raise click.ClickException(f"no records came in {choice.seconds:g} s")
    quantiles = {name: float(np.percentile(latencies, at)) for name, at in QUANTILES.items()}
    return {"records": int(latencies.size), "latency_ms": quantiles}


def summarise(measured: Sequence[tuple[Key, Figures]]) -> dict[str, Tree]:
    """Medians of the rounds; of the greatest, the greatest."""
    by_case: dict[Key, list[Mapping[str, float]]] = defaultdict(list)
    for (_, *case), figures in measured:
        by_case[tuple(case)].append(figures["latency_ms"])
    section: dict[str, Any] = {}
    for (pipeline, model, profile, rate), rounds in by_case.items():
        of_rounds = {name: max if name == "max" else median for name in QUANTILES}
        section.setdefault(pipeline, {}).setdefault(model, {}).setdefault(profile, {})[rate] = {
            name: round(of([each[name] for each in rounds]), 1) for name, of in of_rounds.items()
        }
    return {"latency": section}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


PART = Part(cases, summarise)

"""How long a new model takes: from before it is sent to the first result that it has scored, while records flow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from statistics import median

import click

from bench.load import Load, ModelLog
from bench.parts import Case, Choice, Figures, Key, Part, Tree
from bench.pipelines import JOINED
from bench.results import wait_for_version
from bench.site import LIVE, Site
from bench.swap_models import ModelMaker
from bench.swap_results import read, wrong
from bench.watch import STALL_LIMIT_S, Watch
from modelserving.wire.model_pb2 import ModelType

RATE = 1_000
"""Records/s."""
SIZE = 1_000_000
"""Bytes of a model, about."""
SWAPS = 10
"""In each round."""
SETTLE_S = 1.0
"""Between two swaps."""
KINDS: Mapping[str, ModelType] = {
    "pmml": ModelType.PMML,
    "tensorflow": ModelType.TENSORFLOW,
    "saved-model": ModelType.TENSORFLOWSAVED,
}


def cases(site: Site, choice: Choice) -> Iterator[Case]:
    """Each type of model by itself: models of the same type replace each other."""
    for number in range(1, choice.rounds + 1):
        for kind in KINDS:
            for pipeline in JOINED:
                if pipeline in choice.pipelines:
                    yield Case((str(number), pipeline, kind), partial(_measure, site, choice, pipeline, KINDS[kind]))


def _measure(site: Site, choice: Choice, pipeline: str, kind: ModelType) -> Figures:
    models = ModelMaker("wine")
    versions = [models.good(number, kind, SIZE) for number in range(SWAPS + 1)]
    log = ModelLog(site.bootstrap_servers, LIVE.models)
    with (
        site.job(pipeline, [], LIVE, parallelism=choice.parallelism) as job,
        site.written(LIVE) as written,
    ):
        # Without a model, the first records would be rejected.
        log.publish(versions[0])
        with Load(site.bootstrap_servers, LIVE.records, RATE):
            watch = Watch(job, written)
            watch.until(lambda count, _: count > 0)
            watch.for_seconds(choice.warm_up_s)
            for version in versions[1:]:
                log.publish(version)
                wait_for_version(site.bootstrap_servers, LIVE.results, str(version.number), STALL_LIMIT_S)
                watch.for_seconds(SETTLE_S)
        reading = read(site.bootstrap_servers, LIVE, log.published)
    faults = wrong(reading, log.published)
    if faults:
        raise click.ClickException("; ".join(faults))
    first_ms = reading.account.results.first_written_ms()
    return {"swap_ms": [first_ms[model.number] - model.at_ms for model in log.published[1:]]}


def summarise(measured: Sequence[tuple[Key, Figures]]) -> dict[str, Tree]:
    """Medians of all swaps of all rounds."""
    by_case: dict[tuple[str, str], list[int]] = defaultdict(list)
    for (_, pipeline, kind), figures in measured:
        by_case[pipeline, kind].extend(figures["swap_ms"])
    section: Tree = {}
    for (pipeline, kind), times in by_case.items():
        section.setdefault(pipeline, {})[kind] = round(median(times))
    return {"swap": section}


PART = Part(cases, summarise)

"""The tables of records per second, and of ratios between pipelines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.models import NO_MODEL
from bench.parts import Tree
from bench.tables import how, table

RATIOS = (
    ("partitioned", "java-peer"),
    ("keyed", "java-peer"),
    ("partitioned", "java-peer-default-threads"),
    ("keyed", "java-peer-default-threads"),
    ("partitioned", "per-record-python"),
    ("keyed", "per-record-python"),
    ("partitioned", "no-model"),
    ("keyed", "no-model-keyed"),
)
"""Pairs of pipelines of which the one is compared with the other."""


def throughput(document: Tree) -> Iterable[str]:
    """Medians with their ranges, and ratios of medians."""
    rates: Mapping[str, Mapping[str, int]] = document["throughput"]
    ranges = _ranges(document["runs"]["throughput"]["measured"])
    models = list(dict.fromkeys(model for by_model in rates.values() for model in by_model if model != NO_MODEL))
    scoring = [name for name, by_model in rates.items() if NO_MODEL not in by_model]

    def rate(pipeline: str, model: str) -> str:
        if model not in rates[pipeline]:
            return "-"
        low, high = ranges[pipeline, model]
        return f"{rates[pipeline][model]:,} ({low:,} to {high:,})"

    yield "### Records per second"
    yield how(document, "throughput")
    yield "Medians of the rounds, and in brackets the least and the most."
    yield table(["model", *scoring], ([model, *(rate(name, model) for name in scoring)] for model in models))
    yield table(
        ["without a model", "records/s"],
        ([name, rate(name, NO_MODEL)] for name, by_model in rates.items() if NO_MODEL in by_model),
    )
    yield "Ratios of the medians:"
    pairs = [(one, other) for one, other in RATIOS if one in rates and other in rates]
    yield table(
        ["model", *(f"{one} / {other}" for one, other in pairs)],
        ([model, *(_ratio(rates, pair, model) for pair in pairs)] for model in models),
    )


def _ratio(rates: Mapping[str, Mapping[str, int]], pair: tuple[str, str], model: str) -> str:
    one, other = (rates[name].get(model) for name in pair)
    return f"{one / other:.2f}" if one and other else "-"


def _ranges(measured: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], tuple[int, int]]:
    """Pipeline and model → the least and the most records/s of all rounds."""
    found = defaultdict(list)
    for each in measured:
        _, pipeline, model = each["case"]
        found[pipeline, model].append(round(each["records_per_s"]))
    return {case: (min(rates), max(rates)) for case, rates in found.items()}

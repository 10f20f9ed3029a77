"""What `docs/benchmarks.json` says, as paragraphs and tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any

from bench.latency import QUANTILES
from bench.parts import Tree
from bench.plot import FILE as PLOT
from bench.tables import how, table
from bench.targets import targets
from bench.throughput_report import throughput


def sections(document: Tree) -> list[str]:
    """The paragraphs and tables, of whatever was measured."""
    makers: Mapping[str, Callable[[Tree], Iterable[str]]] = {
        "throughput": throughput,
        "latency": _latency,
        "swap": _swap,
        "scaling": _scaling,
        "external": _external,
        "startup": _startup,
        "memory": _memory,
    }
    made = [list(make(document)) for name, make in makers.items() if name in document]
    if not made:
        return ["Nothing was measured yet."]
    if "throughput" in document:
        made.append(list(targets(document)))
    plot = [f"![Records per second of each pipeline with each model]({PLOT})"] if "throughput" in document else []
    return [_machine(document), *plot, *chain.from_iterable(made)]


def _machine(document: Tree) -> str:
    about = document["machine"]
    return (
        f"Machine: {about['processor']}, {about['cores']} cores, {about['memory_gib']} GiB, {about['kernel']}; "
        f"Python {about['python']}, Java {about['java']}, Flink {about['flink']}, TensorFlow {about['tensorflow']}."
    )


def _latency(document: Tree) -> Iterable[str]:
    yield "### Latency"
    yield how(document, "latency")
    rows = (
        [pipeline, model, profile, f"{int(rate):,}", *(f"{quantiles[name]:.0f}" for name in QUANTILES)]
        for pipeline, by_model in document["latency"].items()
        for model, by_profile in by_model.items()
        for profile, by_rate in by_profile.items()
        for rate, quantiles in by_rate.items()
    )
    yield table(["pipeline", "model", "profile", "records/s", *(f"{name}, ms" for name in QUANTILES)], rows)


def _swap(document: Tree) -> Iterable[str]:
    yield "### From publication to the first result"
    yield how(document, "swap")
    yield "Medians, in ms:"
    yield _by_pipeline(document["swap"], "type of model", lambda value: f"{value:,}")


def _scaling(document: Tree) -> Iterable[str]:
    yield "### Scaling"
    yield how(document, "scaling")
    yield "Medians, in records/s:"
    found: Mapping[str, Mapping[str, Tree]] = document["scaling"]
    flat = {
        pipeline: {f"{model}, {by} {value}": rate for by, rates in grown.items() for value, rate in rates.items()}
        for pipeline, by_model in found.items()
        for model, grown in by_model.items()
    }
    yield _by_pipeline(flat, "model, and what grows", lambda value: f"{value:,}")


def _external(document: Tree) -> Iterable[str]:
    yield "### A model server, asked for each record"
    yield how(document, "external")
    if not document["external"]:
        yield "MLServer could not be installed on this machine."
        return
    yield (
        "MLServer with scikit-learn's forest of 100 trees, or a tree. `-256`: so many records in a request; "
        "`-adaptive`: the server gathers requests into batches; `-tree`: the tree."
    )
    rows = (
        [peer, callers, *(f"{figures[name]:,.1f}" for name in ("records_per_s", "p50_ms", "p99_ms", "client_cores"))]
        for peer, by_callers in document["external"].items()
        for callers, figures in by_callers.items()
    )
    header = ["peer", "callers at a time", "records/s", "p50, ms", "p99, ms", "cores of the callers"]
    yield table(header, rows)


def _startup(document: Tree) -> Iterable[str]:
    yield "### Start-up"
    yield "Of the jobs of the first section: seconds from the start of the process to the first result, medians."
    yield _by_pipeline(document["startup"], "model", lambda value: f"{value:.1f}")


def _memory(document: Tree) -> Iterable[str]:
    yield "### Memory"
    yield (
        "Of the jobs of the first section: the most main memory that each process held, in MiB. What processes share, "
        "such as the code of libraries, counts for each."
    )
    found: Mapping[str, Mapping[str, Mapping[str, float]]] = document["memory"]
    rows = (
        [pipeline, model, ", ".join(f"{process}: {mib:,.0f}" for process, mib in peaks.items())]
        for pipeline, by_model in found.items()
        for model, peaks in by_model.items()
    )
    yield table(["pipeline", "model", "processes"], rows)


def _by_pipeline(found: Mapping[str, Mapping[str, Any]], what: str, show: Callable[[Any], str]) -> str:
    """A table with a column for each pipeline."""
    names = list(dict.fromkeys(name for figures in found.values() for name in figures))
    rows = ([name, *(show(each[name]) if name in each else "-" for each in found.values())] for name in names)
    return table([what, *found], rows)

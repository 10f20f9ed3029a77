"""The plot of the page: records per second of each pipeline with each model."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.models import NO_MODEL
from bench.parts import Tree

FILE = "benchmarks-throughput.svg"
_WIDTH = 0.8
"""Of all bars of a model; one is the distance to the next model."""


def draw(folder: Path, document: Tree) -> None:
    """Draw the figures to the folder of documents; the same figures make the same file."""
    if "throughput" not in document:
        return
    rates = document["throughput"]
    scoring = [name for name, by_model in rates.items() if NO_MODEL not in by_model]
    models = list(dict.fromkeys(model for name in scoring for model in rates[name]))
    # Else its identifiers would be new each time, and letters would be drawn instead of written.
    with mpl.rc_context({"svg.hashsalt": FILE, "svg.fonttype": "none"}):
        figure = Figure(figsize=(10, 4.5), layout="constrained")
        axes = figure.add_subplot()
        for number, name in enumerate(scoring):
            width = _WIDTH / len(scoring)
            places = [place - _WIDTH / 2 + (number + 0.5) * width for place in range(len(models))]
            axes.bar(places, [rates[name].get(model, 0) for model in models], width, label=name)
        for name, by_model in rates.items():
            if NO_MODEL in by_model:
                axes.axhline(by_model[NO_MODEL], color="grey", linewidth=0.8, linestyle="dashed")
                axes.annotate(name, (len(models) - 0.5, by_model[NO_MODEL]), fontsize="small", color="grey")
        axes.set_xticks(range(len(models)), models)
        axes.set_yscale("log")
        axes.set_ylabel("records/s")
        axes.legend(loc="lower left", ncols=len(scoring), fontsize="small")
        figure.savefig(folder / FILE, format="svg", metadata={"Date": None})

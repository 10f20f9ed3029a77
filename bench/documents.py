"""`docs/benchmarks.json`: the figures, and below `runs` how each part came to its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.parts import Figures, Key, Part, Tree

FILE = "benchmarks.json"
ORDER = ("throughput", "latency", "memory", "swap", "startup", "scaling", "external", "machine", "runs")


def read(folder: Path) -> Tree:
    """The figures in a folder of documents; empty if it has none."""
    path = folder / FILE
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(folder: Path, document: Tree) -> None:
    """Write the figures."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def merged(
    document: Tree,
    name: str,
    part: Part,
    measured: Sequence[tuple[Key, Figures]],
    about: Mapping[str, Any],
) -> Tree:
    """The document with the figures of a part in place of those that it had; other parts stay as they are.

    Args:
        document: what there was.
        name: of the part.
        part: knows what its figures come to.
        measured: all that was measured.
        about: date, machine, command and parameters.
    """
    sections = part.summarise(measured)
    raw = [{"case": list(key), **figures} for key, figures in measured]
    runs = document.get("runs", {}) | {name: {**about, "measured": raw}}
    figures = {**document, **sections, "machine": about["machine"], "runs": runs}
    return {key: figures[key] for key in ORDER if key in figures}

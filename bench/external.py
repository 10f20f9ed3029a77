"""A part of the benchmark: a model server that is asked for each score, in place of a job that has the models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import click

from bench import model_server
from bench.mlserver.environment import NotInstalled
from bench.parts import Case, Choice, Figures, Key, Part, Tree
from bench.site import Site

LONGEST_S = 10.0
"""Of each load; their figures hardly move."""


def cases(_site: Site, choice: Choice) -> Iterator[Case]:
    """One, with all loads; a server that cannot be installed is named, and leaves no figures."""
    yield Case(("1", "mlserver"), partial(_measure, min(choice.seconds, LONGEST_S)))


def _measure(seconds: float) -> Figures:
    try:
        return {"peers": model_server.measure(seconds)}
    except NotInstalled as missing:
        click.echo(f"left out: {missing.message}", err=True)
        return {"peers": {}}


def summarise(measured: Sequence[tuple[Key, Figures]]) -> dict[str, Tree]:
    """Peer → callers at a time → its figures."""
    section: Tree = {}
    for _, figures in measured:
        section.update(figures["peers"])
    return {"external": section}


PART = Part(cases, summarise)

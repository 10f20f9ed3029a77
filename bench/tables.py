"""What the sections of the page have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.parts import Tree


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def how(document: Tree, part: str) -> str:
    """When a part was measured, of which code, where if not where the others were, and with which command."""
    run = document["runs"][part]
    code = f", of revision {run['revision']}" if run.get("revision") else ""
    elsewhere = ""
    if run["machine"] != document["machine"]:
        elsewhere = f", on another machine ({', '.join(str(value) for value in run['machine'].values())})"
    return f"Measured on {run['date']}{code}{elsewhere}:\n\n    {run['command']}"

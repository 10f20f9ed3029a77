"""The generated part of `docs/benchmarks.md`: what `docs/benchmarks.json` says, as tables."""

from __future__ import annotations

from pathlib import Path

from bench.parts import Tree
from bench.report import sections

FILE = "benchmarks.md"
BEGIN = "<!-- What follows is made from benchmarks.json by `make bench`. -->"
END = "<!-- Up to here. -->"


def rewrite(folder: Path, document: Tree) -> None:
    """Put the figures into the page, between the two comments; the rest of it stays.

    Raises:
        ValueError: the page lacks the comments.
    """
    path = folder / FILE
    text = path.read_text(encoding="utf-8") if path.exists() else f"{BEGIN}\n{END}\n"
    before, _ = _split(text, BEGIN)
    _, after = _split(text, END)
    path.write_text(before + block(document) + after, encoding="utf-8")


def block(document: Tree) -> str:
    """The generated part, comments included."""
    return "\n\n".join([BEGIN, *sections(document), END])


def found(folder: Path) -> str:
    """The part that is there now, comments included."""
    text = (folder / FILE).read_text(encoding="utf-8")
    return BEGIN + _split(_split(text, BEGIN)[1], END)[0] + END


def _split(text: str, mark: str) -> tuple[str, str]:
    before, comment, after = text.partition(mark)
    if not comment:
        raise ValueError(f"{FILE} lacks the comment {mark!r}")
    return before, after

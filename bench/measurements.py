"""Everything that was measured, kept on disk after each measurement: a run that is cut short loses nothing."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.parts import Choice, Figures, Key


class Measurements:
    """A file with one line of JSON for each measurement.

    Args:
        path: the file.
        resume: whether what it holds counts; else it begins anew.
        revision: of the code that is measured.
    """

    def __init__(self, path: Path, resume: bool, revision: str) -> None:
        self._path = path
        self._revision = revision
        self._found: dict[tuple[str, Key], tuple[Any, Figures]] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            path.write_text("", encoding="utf-8")
        elif path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                each = json.loads(line)
                self._found[each["part"], tuple(each["key"])] = each["conditions"], each["figures"]

    def find(self, part: str, key: Key, choice: Choice) -> Figures | None:
        """What was measured of a case, if it was, and under the same conditions."""
        conditions, figures = self._found.get((part, key), (None, None))
        return figures if conditions == self._conditions(choice) else None

    def add(self, part: str, key: Key, choice: Choice, figures: Figures) -> None:
        """Keep a measurement."""
        conditions = self._conditions(choice)
        self._found[part, key] = conditions, figures
        line = {"part": part, "key": key, "conditions": conditions, "figures": figures}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _conditions(self, choice: Choice) -> dict[str, Any]:
        """What all cases have in common; the others are in their keys."""
        chosen = {
            name: value for name, value in asdict(choice).items() if name not in ("rounds", "pipelines", "models")
        }
        return chosen | {"revision": self._revision}

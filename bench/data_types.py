"""Many data types, each like the wine example's."""

from __future__ import annotations

from pathlib import Path

from modelserving.configuration import EXAMPLE


def names(count: int) -> list[str]:
    """`wine`, `wine-2`, `wine-3`, …"""
    return ["wine", *(f"wine-{number}" for number in range(2, count + 1))]


def write_data_types(folder: Path, count: int) -> Path:
    """A file with so many data types."""
    section = EXAMPLE.read_text(encoding="utf-8")
    # Its paths are relative to the file that they are in.
    section = section.replace('"wire/', f'"{EXAMPLE.parent / "wire"}/')
    path = folder / f"data-types-{count}.toml"
    path.write_text(
        "\n".join(section.replace("[data_types.wine]", f"[data_types.{name}]") for name in names(count)),
        encoding="utf-8",
    )
    return path

"""The generated code that is checked in is what the messages in `proto/` give now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WIRE = ROOT / "modelserving" / "wire"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("wire")
    subprocess.run([sys.executable, str(ROOT / "proto" / "generate.py"), str(folder)], check=True)
    return contents(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.name != "__init__.py"}


def test_the_same_files(fresh: dict[str, bytes]) -> None:
    assert sorted(fresh) == sorted(contents(WIRE)), "run `make proto`"


@pytest.mark.parametrize("name", sorted(contents(WIRE)))
def test_the_same_content(fresh: dict[str, bytes], name: str) -> None:
    assert fresh.get(name) == contents(WIRE)[name], "run `make proto`"

"""MLServer's own virtual environment, made from its own lock: its dependencies do not fit beside apache-flink's."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
LOCK = Path(__file__).with_name("requirements.txt")
FOLDER = ROOT / ".run" / "mlserver"
PYTHON = FOLDER / "bin" / "python"
_MADE = FOLDER / ".made"


class NotInstalled(click.ClickException):
    """MLServer cannot be installed here."""


def is_made() -> bool:
    """Whether the environment is there, and is what the lock says."""
    return _MADE.exists() and _MADE.read_text() == _digest()


def make() -> None:
    """Make the environment, or bring it up to date with the lock; nothing to do if it is."""
    if is_made():
        return
    venv.create(FOLDER, with_pip=False, clear=True)
    uv = Path(sys.prefix) / "bin" / "uv"
    command = [str(uv), "pip", "sync", "-q", "--python", str(PYTHON), "--require-hashes", str(LOCK)]
    try:
        done = subprocess.run(command, check=False, stderr=subprocess.PIPE, text=True)
    except FileNotFoundError as missing:
        raise NotInstalled("uv is missing: run make setup") from missing
    if done.returncode:
        raise NotInstalled(not_installed(done.stderr))
    _MADE.write_text(_digest())


def not_installed(stderr: str) -> str:
    """One line: why, from what uv printed, and what to do."""
    cause = " ".join(stderr.split()).removeprefix("error: ")[:500] or "uv says nothing"
    return (
        f"MLServer cannot be installed: {cause}; "
        "try again with a package index in reach that has what bench/mlserver/requirements.txt pins, or do without it"
    )


def _digest() -> str:
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()

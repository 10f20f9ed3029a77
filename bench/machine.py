"""The machine and the software that figures are of."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

import psutil

from modelserving.local.jars import java


def revision(folder: Path) -> str:
    """Of the code in a folder, as Git names it, and a digest of what was changed since; empty where Git knows neither.

    Documents are no code: the benchmark itself writes them.
    """

    def git(*words: str) -> bytes:
        return subprocess.run(["git", "-C", str(folder), *words], check=False, capture_output=True).stdout

    try:
        commit, changes = git("rev-parse", "--short", "HEAD"), git("diff", "HEAD", "--", ".", ":!docs")
    except FileNotFoundError:
        return ""
    more = f"+{hashlib.sha256(changes).hexdigest()[:7]}" if changes else ""
    return commit.decode().strip() + more


def describe() -> dict[str, str | int]:
    """What matters for figures, by name; nothing that names the machine."""
    model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    version = subprocess.run([java(), "-version"], check=True, capture_output=True, text=True).stderr
    found = re.search(r'version "([^"]+)"', version)
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "kernel": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "java": found[1] if found else "unknown",
        "flink": metadata.version("apache-flink"),
        "tensorflow": metadata.version("tensorflow"),
    }

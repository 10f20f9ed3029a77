"""The machine and the software that figures are of."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib import metadata
from pathlib import Path

import psutil

from modelserving.local.jars import java


def revision(folder: Path) -> str:
    """Of the code in a folder, as Git names it, marked if there is more than that; empty where Git does not know it."""
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()


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

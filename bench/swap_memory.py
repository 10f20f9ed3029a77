"""Memory of a job's processes: the Java heap after a forced collection, and what each Python process holds."""

from __future__ import annotations

import subprocess
from itertools import count
from pathlib import Path

import psutil

from modelserving.local.jars import java

JAVA = "Flink's Java heap"
ROLES = {"model_serving.py": "job's script", "beam_boot": "Python worker", "sandbox": "admission's sandbox"}
"""Part of a Python process's command line → what it is."""

_HEAP_COLUMNS = ("S0U", "S1U", "EU", "OU")
"""Of `jstat -gc`: used kB of both survivor spaces, eden and the old generation."""


def memory(leader: int) -> dict[str, float]:
    """MiB by process, for the job's first process and all below it; Java is asked to collect its garbage first."""
    found: dict[str, float] = {}
    for process in [psutil.Process(leader), *psutil.Process(leader).children(recursive=True)]:
        if process.name() == "java":
            found[_new(JAVA, found)] = _heap_after_collection(process.pid)
        elif process.name().startswith("python"):
            command = " ".join(process.cmdline())
            role = next((role for part, role in ROLES.items() if part in command), "another Python process")
            found[_new(role, found)] = process.memory_info().rss / 2**20
    return found


def _new(role: str, found: dict[str, float]) -> str:
    """A name for one more process of a role."""
    return next(name for name in (f"{role} {number}" for number in count(1)) if name not in found)


def _heap_after_collection(pid: int) -> float:
    tool = str(Path(java()).resolve().with_name("jcmd"))
    subprocess.run([tool, str(pid), "GC.run"], check=True, stdout=subprocess.DEVNULL)
    output = subprocess.run(
        [tool.replace("jcmd", "jstat"), "-gc", str(pid)], check=True, capture_output=True, text=True
    )
    header, values = (line.split() for line in output.stdout.splitlines())
    used = dict(zip(header, values, strict=True))
    return sum(float(used[column]) for column in _HEAP_COLUMNS) / 1024

"""Memory of a job's processes: the Java heap after a forced collection, and what each Python process holds."""

from __future__ import annotations

import subprocess
from pathlib import Path

from bench.processes import JVM, job_processes, numbered
from modelserving.local.jars import java

JAVA = "Flink's Java heap"

_HEAP_COLUMNS = ("S0U", "S1U", "EU", "OU")
"""Of `jstat -gc`: used kB of both survivor spaces, eden and the old generation."""


def memory(leader: int) -> dict[str, float]:
    """MiB by process, for the job's first process and all below it; Java is asked to collect its garbage first."""
    found: dict[str, float] = {}
    for role, process in job_processes(leader):
        if role == JVM:
            found[numbered(JAVA, found)] = _heap_after_collection(process.pid)
        else:
            found[numbered(role, found)] = process.memory_info().rss / 2**20
    return found


def _heap_after_collection(pid: int) -> float:
    tool = str(Path(java()).resolve().with_name("jcmd"))
    subprocess.run([tool, str(pid), "GC.run"], check=True, stdout=subprocess.DEVNULL)
    output = subprocess.run(
        [tool.replace("jcmd", "jstat"), "-gc", str(pid)], check=True, capture_output=True, text=True
    )
    header, values = (line.split() for line in output.stdout.splitlines())
    used = dict(zip(header, values, strict=True))
    return sum(float(used[column]) for column in _HEAP_COLUMNS) / 1024

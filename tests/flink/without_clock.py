"""The speculative job, its lanes without a clock: only what is asked for comes."""

from __future__ import annotations

import runpy
from pathlib import Path

from modelserving.flink.speculative import topology

JOB = Path(__file__).resolve().parents[2] / "jobs" / "speculative_serving.py"

vars(topology)["LOOK_EVERY_MS"] = 3_600_000
runpy.run_path(str(JOB), run_name="__main__")

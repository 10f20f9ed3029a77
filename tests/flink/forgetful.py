"""The serving job, whose statistics keep no version that is at rest."""

from __future__ import annotations

import runpy
from pathlib import Path

from modelserving.statistics import earlier

JOB = Path(__file__).resolve().parents[2] / "jobs" / "model_serving.py"

if __name__ == "__main__":
    earlier.MOST_AT_REST = 0
    runpy.run_path(str(JOB), run_name="__main__")

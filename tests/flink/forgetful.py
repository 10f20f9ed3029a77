"""The serving job, whose statistics keep no version that is at rest."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from modelserving.flink import dataflow
from modelserving.flink.statistics import StatisticsFunction
from modelserving.statistics import earlier

JOB = Path(__file__).resolve().parents[2] / "jobs" / "model_serving.py"


class ForgetfulFunction(StatisticsFunction):
    """Keeps none."""

    def open(self, runtime_context: Any) -> None:
        vars(earlier)["MOST_AT_REST"] = 0  # here, since this is the worker
        super().open(runtime_context)


if __name__ == "__main__":
    vars(dataflow)["StatisticsFunction"] = ForgetfulFunction
    runpy.run_path(str(JOB), run_name="__main__")

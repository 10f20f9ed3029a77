"""The serving job with one more operator in it, as a later release might have."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from modelserving.flink import batching

JOB = Path(__file__).resolve().parents[2] / "jobs" / "model_serving.py"
with_windows = batching.with_windows


def batches_handed_on(*arguments: Any) -> Any:
    """The raw batches, through one more operator."""
    return with_windows(*arguments).filter(lambda _: True).name("hand-on").uid("hand-on")


if __name__ == "__main__":
    vars(batching)["with_windows"] = batches_handed_on
    runpy.run_path(str(JOB), run_name="__main__")

"""What jobs that pass each record on by itself set back to Flink's defaults, since they have no batches."""

from __future__ import annotations

UNBATCHED = {
    "python.fn-execution.bundle.size": "1000",
    "execution.buffer-timeout.interval": "100 ms",
    "pipeline.auto-generate-uids": "true",
}
"""Keys and values of Flink's configuration."""

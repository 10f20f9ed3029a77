"""How long what a job has told last is taken for what is."""

from __future__ import annotations

STALE_MS = 10_000
"""A job that has told nothing for so long has no present rates: it has ended, or nothing came."""
DRIFT_STALE_MS = 300_000
"""Drift is of records of the last five minutes."""

"""One round: models are published, a fault is injected, and what must hold is checked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from random import Random

from tests.faults.injections import Fault
from tests.faults.processes import below_task_managers, left_behind
from tests.faults.site import Site


@dataclass(frozen=True, slots=True)
class Round:
    """What a round showed."""

    records: int
    """Sent in it."""
    seconds: float
    """From the last blow until all tasks of the job ran again."""
    lost: int
    doubled: int
    restarts: int
    faults: list[str]
    """All that must not be, in words; empty if all is well."""


def run_round(site: Site, fault: Fault, random: Random) -> Round:
    """Inject the fault while records flow.

    Raises:
        AssertionError: the job does not come back in time, or is stuck.
    """
    records, job, restored = len(site.load.sent), site.job, site.checkpoint_counts()["restored"]
    started = below_task_managers(site.cluster)
    site.load.resume()
    site.models.publish_bad()
    site.models.publish_good()
    if fault.in_flight:
        site.hold_up_requests()
    blow = fault.inject(site, random)
    blow_ms = (time.time() - (time.monotonic() - blow)) * 1000
    if site.job != job:
        restored = 0  # counted anew
    seconds = site.wait_until_running(blow, restored, restarts=bool(fault.restarts))
    if fault.in_flight:
        site.speculation.let_go()
    findings = site.settle()
    site.wait_until_newest_serves()
    faults = findings.faults
    serving = site.serving_versions()
    if serving != {site.models.newest_good}:
        faults.append(f"version {serving} serves instead of {site.models.newest_good}")
    faults += left_behind(site.cluster, started)
    restarts = site.checkpoint_counts()["restored"] - restored
    if restarts and fault.restarts is False:
        faults.append(f"the job restarted {restarts} times")
    if fault.in_flight and not site.answers.account.in_flight(blow_ms):
        faults.append("no request was in flight")
    return Round(
        records=len(site.load.sent) - records,
        seconds=seconds,
        lost=len(findings.lost),
        doubled=len(findings.doubled),
        restarts=restarts,
        faults=faults,
    )

"""What the speculative job is asked for under faults: by a smart model, and by a fast one where that takes too long.

Each answers with its version, so that an answer tells whose it is. What the smart one does beside is scripted.
"""

from __future__ import annotations

from pathlib import Path

from modelserving.topics import Topics
from modelserving.wire.speculative_pb2 import SpeculativeControl
from tests.flink.scripted.script import Script
from tests.kafka_client import produce

ARGUMENTS = ("--lane-queue", "1000")
"""Of the job: what waits for the smart model waits until the deadline, and is not shed."""
FAST_VERSION = "0"
_SMART, _FAST = "smart", "fast"
_TIMEOUT_MS = 2_000
_DEFAULT = -1.0
_TOO_LONG_MS = _TIMEOUT_MS + 1_000


class Speculation:
    """The policy and its models.

    Args:
        folder: for what the smart model is told; it is made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._script = Script(folder)

    def smart(self, version: str) -> bytes:
        """An encoded descriptor of the smart model."""
        return self._script.model(_SMART, answer_of(version), version)

    def begin(self, bootstrap_servers: str, topics: Topics) -> None:
        """Send the policy, and the fast model."""
        policy = SpeculativeControl(datatype="wine", tmout=_TIMEOUT_MS, models=[_SMART, _FAST], default_number=_DEFAULT)
        fast = self._script.model(_FAST, answer_of(FAST_VERSION), FAST_VERSION)
        produce(bootstrap_servers, topics.speculative_control, [(None, policy.SerializeToString())])
        produce(bootstrap_servers, topics.models, [(None, fast)])

    def hold_up(self) -> None:
        """Have the smart model sleep past the deadline each time, so that each request is in flight until its own."""
        self._script.tell(_SMART, wait_ms=_TOO_LONG_MS)

    def keep_busy(self) -> None:
        """Have it compute for so long."""
        self._script.tell(_SMART, burn_ms=_TOO_LONG_MS)

    def let_go(self) -> None:
        """Have it answer at once."""
        self._script.tell(_SMART, wait_ms=0)


def answer_of(version: str) -> float:
    """What the model of a version answers; of none: the default."""
    return float(version) if version else _DEFAULT

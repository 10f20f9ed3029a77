"""The aggregator of statistics without a cluster: its clock, its restarts, and what it keeps in memory."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from modelserving.configuration import load_data_types
from modelserving.flink import assembly, rows
from modelserving.flink import statistics as module
from modelserving.flink.options import JobOptions
from modelserving.flink.statistics import AT_REST_AFTER_MS, StatisticsFunction
from modelserving.outgoing import Outgoing
from modelserving.statistics.keys import is_of_policy
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.speculative_pb2 import Why
from modelserving.wire.state_pb2 import PolicyDelta, StatsDelta
from modelserving.wire.stats_pb2 import PolicyStats, ServingStats
from tests.flink.test_admission_function import Clock, MapState

ROW = rows.outgoing_row


def test_what_drift_needs_is_imported_before_records_flow() -> None:
    """Later it would hold up all functions of the worker for seconds."""
    script = (
        "import sys\n"
        "from types import SimpleNamespace\n"
        "from modelserving.configuration import load_data_types\n"
        "from modelserving.flink.options import JobOptions\n"
        "from modelserving.flink.statistics import StatisticsFunction\n"
        "from modelserving.topics import Topics\n"
        "options = JobOptions('keyed', 'localhost:9092', Topics(), load_data_types(), 'test')\n"
        "StatisticsFunction(options).open(SimpleNamespace(get_map_state=lambda _: {}))\n"
        "print('river.drift' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout == "True\n"


class Operator:
    """The operator on a state and a clock of its own; `start` is also its restart."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock, self.state = Clock(), MapState()
        self.timers: list[int] = []
        self.told: list[Outgoing] = []
        monkeypatch.setattr(assembly, "clock_ms", self.clock)
        monkeypatch.setattr(module, "prepare", lambda: None)
        monkeypatch.setattr(rows, "outgoing_row", self._row)
        service = SimpleNamespace(register_processing_time_timer=self.timers.append)
        self._context: Any = SimpleNamespace(get_current_key=lambda: "0", timer_service=lambda: service)
        self.start()

    def start(self) -> None:
        self.function = StatisticsFunction(JobOptions("keyed", "localhost:9092", Topics(), load_data_types(), "test"))
        self.function.open(cast("Any", SimpleNamespace(get_map_state=lambda _: self.state)))

    def send(self, *versions: str) -> None:
        deltas = [StatsDelta(data_type="wine", model=ModelDescriptor(version=each), served=5) for each in versions]
        value: Any = ["0", [delta.SerializeToString() for delta in deltas]]
        list(self.function.process_element(value, self._context))

    def decide(self, records: int) -> None:
        """Send what a policy decided, beside a version's answers."""
        policy = StatsDelta(data_type="wine", policy=PolicyDelta(why={Why.BEST: records}))
        version = StatsDelta(data_type="wine", model=ModelDescriptor(version="1"), served=records, votes=True)
        value: Any = ["0", [policy.SerializeToString(), version.SerializeToString()]]
        list(self.function.process_element(value, self._context))

    def pass_time(self, ms: int) -> None:
        """Let the timers fire that are due by then."""
        self.clock.now_ms += ms
        due = [timer for timer in self.timers if timer <= self.clock.now_ms]
        self.timers[:] = [timer for timer in self.timers if timer > self.clock.now_ms]
        for timer in due:
            list(self.function.on_timer(timer, self._context))

    @property
    def newest(self) -> dict[str, ServingStats]:
        """By version."""
        told = [ServingStats.FromString(value) for key, value in self._messages() if not is_of_policy(key)]
        return {stats.model_version: stats for stats in told}

    @property
    def policy(self) -> PolicyStats:
        """The newest."""
        return [PolicyStats.FromString(value) for key, value in self._messages() if is_of_policy(key)][-1]

    def _messages(self) -> list[tuple[bytes, bytes]]:
        return [(key or b"", value) for one in self.told for key, value in one.messages]

    def _row(self, outgoing: Outgoing, topics: Topics) -> Any:
        self.told.append(outgoing)
        return ROW(outgoing, topics)


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Operator:
    return Operator(monkeypatch)


def test_a_version_that_gets_no_more_is_told_to_be_at_rest_once(operator: Operator) -> None:
    operator.send("1", "2")
    operator.pass_time(1000)
    operator.send("2")
    operator.pass_time(AT_REST_AFTER_MS - 1000)
    assert [operator.newest[version].recent.served for version in ("1", "2")] == [0, 5]
    operator.pass_time(1000)
    assert [operator.newest[version].recent.served for version in ("1", "2")] == [0, 0]
    assert [operator.newest[version].served for version in ("1", "2")] == [5, 10]
    told = len(operator.told)
    operator.pass_time(60_000)
    assert len(operator.told) == told
    assert not operator.function._known


def test_also_where_nothing_comes_after_a_restart(operator: Operator) -> None:
    operator.send("1")
    operator.start()
    operator.pass_time(60_000)  # the job was away, its timer is overdue
    operator.pass_time(AT_REST_AFTER_MS)
    assert operator.newest["1"].recent.served == 0
    assert operator.newest["1"].served == 5


def test_totals_go_on_after_a_restart(operator: Operator) -> None:
    operator.send("1")
    operator.pass_time(AT_REST_AFTER_MS)
    operator.start()
    operator.send("2")
    assert set(operator.function._known) == {b"wine\x00\x002\x00"}, "what is at rest is not decoded"
    operator.send("1")
    assert operator.newest["1"].served == 10


def test_a_policy_is_told_beside_the_versions(operator: Operator) -> None:
    operator.decide(3)
    operator.decide(4)
    assert (operator.policy.data_type, operator.policy.decided, operator.policy.recent.decided) == ("wine", 7, 4)
    assert (operator.newest["1"].served, operator.newest["1"].HasField("modelType")) == (7, False)


def test_a_policy_goes_on_after_a_restart_and_rests(operator: Operator) -> None:
    operator.decide(3)
    operator.start()
    operator.pass_time(60_000)  # the job was away, its timer is overdue
    operator.pass_time(AT_REST_AFTER_MS)
    assert (operator.policy.decided, operator.policy.recent.decided) == (3, 0)
    assert not operator.function._known
    operator.start()
    operator.send("2")
    operator.decide(5)
    assert operator.policy.decided == 8

"""Requests from start to last vote: each record is decided once, whatever comes when, and across crashes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from modelserving.arrow import from_ipc
from modelserving.decoding import RAW_SCHEMA, TypedBatch
from modelserving.speculative.collecting import Collected, Collector
from modelserving.speculative.policies import Holding
from modelserving.speculative.policy import Policy, RolloutLimits
from modelserving.speculative.starting import Started, decode_task, start
from modelserving.speculative.votes import ModelVotes, encode_votes, no_votes
from modelserving.wire.speculative_pb2 import (
    LateAnswer,
    RequestOpening,
    RolloutSample,
    SpeculativeDecision,
    VoteState,
    Why,
)
from tests.speculative.cases import DEADLINE_US, MODELS, NOW_US, Clock, policy, said

KEEP_S = 10.0
DECIDED_MS = DEADLINE_US // 1000 - 5
ROWS = 3


class Store(dict[str, bytes]):
    """What is kept of one request."""

    def put(self, name: str, value: bytes) -> None:
        self[name] = value


def records(rows: int = ROWS, keys: bool = True) -> pa.RecordBatch:
    columns = [
        pa.array([b"k%d" % row if keys else None for row in range(rows)], pa.binary()),
        pa.array([b"v"] * rows, pa.binary()),
        pa.array([3] * rows, pa.int32()),
        pa.array(range(40, 40 + rows), pa.int64()),
        pa.array([1000] * rows, pa.int64()),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=RAW_SCHEMA)


def typed(raw: pa.RecordBatch) -> TypedBatch:
    columns = {"x": pa.array(np.arange(float(raw.num_rows)))}
    columns |= {f"@{name}": raw.column(name) for name in RAW_SCHEMA.names}
    return TypedBatch("wine", NOW_US, pa.RecordBatch.from_pydict(columns))


def started(by: Policy | None = None, raw: pa.RecordBatch | None = None) -> Started:
    by = by or policy()
    lanes = {model: number % 2 for number, model in enumerate(by.ballot_models)}
    return start(typed(raw or records()), Holding(by, 5, lanes))


class Operator:
    """A collector on one request's store; what left it, decoded."""

    def __init__(self, of: Started) -> None:
        self.clock, self.store, self.of = Clock(), Store(), of
        self.decisions: list[SpeculativeDecision] = []
        self.late: list[LateAnswer] = []
        self.keys: list[bytes | None] = []
        self.due_ms: list[int] = []
        self.sample: tuple[str, bytes] | None = None
        self.restart()

    def restart(self) -> None:
        self.collector = Collector("records", {}, KEEP_S, self.clock)

    def open(self) -> None:
        self._took(self.collector.open(self.of.request, self.of.opening, self.store))

    def vote(self, *votes: ModelVotes) -> None:
        for each in votes:
            self._took(self.collector.vote(self.of.request, encode_votes(self.of.request, each), self.store))

    def look(self, *, set_back_us: int = 0) -> None:
        """As the first of the timers does that were asked for; by then the clock may have been set back."""
        due_ms, *self.due_ms = self.due_ms
        self.clock.now_us = max(self.clock.now_us, due_ms * 1000) - set_back_us
        self._took(self.collector.look(self.of.request, due_ms * 1000, self.store), by_timer=True)

    def _took(self, collected: Collected, *, by_timer: bool = False) -> None:
        if not by_timer:
            self.due_ms = list(collected.looks_ms)
        assert set(collected.looks_ms) <= set(self.due_ms)
        self.sample = collected.sample or self.sample
        for outgoing in collected.outgoing:
            for key, value in outgoing.messages:
                if outgoing.role == "decisions":
                    self.keys.append(key)
                    self.decisions.append(SpeculativeDecision.FromString(value))
                elif outgoing.role == "late-answers":
                    self.late.append(LateAnswer.FromString(value))

    @property
    def answers(self) -> dict[int, float | None]:
        """By offset; each record once."""
        found = {each.record.offset: each.number if each.HasField("number") else None for each in self.decisions}
        assert len(found) == len(self.decisions)
        return found


@pytest.fixture
def operator() -> Operator:
    return Operator(started())


def all_rows(model: str, *numbers: float) -> ModelVotes:
    return said(model, *(numbers or (1.0, 2.0, 3.0)))


def test_start_asks_each_model_in_its_lane() -> None:
    asked = started(policy("smart", "fast", challengers=["odd"], canary=0.5), records(200))
    assert asked.request == "wine/3/40"
    rows: dict[str, int] = {}
    for lane, encoded in asked.tasks:
        data_type, model, task = decode_task(encoded)
        assert (data_type, task.request, task.deadline_us) == ("wine", "wine/3/40", DEADLINE_US)
        assert lane == ["odd", "smart", "fast"].index(model) % 2
        assert task.batch.schema.names == ["x"]
        assert task.batch.column("x").to_pylist() == task.rows.astype(float).tolist()
        rows[model] = len(task.rows)
    assert rows["fast"] == 200
    assert rows["odd"] + rows["smart"] == 200
    assert rows["odd"] > 0 < rows["smart"]


def test_records_without_a_key_are_routed_by_their_place() -> None:
    half = policy("smart", challengers=["odd"], canary=0.5)
    by_place, again = (started(half, records(200, keys=False)).tasks for _ in range(2))
    assert by_place == again
    assert [len(decode_task(task)[2].rows) for _, task in by_place] != [200]


def test_records_whose_key_says_what_they_are_are_routed_by_their_place() -> None:
    half = policy("smart", challengers=["odd"], canary=0.5)
    raw = records(200).set_column(0, "key", pa.array([b"wine"] * 200, pa.binary()))
    holding = Holding(half, 5, {"odd": 0, "smart": 0})
    same, whole = (start(typed(raw), holding, same_key=same_key).tasks for same_key in (True, False))
    assert [len(decode_task(task)[2].rows) for _, task in whole] == [200]
    odd, smart = (len(decode_task(task)[2].rows) for _, task in same)
    assert odd + smart == 200
    assert 60 < odd < 140


def test_votes_that_come_once_it_is_decided_are_errors_of_a_challenger() -> None:
    watched = policy("smart", challengers=["odd"], shadow=1.0, limits=RolloutLimits(1000, errors=0.1))
    operator = Operator(started(watched))
    operator.open()
    operator.vote(all_rows("smart"))
    operator.clock.now_us = DEADLINE_US - 5_000
    operator.vote(all_rows("odd"))
    assert operator.sample is not None
    counts = RolloutSample.FromString(operator.sample[1]).counts
    assert (counts.asked, counts.errors) == (ROWS, ROWS)


def test_decided_as_soon_as_the_most_trusted_has_answered(operator: Operator) -> None:
    operator.open()
    assert operator.due_ms == [DECIDED_MS, DEADLINE_US // 1000 + int(KEEP_S * 1000)]
    operator.vote(said("smart", 1.0, 2.0, rows=[0, 1]))
    assert operator.answers == {40: 1.0, 41: 2.0}
    assert operator.due_ms == [DECIDED_MS, DEADLINE_US // 1000 + int(KEEP_S * 1000)]
    operator.vote(said("smart", 3.0, rows=[2]))
    assert operator.answers == {40: 1.0, 41: 2.0, 42: 3.0}
    assert operator.keys == [b"k0", b"k1", b"k2"]
    operator.vote(all_rows("middling"), all_rows("fast"))
    assert not operator.due_ms
    assert not operator.store
    assert len(operator.late) == 2 * ROWS


def test_a_model_that_was_not_asked_in_time_gave_no_late_answer(operator: Operator) -> None:
    operator.open()
    operator.look()
    operator.vote(no_votes("smart", np.arange(ROWS, dtype=np.int32), VoteState.EXPIRED, "too late"))
    operator.vote(
        said("fast", 1.0, None, 3.0), no_votes("middling", np.arange(ROWS, dtype=np.int32), VoteState.SHED, "")
    )
    assert [(each.vote.model, each.vote.state) for each in operator.late] == [
        ("fast", VoteState.ANSWERED),
        ("fast", VoteState.FAILED),
        ("fast", VoteState.ANSWERED),
    ]
    assert not operator.store


@pytest.mark.parametrize(("timeout_ms", "lead_ms"), [(10, 1), (50, 5), (2000, 5)])
def test_it_is_decided_a_little_before_the_deadline(timeout_ms: int, lead_ms: int) -> None:
    operator = Operator(started(replace(policy(), timeout_ms=timeout_ms)))
    operator.open()
    assert operator.due_ms[0] == NOW_US // 1000 + timeout_ms - lead_ms
    operator.look()
    assert len(operator.decisions) == ROWS
    assert all(each.at_deadline and not each.late_us for each in operator.decisions)


def test_at_the_deadline_by_what_is_in(operator: Operator) -> None:
    operator.open()
    operator.vote(all_rows("fast", 7.0, 8.0, 9.0))
    assert operator.decisions == []
    operator.look()
    assert operator.answers == {40: 7.0, 41: 8.0, 42: 9.0}
    assert all(each.at_deadline and each.why == Why.DEADLINE for each in operator.decisions)
    operator.clock.now_us += 30_000
    operator.vote(all_rows("smart", 7.0, 0.0, 9.0))
    assert [each.agrees for each in operator.late] == [True, False, True]
    assert {each.after_deadline_us for each in operator.late} == {25_000}
    operator.look()
    assert not operator.due_ms
    assert not operator.store
    operator.vote(all_rows("middling"))
    assert len(operator.decisions) == len(operator.late) == ROWS
    operator.look()
    assert not operator.store


def test_a_clock_that_was_set_back_delays_no_decision(operator: Operator) -> None:
    operator.open()
    operator.vote(all_rows("fast", 7.0, 8.0, 9.0))
    operator.look(set_back_us=100_000)
    assert operator.answers == {40: 7.0, 41: 8.0, 42: 9.0}
    assert {each.late_us for each in operator.decisions} == {0}
    operator.look(set_back_us=100_000)
    assert not operator.store


def test_what_was_in_the_records_is_not_kept(operator: Operator) -> None:
    opening = RequestOpening.FromString(operator.of.opening)
    assert from_ipc(opening.records).schema.names == ["key", "partition", "offset", "timestamp_ms"]


@pytest.mark.parametrize("since_start_s", [0, 100])
def test_votes_ahead_of_their_request(operator: Operator, since_start_s: int) -> None:
    operator.clock.now_us = NOW_US - since_start_s * 1_000_000
    operator.restart()
    operator.clock.now_us = NOW_US
    operator.vote(all_rows("smart", 4.0, 5.0, 6.0))
    assert operator.decisions == []
    operator.open()
    assert operator.answers == {40: 4.0, 41: 5.0, 42: 6.0}
    operator.vote(all_rows("middling"), all_rows("fast"))
    assert not operator.store


def test_after_a_crash_votes_are_not_waited_for_longer_than_a_timer_of_before(operator: Operator) -> None:
    operator.open()
    operator.vote(all_rows("fast", 7.0, 8.0, 9.0))
    operator.look()
    assert operator.store
    operator.collector = Collector("records", {}, 2 * KEEP_S, operator.clock)
    operator.look()
    assert not operator.store
    assert len(operator.decisions) == ROWS


@pytest.mark.parametrize("crashes", range(5))
def test_a_crash_between_any_two_steps(operator: Operator, crashes: int) -> None:
    """The store outlasts it; what was on its way does not."""
    steps: list[Callable[[], None]] = [
        operator.open,
        lambda: operator.vote(said("smart", 1.0, rows=[1])),
        lambda: operator.vote(all_rows("fast", 7.0, 8.0, 9.0)),
        operator.look,
        lambda: operator.vote(said("middling", 5.0, rows=[0])),
    ]
    for number, step in enumerate(steps):
        step()
        if number == crashes:
            operator.restart()
    while operator.due_ms:
        operator.look()
    assert operator.answers == {40: 7.0, 41: 1.0, 42: 9.0}
    assert len(operator.late) == 2
    assert not operator.store


def test_no_model_at_all_is_no_answer(operator: Operator) -> None:
    operator.open()
    rows = np.arange(ROWS, dtype=np.int32)
    operator.vote(*(no_votes(model, rows, VoteState.NO_SUCH_MODEL, "publish one") for model in MODELS[:3]))
    assert operator.answers == dict.fromkeys((40, 41, 42))
    assert {each.why for each in operator.decisions} == {Why.NO_ANSWER}
    assert {vote.detail for each in operator.decisions for vote in each.votes} == {"publish one"}
    assert not operator.store


def test_a_rollout_is_told_of_each_request_once_unless_a_crash_took_votes() -> None:
    watched = policy("smart", challengers=["odd"], shadow=1.0, limits=RolloutLimits(1000, errors=0.1))
    operator = Operator(started(watched))
    operator.open()
    operator.vote(all_rows("smart"), all_rows("odd", 1.0, 0.0, 3.0))
    assert operator.sample is not None
    data_type, encoded = operator.sample
    sample = RolloutSample.FromString(encoded)
    assert (data_type, sample.policy_offset, list(sample.policy.challengers)) == ("wine", 5, ["odd"])
    assert (sample.counts.asked, sample.counts.errors, sample.counts.disagreed) == (ROWS, 0, 1)
    crashed = Operator(started(watched))
    crashed.open()
    crashed.restart()
    while crashed.due_ms:
        crashed.look()
    assert len(crashed.decisions) == ROWS
    assert crashed.sample is None

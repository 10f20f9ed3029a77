"""The operator of a lane without a cluster: which models it has answer, after decisions, policies and restarts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from modelserving.admission import key_of
from modelserving.arrow import to_ipc
from modelserving.configuration import load_data_types
from modelserving.flink.options import SPECULATIVE, SpeculativeOptions
from modelserving.flink.speculative import lanes as module
from modelserving.flink.speculative.assembly import pulse_s
from modelserving.flink.speculative.lanes import LaneFunction
from modelserving.model_history import NewestModel
from modelserving.pieces import PIECE_BYTES, split
from modelserving.speculative.lane_models import LaneModel, MadeInThread
from modelserving.speculative.lane_pool import LINGER_S, LanePool
from modelserving.speculative.policies import Policies
from modelserving.speculative.policy import LONGEST_TIMEOUT_MS
from modelserving.speculative.tasks import LaneLimits, epoch_us
from modelserving.speculative.votes import ModelVotes, decode_votes
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.speculative_pb2 import HeldPolicy, LaneTask, SpeculativeControl, VoteState
from modelserving.wire.state_pb2 import AdmittedModel, Decision, Retirement
from tests.speculative.cases import DEADLINE_US
from tests.speculative.models import Model, batch
from tests.waiting import LIMIT_S, wait_until

POLICIES = Policies(("wine",), 2)


class MapState(dict[str, bytes]):
    """Flink's map state, in memory."""

    put = dict.__setitem__
    contains = dict.__contains__

    def remove(self, name: str) -> None:
        self.pop(name, None)


def admitted(offset: int, name: str = "smart", data: bytes = b"model") -> AdmittedModel:
    descriptor = ModelDescriptor(name=name, dataType="wine", version=f"v{offset}", sha256="0" * 64, data=data)
    return AdmittedModel(offset=offset, descriptor=descriptor)


class Operator:
    """Lane 1 of 2, on states and a clock of its own; `start` is also its restart."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.states: dict[str, MapState] = {}
        self.votes: list[ModelVotes] = []
        self.log: dict[str, NewestModel] = {}
        self.log_is_read = threading.Event()
        self.log_is_read.set()
        self.loaded: list[bytes] = []
        self.faulty: set[bytes] = set()
        monkeypatch.setattr(module, "prepare", lambda: None)
        monkeypatch.setattr(module, "policies", lambda _: POLICIES)
        monkeypatch.setattr(module, "newest_models", self._read_log)
        self.ahead_us = 0
        monkeypatch.setattr(
            module,
            "lane_pool",
            lambda *_: LanePool("lane-1", "models", self._make, LaneLimits(), lambda: epoch_us() + self.ahead_us),
        )
        self._context: Any = SimpleNamespace(
            get_broadcast_state=lambda descriptor: self.states.setdefault(descriptor.name, MapState()),
        )
        self.start()

    def start(self) -> None:
        options = SpeculativeOptions(SPECULATIVE, "localhost:9092", Topics(), load_data_types(), "test", lanes=2)
        self.function = LaneFunction(options, 0)
        counter = SimpleNamespace(inc=lambda _: None)
        group = SimpleNamespace(counter=lambda _: counter)
        self.function.open(cast("Any", SimpleNamespace(get_metrics_group=lambda: group)))

    def close(self) -> None:
        self.log_is_read.set()
        self.function.close()

    def policy(self, *models: str, offset: int = 1) -> None:
        """The models are in lanes 1, 2, 1, …"""
        control = SpeculativeControl(datatype="wine", tmout=50, models=models)
        state = POLICIES.take_in(None, control.SerializeToString(), offset).state
        assert state is not None
        self._broadcast("wine", state.SerializeToString())

    def decide(self, model: AdmittedModel, retired: Retirement | None = None) -> None:
        decision = Decision(schema=2, data_type="wine", offset=model.offset, admitted=model, retired=retired)
        for part in split(decision):
            self._broadcast(key_of("wine", model.descriptor.name), part.SerializeToString())

    def ask(self, model: str = "smart") -> None:
        task = LaneTask(
            schema=1,
            request="r",
            data_type="wine",
            model=model,
            rows=np.zeros(1, "<i4").tobytes(),
            batch=to_ipc(batch()),
            deadline_us=2 * DEADLINE_US,
        )
        self._take(self.function.process_element(cast("Any", ["r", task.SerializeToString()]), self._context))

    def look(self) -> None:
        """As its clock has it do."""
        self._take(self.function.process_element(cast("Any", ["", b"9"]), self._context))

    def answers(self, model: str = "smart") -> str:
        """The version that answers now; empty: no such model; or why it failed."""
        self.ask(model)
        wait_until(lambda: self.look() or bool(self.votes))  # type: ignore[func-returns-value]
        (votes,) = self.votes
        self.votes.clear()
        if votes.states.tolist() == [VoteState.NO_SUCH_MODEL]:
            return ""
        if votes.failures:
            return votes.failures[0].detail
        assert votes.version is not None
        return votes.version.version

    def wait_for(self, version: str, model: str = "smart") -> None:
        wait_until(lambda: self.answers(model) == version)

    def _broadcast(self, key: str, value: bytes) -> None:
        self._take(self.function.process_broadcast_element(cast("Any", [key, value]), self._context))

    def _take(self, emitted: Iterator[Any]) -> None:
        for target, request, value in emitted:
            if target == "vote":
                assert request == "r"
                self.votes.append(decode_votes(value)[1])

    def _make(self, model: AdmittedModel) -> LaneModel:
        def make() -> Model:
            self.loaded.append(model.descriptor.data)
            if model.descriptor.data in self.faulty:
                raise ValueError("no room")
            return Model()

        return MadeInThread(make)

    def _read_log(self, *_: object) -> dict[str, NewestModel]:
        assert self.log_is_read.wait(LIMIT_S)
        return self.log


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    opened = Operator(monkeypatch)
    yield opened
    opened.close()


def test_the_clock_goes_on_for_as_long_as_a_task_may_be_under_way() -> None:
    limits = LaneLimits(answer_s=7.0)
    options = SpeculativeOptions(
        SPECULATIVE, "localhost:9092", Topics(), load_data_types(), "test", lanes=2, lane_limits=limits
    )
    assert pulse_s(options) >= LONGEST_TIMEOUT_MS / 1000 + limits.answer_s


def test_a_model_of_this_lane_is_loaded_and_another_is_not(operator: Operator) -> None:
    operator.policy("smart", "fast", "odd")
    for offset, name in enumerate(("smart", "fast", "odd", "even")):
        operator.decide(admitted(offset, name, name.encode()))
    operator.wait_for("v0")
    operator.wait_for("v2", "odd")
    assert operator.answers("fast") == operator.answers("even") == ""
    assert sorted(operator.loaded) == [b"odd", b"smart"]


def test_models_before_the_policy_and_after_it(operator: Operator) -> None:
    operator.decide(admitted(3))
    operator.look()
    assert operator.loaded == []
    operator.policy("smart")
    operator.wait_for("v3")
    operator.decide(admitted(5))
    operator.wait_for("v5")
    operator.policy("odd", offset=2)
    assert operator.answers() == "v5", "a task of the policy before may be on its way"
    operator.ahead_us = int(LINGER_S * 1e6)
    operator.wait_for("")


def test_a_restart_loads_what_the_state_has(operator: Operator) -> None:
    large = bytes(3 * PIECE_BYTES + 1)
    operator.policy("smart", "fast", "odd")
    operator.decide(admitted(3, data=large))
    operator.wait_for("v3")
    operator.close()
    operator.start()
    operator.loaded.clear()
    operator.look()
    operator.wait_for("v3")
    assert operator.loaded == [large]
    for offset in (4, 5):  # the last good one is kept
        operator.decide(admitted(offset))
        operator.wait_for(f"v{offset}")
    assert not [name for name in operator.states["models"] if name.count("\0") > 1], "pieces of a model that is gone"


def test_a_retired_version_does_not_answer_for_one_that_cannot_be_loaded(operator: Operator) -> None:
    operator.policy("smart")
    for offset in (3, 4):
        operator.decide(admitted(offset, data=b"%d" % offset))
        operator.wait_for(f"v{offset}")
    operator.faulty.add(b"3")
    retired = Retirement(name="smart", version="v4", serving=3)
    decision = Decision(schema=2, data_type="wine", offset=5, retired=retired)
    operator._broadcast(key_of("wine", "smart"), decision.SerializeToString())
    operator.wait_for("no room")


def test_a_retired_model_answers_no_more(operator: Operator) -> None:
    operator.policy("smart")
    operator.decide(admitted(3))
    operator.wait_for("v3")
    decision = Decision(schema=2, data_type="wine", offset=4, retired=Retirement(name="smart", serving=-1))
    operator._broadcast(key_of("wine", "smart"), decision.SerializeToString())
    operator.wait_for("")


def test_restored_with_fewer_data_types_and_deciders(operator: Operator) -> None:
    operator.policy("smart")
    operator.decide(admitted(3))
    operator.wait_for("v3")
    for data_type, decider in (("cider", ""), ("wine", "own:gone")):
        operator.close()
        policy = SpeculativeControl(datatype=data_type, tmout=50, models=["smart"], decider=decider)
        held = HeldPolicy(schema=1, policy=policy, lanes={"smart": 0})
        operator.states["policies"][data_type] = held.SerializeToString()
        operator.start()
        operator.look()
    operator.policy("smart", offset=2)
    operator.wait_for("v3")


def test_a_decision_that_comes_again_changes_nothing(operator: Operator) -> None:
    operator.policy("smart")
    operator.decide(admitted(3))
    operator.decide(admitted(5))
    operator.decide(admitted(3))
    operator.wait_for("v5")


def test_a_lane_that_is_new_learns_from_the_model_log(operator: Operator) -> None:
    operator.log[key_of("wine", "smart")] = NewestModel(9, admitted(7))
    operator.log[key_of("wine", "odd")] = NewestModel(8, admitted(8, "odd"))
    operator.policy("smart")
    operator.wait_for("v7")
    operator.decide(admitted(6))
    assert operator.answers() == "v7"
    operator.policy("smart", "fast", "odd", offset=2)
    operator.wait_for("v8", "odd")
    operator.decide(admitted(10))
    operator.wait_for("v10")


def test_a_lane_that_came_after_the_policy_learns_from_tasks(operator: Operator) -> None:
    """Lanes 3, then 2, then 3 again: the starter knows a policy that the third lane does not."""
    operator.log[key_of("wine", "smart")] = NewestModel(7, admitted(7))
    operator.wait_for("v7")
    other = SpeculativeControl(datatype="cider", tmout=50, models=["dry"])
    operator._broadcast("cider", HeldPolicy(schema=1, policy=other).SerializeToString())
    assert operator.answers() == "v7"
    assert operator.loaded == [b"model"]
    operator.policy("odd")
    operator.ahead_us = int(LINGER_S * 1e6)
    operator.wait_for("")


def test_tasks_wait_until_the_model_log_is_read(operator: Operator) -> None:
    operator.log_is_read.clear()
    operator.log[key_of("wine", "smart")] = NewestModel(7, admitted(7))
    operator.policy("smart")
    operator.ask()
    operator.look()
    assert operator.votes == []
    operator.log_is_read.set()
    wait_until(lambda: operator.look() or bool(operator.votes))  # type: ignore[func-returns-value]
    assert [votes.states.tolist() for votes in operator.votes] == [[VoteState.ANSWERED]]


@pytest.mark.parametrize("policy_first", [True, False])
def test_a_backlog_of_models_is_passed_over(operator: Operator, policy_first: bool) -> None:
    operator.log_is_read.clear()
    operator.log[key_of("wine", "smart")] = NewestModel(7, admitted(7, data=b"7"))
    if policy_first:
        operator.policy("smart")
    operator.decide(admitted(1, data=b"1"))
    if not policy_first:
        operator.policy("smart")
    operator.decide(admitted(3, data=b"3"))
    operator.log_is_read.set()
    operator.wait_for("v7")
    operator.decide(admitted(5, data=b"5"))
    operator.decide(admitted(7, data=b"7"))
    operator.look()
    assert operator.loaded == [b"7"]
    operator.decide(admitted(9))
    operator.wait_for("v9")


def test_what_was_decided_after_the_model_log_was_read_goes_first(operator: Operator) -> None:
    operator.log_is_read.clear()
    operator.log[key_of("wine", "smart")] = NewestModel(2, admitted(2))
    operator.policy("smart")
    operator.decide(admitted(3))
    operator.log_is_read.set()
    operator.wait_for("v3")
    assert operator.loaded == [b"model"]

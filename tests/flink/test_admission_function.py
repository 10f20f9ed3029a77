"""The admission operator without a cluster: what it does while models cannot be judged."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from modelserving.admission import Admission
from modelserving.configuration import load_data_types
from modelserving.errors import ModelServingError
from modelserving.flink import admission as module
from modelserving.flink import assembly
from modelserving.flink.admission import PIECE_EVERY_MS, RETRY_MS, AdmissionFunction
from modelserving.flink.options import JobOptions
from modelserving.pieces import PIECE_BYTES
from modelserving.topics import Topics
from modelserving.versions import STATE_SCHEMA
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.state_pb2 import AdmissionState, Decision, Engine
from tests.flink.messages import example_model
from tests.waiting import wait_until


class MapState(dict[Any, Any]):
    """Flink's map state, in memory."""

    put = dict.__setitem__
    remove = dict.__delitem__


class Gate:
    """Lets every model pass, unless it is `away`."""

    away = True

    def fetch(self, descriptor: ModelDescriptor) -> ModelDescriptor:
        return descriptor

    def check(self, complete: ModelDescriptor) -> Engine:  # noqa: ARG002
        if self.away:
            raise OSError("no space left for the sandbox")
        return Engine()

    def close(self) -> None:
        pass


class Clock:
    now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        return self.now_ms


def test_the_state_of_a_later_release_is_not_written_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assembly, "sandbox", lambda _: Gate())
    monkeypatch.setattr(assembly, "admission", lambda *_: None)
    function = AdmissionFunction(JobOptions("keyed", "localhost:9092", Topics(), load_data_types(), "test"))
    later = MapState({"wine": AdmissionState(schema=STATE_SCHEMA + 1).SerializeToString()})
    function.open(cast("Any", SimpleNamespace(get_map_state=lambda _: later, get_metrics_group=lambda: None)))
    monkeypatch.setattr(function, "_counters", SimpleNamespace(in_element=lambda: None))
    context: Any = SimpleNamespace(get_current_key=lambda: "wine")
    with pytest.raises(ModelServingError, match="restore it with a newer release"):
        list(function.process_element(cast("Any", [example_model("linear.pmml"), 7, 0]), context))
    function.close()


class Operator:
    """The operator on states and a clock of its own; `start` is also its restart."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate, self.clock = Gate(), Clock()
        self.counted: list[str] = []
        self.timers: list[int] = []
        self.emitted: list[Any] = []
        self.states: dict[str, MapState] = {}
        judge = Admission(load_data_types(), self.gate, lambda _: b"", self.clock)
        counters = SimpleNamespace(in_element=lambda: None, inc=lambda name, *_, **__: self.counted.append(name))
        monkeypatch.setattr(assembly, "sandbox", lambda _: self.gate)
        monkeypatch.setattr(assembly, "admission", lambda *_: judge)
        monkeypatch.setattr(assembly, "clock_ms", self.clock)
        monkeypatch.setattr(module, "Counters", lambda _: counters)
        service = SimpleNamespace(register_processing_time_timer=self.timers.append)
        self._context: Any = SimpleNamespace(get_current_key=lambda: "wine", timer_service=lambda: service)
        self.start()

    def start(self) -> None:
        self.function = AdmissionFunction(JobOptions("keyed", "localhost:9092", Topics(), load_data_types(), "test"))
        self.function.open(
            cast(
                "Any",
                SimpleNamespace(
                    get_map_state=lambda descriptor: self.states.setdefault(descriptor.name, MapState()),
                    get_metrics_group=lambda: None,
                ),
            )
        )

    def send(self, message: bytes, offset: int) -> None:
        self.emitted.extend(self.function.process_element(cast("Any", [message, offset, 0]), self._context))

    def pass_time(self, ms: int) -> None:
        self.clock.now_ms += ms
        self.emitted.extend(self.function.on_timer(self.clock.now_ms, self._context))

    @property
    def decisions(self) -> list[Decision]:
        """Those sent so far, and the pieces before them."""
        rows = [value for value in self.emitted if not isinstance(value, tuple)]
        return [one for one in (Decision.FromString(row[1]) for row in rows) if not one.tick]


def test_a_message_that_cannot_be_judged_waits_and_is_judged_later(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = Operator(monkeypatch)
    operator.send(example_model("linear.pmml", version="1"), 7)

    def look() -> bool:
        operator.pass_time(50)
        return operator.counted.count("judgements_failed") == 1

    wait_until(look)
    operator.gate.away = False
    assert list(operator.states["pending"]) == [7]
    assert operator.timers[-1] == pytest.approx(operator.clock.now_ms + RETRY_MS, abs=100)
    operator.pass_time(RETRY_MS - 1000)
    assert not operator.function._judging

    def decided() -> bool:
        operator.pass_time(1000)
        return bool(operator.decisions)

    wait_until(decided)
    assert [decision.offset for decision in operator.decisions] == [7]
    assert not operator.states["pending"]
    operator.function.close()


def test_a_large_model_goes_out_piece_by_piece_and_after_a_restart_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    operator = Operator(monkeypatch)
    operator.gate.away = False
    model = ModelDescriptor.FromString(example_model("linear.pmml", version="1"))
    model.data += b" " * (3 * PIECE_BYTES)
    operator.send(model.SerializeToString(), 7)

    def sent(pieces: int) -> bool:
        operator.pass_time(PIECE_EVERY_MS)
        return len(operator.decisions) == pieces

    wait_until(lambda: sent(1))
    assert sent(2)
    assert operator.clock.now_ms < operator.timers[-1] <= operator.clock.now_ms + PIECE_EVERY_MS
    assert list(operator.states["pending"]) == [7]
    operator.function.close()
    operator.emitted.clear()
    operator.start()
    operator.send(example_model("linear.pmml", version="2"), 8)

    wait_until(lambda: sent(6))
    *pieces, last, other = operator.decisions
    assert b"".join(each.piece.data for each in pieces) == model.data
    assert [each.piece.number for each in pieces] == [0, 1, 2, 3]
    assert (last.offset, last.admitted.pieces, other.offset) == (7, 4, 8)
    assert not operator.states["pending"]
    operator.function.close()

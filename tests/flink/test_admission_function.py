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
from modelserving.flink.admission import RETRY_MS, AdmissionFunction
from modelserving.flink.options import JobOptions
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


def test_a_message_that_cannot_be_judged_waits_and_is_judged_later(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, clock, counted, timers = Gate(), Clock(), list[str](), list[int]()
    judge = Admission(load_data_types(), gate, lambda _: b"", clock)
    monkeypatch.setattr(assembly, "sandbox", lambda _: gate)
    monkeypatch.setattr(assembly, "admission", lambda *_: judge)
    monkeypatch.setattr(assembly, "clock_ms", clock)
    counters = SimpleNamespace(in_element=lambda: None, inc=lambda name, *_, **__: counted.append(name))
    monkeypatch.setattr(module, "Counters", lambda _: counters)
    options = JobOptions("keyed", "localhost:9092", Topics(), load_data_types(), "test")
    function = AdmissionFunction(options)
    states: dict[str, MapState] = {}
    runtime = SimpleNamespace(
        get_map_state=lambda descriptor: states.setdefault(descriptor.name, MapState()), get_metrics_group=lambda: None
    )
    service = SimpleNamespace(register_processing_time_timer=timers.append)
    context: Any = SimpleNamespace(get_current_key=lambda: "wine", timer_service=lambda: service)
    function.open(runtime)
    emitted = list(function.process_element([example_model("linear.pmml", version="1"), 7, 0], context))

    def pass_time(ms: int) -> None:
        clock.now_ms += ms
        emitted.extend(function.on_timer(clock.now_ms, context))

    def look() -> bool:
        pass_time(50)
        return counted.count("judgements_failed") == 1

    wait_until(look)
    gate.away = False
    assert list(states["pending"]) == [7]
    assert timers[-1] == pytest.approx(clock.now_ms + RETRY_MS, abs=100)
    pass_time(RETRY_MS - 1000)
    assert not function._judging

    def decided() -> list[Decision]:
        pass_time(1000)
        rows = [value for value in emitted if not isinstance(value, tuple)]
        return [one for one in (Decision.FromString(row[1]) for row in rows) if not one.tick]

    wait_until(decided)
    (decision,) = decided()
    assert decision.offset == 7
    assert not states["pending"]
    function.close()

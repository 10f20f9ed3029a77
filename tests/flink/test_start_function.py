"""The starter without a cluster: what it does with a policy that it cannot use any more."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from modelserving.configuration import load_data_types
from modelserving.decoding import Decoded
from modelserving.flink import rows
from modelserving.flink.options import SPECULATIVE, SpeculativeOptions
from modelserving.flink.speculative import starter as module
from modelserving.flink.speculative.starter import StartFunction
from modelserving.outgoing import Outgoing
from modelserving.speculative.policies import Policies
from modelserving.topics import Topics
from modelserving.wire.serving_pb2 import EventKind, ModelEvent, Reason, Rejected
from modelserving.wire.speculative_pb2 import HeldPolicy, SpeculativeControl
from tests.flink.test_lane_function import MapState
from tests.speculative.test_collecting import records, typed


def addressed(outgoing: Outgoing, _: Topics) -> tuple[str, str, list[bytes | None]]:
    """The messages as they are."""
    return rows.OUT, outgoing.role, [value for _, value in outgoing.messages]


def held(**fields: object) -> bytes:
    control = SpeculativeControl(datatype="wine", tmout=50, models=["smart"], **fields)  # type: ignore[arg-type]
    return HeldPolicy(schema=1, offset=3, policy=control, lanes={"smart": 0}).SerializeToString()


def test_a_policy_whose_decider_is_there_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "prepare", lambda: None)
    monkeypatch.setattr(module, "policies", lambda _: Policies(("wine",), 2))
    monkeypatch.setattr(module, "unpack_records", lambda _: None)
    monkeypatch.setattr(module, "Metrics", lambda _: SimpleNamespace(count=lambda _: None))
    monkeypatch.setattr(rows, "addressed_outgoing", addressed)
    function = StartFunction(
        SpeculativeOptions(SPECULATIVE, "localhost:9092", Topics(), load_data_types(), "test", lanes=2)
    )
    function.open(cast("Any", SimpleNamespace(get_metrics_group=lambda: None)))
    decoded = Decoded([typed(records(rows=2))], [])
    monkeypatch.setattr(function, "_decoder", SimpleNamespace(decode=lambda *_: decoded))
    state = MapState(wine=held(decider="own:gone"))
    context: Any = SimpleNamespace(get_broadcast_state=lambda _: state)

    def batch() -> dict[str, Any]:
        """What was emitted, by role or target."""
        emitted = ((target, key, value) for target, key, value in function.process_element(b"", context))
        return {key if target == rows.OUT else target: value for target, key, value in emitted}

    for is_first in (True, False):
        found = batch()
        rejected = [Rejected.FromString(value) for value in found["rejected-records"]]
        assert [each.reason for each in rejected] == [Reason.NO_POLICY] * 2
        assert "decider: 'own:gone' is none that this was started with" in rejected[0].detail
        events = [ModelEvent.FromString(value) for value in found.get("model-events", [])]
        assert [(each.kind, each.position.offset) for each in events] == [(EventKind.POLICY_REFUSED, 3)] * is_first
    list(function.process_broadcast_element(cast("Any", ["wine", held()]), context))
    assert set(batch()) == {"opening", "lane-1"}

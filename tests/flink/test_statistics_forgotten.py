"""The aggregator forgets versions that serve no more, and the sum stays what it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from modelserving.flink.statistics import AT_REST_AFTER_MS
from modelserving.statistics import earlier
from modelserving.statistics.deltas import key_of
from modelserving.statistics.earlier import key_of_earlier
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.state_pb2 import StatsDelta
from modelserving.wire.stats_pb2 import ServingStats
from tests.flink.test_statistics_function import Operator

EARLIER = key_of_earlier("wine", "0")


def served(version: str) -> StatsDelta:
    model = ModelDescriptor(name="m", version=version, sha256=f"sha-{version}")
    return StatsDelta(data_type="wine", model=model, served=5)


class Topic:
    """What the compacted topic holds of what an operator told."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def send(self, versions: Sequence[str]) -> None:
        value: Any = ["0", [served(each).SerializeToString() for each in versions]]
        list(self._operator.function.process_element(value, self._operator._context))

    @property
    def served(self) -> dict[bytes, int]:
        held = {key: value for told in self._operator.told for key, value in told.messages}
        return {key or b"": ServingStats.FromString(value).served for key, value in held.items() if value is not None}


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    monkeypatch.setattr(earlier, "MOST_AT_REST", 3)
    return Topic(Operator(monkeypatch))


def test_the_oldest_are_forgotten_and_the_sum_is_kept(topic: Topic) -> None:
    operator = topic._operator
    for number in range(10):
        topic.send([str(number)])
        operator.pass_time(AT_REST_AFTER_MS)
        assert sum(topic.served.values()) == 5 * (number + 1)
    assert topic.served == {EARLIER: 35} | {key_of(served(each)): 5 for each in "789"}
    assert {key.encode() for key in operator.state} == set(topic.served)
    assert not operator.function._known


def test_also_across_a_restart(topic: Topic) -> None:
    operator = topic._operator
    for number in range(3):
        topic.send([str(number)])
        operator.pass_time(AT_REST_AFTER_MS)
    operator.start()
    topic.send(["3"])
    operator.pass_time(AT_REST_AFTER_MS)
    assert topic.served == {EARLIER: 5} | {key_of(served(each)): 5 for each in "123"}
    operator.start()
    topic.send(["4"])
    operator.pass_time(AT_REST_AFTER_MS)
    assert topic.served == {EARLIER: 10} | {key_of(served(each)): 5 for each in "234"}


def test_one_that_serves_is_not_and_one_that_comes_back_begins_anew(topic: Topic) -> None:
    operator = topic._operator
    for number in range(6):
        topic.send(["busy", str(number)])
        operator.pass_time(AT_REST_AFTER_MS - 1)
        topic.send(["busy"])
        operator.pass_time(1)
    assert topic.served[key_of(served("busy"))] == 60
    assert key_of(served("0")) not in topic.served
    topic.send(["0"])
    assert topic.served[key_of(served("0"))] == 5
    assert sum(topic.served.values()) == 60 + 6 * 5 + 5

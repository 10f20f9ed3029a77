"""From votes to the page: what is tallied of real decisions, added up, told on the topic, served and shown."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from modelserving.local.broker import LocalBroker
from modelserving.speculative.request import Request
from modelserving.speculative.routing import route
from modelserving.speculative.tally import decided_deltas, late_deltas
from modelserving.statistics.deltas import parse
from modelserving.statistics.keys import policy_key
from modelserving.statistics.policy_totals import PolicyTotals
from modelserving.topics import Topics
from modelserving.wire.state_pb2 import StatsDelta
from tests.kafka_client import produce
from tests.query.page_browser import LIMIT_S, Page
from tests.query.test_page_policies import row
from tests.query.test_server import Command
from tests.speculative.cases import policy, said
from tests.waiting import wait_until

ROWS = 100
POLICY = policy("smart", "fast")


class Job:
    """What stands in for it: `smart` agrees with `fast` on three quarters of the records."""

    def __init__(self, broker: LocalBroker, topics: Topics) -> None:
        self._servers, self._topic = broker.bootstrap_servers, topics.serving_stats
        self._totals = PolicyTotals()

    def decide(self, smart_takes_ms: int) -> None:
        """Decide on some records, and tell the totals."""
        received_us = time.time_ns() // 1000 - 1_000_000
        request = Request(POLICY, route(POLICY, [b""] * ROWS), received_us)
        request.add(said("fast", *(["a"] * ROWS), taken_us=1000))
        smart = said("smart", *(["a", "a", "a", "b"] * (ROWS // 4)), taken_us=smart_takes_ms * 1000)
        deltas: list[StatsDelta] = []
        if smart_takes_ms < POLICY.timeout_ms:
            request.add(smart)
            decided = request.decide(received_us + smart_takes_ms * 1000)
            deltas += parse(value for _, value in decided_deltas(request, decided).messages)
        else:
            decided = request.decide(request.deadline_us + 2000)
            deltas += parse(value for _, value in decided_deltas(request, decided).messages)
            late = late_deltas(request, "smart", request.add(smart))
            deltas += parse(value for _, value in late.messages)
        self._totals.add([each for each in deltas if each.HasField("policy")], 1.0, time.time_ns() // 1_000_000)
        produce(self._servers, self._topic, [(policy_key("wine"), self._totals.stats.SerializeToString())])


@pytest.fixture
def service(broker: LocalBroker, topics: Topics) -> Iterator[Command]:
    command = Command(broker, topics)
    try:
        command.wait_until_ready()
        yield command
    finally:
        command.end()


def test_answers_shift_to_the_fast_model_and_back(
    service: Command, page: Page, broker: LocalBroker, topics: Topics
) -> None:
    job = Job(broker, topics)
    job.decide(smart_takes_ms=10)
    page.open(f"http://127.0.0.1:{service.port}/#type=wine")
    page.wait_for("#policy-words", "TRUST, within 50 ms. Models, the most trusted first: smart, fast.")
    assert page.figure("Decided in all") == "100"
    assert row(page, "voters", "smart")[3:6] == ["100 %", "100 %", "0"]
    job.decide(smart_takes_ms=200)
    wait_until(lambda: page.figure("At the deadline in all") == "100, 50 %", LIMIT_S)
    assert page.figure("Late in all") == "100, 50 %"
    assert page.figure("Late by, p99") == "2 ms"
    assert row(page, "voters", "smart")[3:6] == ["50 %", "50 %", "100"]
    assert row(page, "voters", "fast")[3:6] == ["100 %", "50 %", "0"]
    assert row(page, "agreement", "smart") == ["smart", "", "75 % of 200"]
    assert row(page, "decision-reasons", "DEADLINE")[2:4] == ["100 %", "100"]
    job.decide(smart_takes_ms=10)
    wait_until(lambda: row(page, "voters", "smart")[4:5] == ["66.7 %"], LIMIT_S)
    told = json.loads(service.ask("/api/policies/wine").read())
    assert (told["decided"], told["why"]) == (300, {"ALL_IN": 200, "DEADLINE": 100})

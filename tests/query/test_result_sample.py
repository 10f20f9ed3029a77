"""The sample of results, on a real broker."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from modelserving.errors import BrokerError
from modelserving.local.broker import LocalBroker, free_port
from modelserving.query.result_sample import FAILED_S, FRESH_S, MOST_RESULTS, ResultSample
from modelserving.topics import Topics
from tests.conftest import PARTITIONS
from tests.kafka_client import produce
from tests.query.cases import NOW_MS, result

Newest = Callable[[int], Awaitable[list[int]]]


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def send(broker: LocalBroker, topics: Topics, offsets: range, partition: int | None = None) -> None:
    values = [result(offset, label="5").SerializeToString() for offset in offsets]
    produce(broker.bootstrap_servers, topics.results, [(None, value) for value in values], partition)


def sampling(
    broker: LocalBroker, topics: Topics, work: Callable[[Newest], Awaitable[None]], clock: Clock | None = None
) -> None:
    """Do `work` with what tells the offsets of the newest results' records."""

    async def run() -> None:
        sample = ResultSample(broker.bootstrap_servers, topics.results, *([clock] if clock else []))

        async def newest(limit: int) -> list[int]:
            shown: list[Any] = [orjson.loads(each) for each in await sample.newest(limit)]
            assert all(each["scored_at_ms"] == NOW_MS + each["record"]["offset"] for each in shown)
            return [each["record"]["offset"] for each in shown]

        try:
            await work(newest)
        finally:
            await sample.close()

    asyncio.run(run())


def test_an_empty_topic(broker: LocalBroker, topics: Topics) -> None:
    async def work(newest: Newest) -> None:
        assert await newest(10) == []

    sampling(broker, topics, work)


def test_the_newest_of_all_partitions(broker: LocalBroker, topics: Topics) -> None:
    for partition in range(PARTITIONS):
        send(broker, topics, range(partition, 4000, PARTITIONS), partition)

    async def work(newest: Newest) -> None:
        assert await newest(10) == list(range(3999, 3989, -1))
        assert len(await newest(10_000)) == MOST_RESULTS

    sampling(broker, topics, work)


def test_garbage_is_passed_over(broker: LocalBroker, topics: Topics) -> None:
    garbage = [(None, b"\xff\xff"), (b"key", None), (None, result(5).SerializeToString()[:-2])]
    produce(broker.bootstrap_servers, topics.results, garbage, 0)
    send(broker, topics, range(7, 8), 0)

    async def work(newest: Newest) -> None:
        assert 7 in await newest(10)
        assert 5 not in await newest(10)

    sampling(broker, topics, work)


def test_it_is_read_again_once_it_is_old(broker: LocalBroker, topics: Topics) -> None:
    clock = Clock()
    send(broker, topics, range(1))

    async def work(newest: Newest) -> None:
        assert await newest(10) == [0]
        send(broker, topics, range(1, 2))
        assert await newest(10) == [0]
        clock.now_s += FRESH_S
        assert await newest(10) == [1, 0]

    sampling(broker, topics, work, clock)


def test_those_who_ask_at_once_share_a_sample(
    broker: LocalBroker, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(broker, topics, range(3))
    read = ResultSample._read
    count = []

    def counted(self: ResultSample) -> Any:
        count.append(1)
        return read(self)

    monkeypatch.setattr(ResultSample, "_read", counted)

    async def work(newest: Newest) -> None:
        shown = await asyncio.gather(*(newest(10) for _ in range(50)))
        assert shown == [[2, 1, 0]] * 50

    sampling(broker, topics, work, Clock())
    assert len(count) == 1


def test_a_broker_that_is_away_is_told_and_not_asked_at_once_again(tmp_path: Path) -> None:
    clock = Clock()
    absent = LocalBroker(tmp_path, free_port())

    async def run() -> None:
        sample = ResultSample(absent.bootstrap_servers, "results", clock)
        for _ in range(2):
            with pytest.raises(BrokerError, match=f"Kafka at {absent.bootstrap_servers}: "):
                await sample.newest(10)
        assert sample._next_s == clock.now_s + FAILED_S
        await sample.close()

    asyncio.run(run())

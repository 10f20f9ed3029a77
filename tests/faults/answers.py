"""Reads what the job writes: committed messages only, across the ends of brokers."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from modelserving.topics import MAX_REJECTED_BYTES, Topics
from tests.faults.invariants import Account
from tests.waiting import LIMIT_S

_MOST_AT_ONCE = 10_000
_WAIT_S = 0.5


class AnswerReader:
    """Takes the messages of the topics that either job writes, from their beginning, into an account."""

    def __init__(self, bootstrap_servers: str, topics: Topics) -> None:
        self.account = Account()
        self._topics = topics
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": f"{topics.prefix}account",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "fetch.message.max.bytes": MAX_REJECTED_BYTES,
                "reconnect.backoff.max.ms": 1000,
                "log_level": 2,  # that the broker is away is no news here
            }
        )

    def __enter__(self) -> AnswerReader:
        topics = self._topics
        answers = topics.results, topics.decisions, topics.late_answers
        for topic in (*answers, topics.rejected_records, topics.rejected_models, topics.serving_stats):
            partitions = self._consumer.list_topics(topic, LIMIT_S).topics[topic].partitions
            self._consumer.incremental_assign([TopicPartition(topic, each, OFFSET_BEGINNING) for each in partitions])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close()

    def read(self) -> Account:
        """Take in what was committed since; the account."""
        while True:
            messages = self._consumer.consume(_MOST_AT_ONCE, timeout=_WAIT_S)
            for message in messages:
                if message.error() is None:
                    self._take(message)
                else:
                    assert message.error().retriable(), message.error()
            if len(messages) < _MOST_AT_ONCE:
                return self.account

    def _take(self, message: Any) -> None:
        if message.topic() == self._topics.results:
            self.account.add_result(message.key(), message.value())
        elif message.topic() == self._topics.decisions:
            self.account.add_decision(message.key(), message.value())
        elif message.topic() == self._topics.late_answers:
            self.account.add_late_answer(message.value())
        elif message.topic() == self._topics.rejected_records:
            self.account.add_rejected_record(message.key(), message.value())
        elif message.topic() == self._topics.serving_stats:
            self.account.add_statistics(message.key(), message.value())
        else:
            self.account.add_rejected_model(message.value())

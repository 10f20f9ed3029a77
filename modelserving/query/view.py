"""The view: all that the service knows, made of the messages of the topics, in whatever order partitions are read."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from google.protobuf.message import DecodeError

from modelserving.query import messages
from modelserving.query.encoding import encode
from modelserving.query.model_view import ModelView
from modelserving.query.policies_view import PoliciesView
from modelserving.query.recent import Recent
from modelserving.query.rejections import Rejections
from modelserving.query.stats_view import StatsView
from modelserving.statistics.keys import is_of_policy
from modelserving.topics import Topics
from modelserving.wire.serving_pb2 import EventKind, ModelEvent, Rejected

log = logging.getLogger(__name__)

MOST_EVENTS = 500
"""Kept of all data types together."""
MOST_EVENTS_OF = 200
"""Kept of each data type besides."""
MOST_LISTS = 1000
"""Data types whose events are kept apart; those of which nothing was heard for longest are forgotten first."""


class Message(Protocol):
    """A message as Kafka's client gives it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


@dataclass(slots=True)
class News:
    """What a batch of messages brought, each thing encoded as in answers."""

    stats: list[bytes] = field(default_factory=list)
    totals: list[bytes] = field(default_factory=list)
    """Of the data types that `stats` and `gone` are about."""
    gone: list[bytes] = field(default_factory=list)
    """Versions whose statistics are kept no longer."""
    policies: list[bytes] = field(default_factory=list)
    events: list[bytes] = field(default_factory=list)
    rejected: list[bytes] = field(default_factory=list)


class View:
    """What is known; used from one thread."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self.revision = 0
        """Another one after each change."""
        self.clear()

    def clear(self) -> None:
        """Know nothing, to be told everything anew."""
        self.revision += 1
        self.stats = StatsView()
        self.policies = PoliciesView()
        self.models = ModelView()
        self.rejected_models: Counter[str] = Counter()
        """By reason; each is an event."""
        self.undecodable: Counter[str] = Counter()
        """Messages passed over, by topic."""
        self._events = Recent(MOST_EVENTS)
        self._events_of: dict[str, Recent] = {}
        self.rejections = Rejections()

    def apply(self, batch: Iterable[Message]) -> News:
        """Take in messages. Those that cannot be decoded are counted and passed over."""
        self.revision += 1
        news = News()
        for message in batch:
            try:
                self._apply(message, news)
            except DecodeError:
                if not self.undecodable[message.topic]:
                    place = (message.topic, message.partition, message.offset)
                    log.warning("%s-%d@%d cannot be decoded; more of them are only counted", *place)
                self.undecodable[message.topic] += 1
        news.totals = self.stats.changed()
        return news

    def stats_of_late(self) -> list[bytes]:
        """Of each data type the statistics of the versions that serve or were told of last, encoded."""
        return self.stats.lately(self.models.serving_of)

    def events(self, limit: int, data_type: str | None = None) -> list[bytes]:
        """The newest events, of all data types or of one."""
        found = self._events if data_type is None else self._events_of.get(data_type)
        return [] if found is None else found.newest(limit)

    def _apply(self, message: Message, news: News) -> None:
        if message.topic == self._topics.serving_stats:
            if is_of_policy(message.key):
                policy = self.policies.apply(message.key, message.value, message.partition)
                if policy is not None:
                    news.policies.append(policy)
                return
            told = self.stats.apply(message.key, message.value, message.partition)
            if told is not None:
                (news.stats if message.value else news.gone).append(told)
        elif message.topic == self._topics.model_events:
            news.events.append(self._apply_event(message))
        else:
            news.rejected.append(self._apply_rejected(message))

    def _apply_event(self, message: Message) -> bytes:
        event = ModelEvent.FromString(_content(message))
        encoded = encode(messages.event(event, message.partition, message.offset))
        order = (event.at_ms, message.partition, message.offset)
        self._events.add(order, encoded)
        of_type = self._events_of.pop(event.data_type, None) or Recent(MOST_EVENTS_OF)
        of_type.add(order, encoded)
        self._events_of[event.data_type] = of_type
        if len(self._events_of) > MOST_LISTS:
            del self._events_of[next(iter(self._events_of))]
        if event.kind == EventKind.REJECTED:
            self.rejected_models[messages.reason_name(event.reason)] += 1
        self.models.apply(event)
        return encoded

    def _apply_rejected(self, message: Message) -> bytes:
        rejected = Rejected.FromString(_content(message))
        kind = "record" if message.topic == self._topics.rejected_records else "model"
        encoded = encode(messages.rejection(rejected, kind))
        order = (rejected.rejected_at_ms, message.partition, message.offset)
        self.rejections.add(kind, rejected.data_type, messages.reason_name(rejected.reason), order, encoded)
        return encoded


def _content(message: Message) -> bytes:
    """What a message holds; one without content is no message of these topics."""
    if not message.value:
        raise DecodeError("it is empty")
    return message.value

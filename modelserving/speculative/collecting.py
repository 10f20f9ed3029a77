"""Collecting: requests in flight, the votes on them, and what leaves: decisions, late answers, and what is counted.

The collector is free of Flink. What must outlast a crash is in a store of the request's own, which the caller keeps; it
calls again when time has passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pyarrow as pa

from modelserving.arrow import from_ipc
from modelserving.errors import ModelServingError
from modelserving.outgoing import Outgoing
from modelserving.speculative import rollout
from modelserving.speculative.control import control_of
from modelserving.speculative.deciders import Decider
from modelserving.speculative.messages import Encoded, encode_decisions, encode_late_answers
from modelserving.speculative.request import Request
from modelserving.speculative.request_state import decode_request, encode_request, request_of
from modelserving.speculative.starting import SCHEMA
from modelserving.speculative.tally import decided_deltas, late_deltas
from modelserving.speculative.votes import ModelVotes, decode_votes
from modelserving.wire.speculative_pb2 import RequestOpening, RolloutSample, VoteState

_OPENING, _REQUEST, _EARLY = "opening", "request", "early/"
_SKEW_US = 1_000_000
"""So much may the clocks of machines differ."""


_LEAD_US = 5_000
"""So long before a deadline, at most, is it decided: timers come late, and what is decided has yet to leave."""


class RequestStore(Protocol):
    """What is kept of one request, by name."""

    def get(self, name: str) -> bytes | None:
        """What is kept under a name, or None."""
        ...

    def put(self, name: str, value: bytes) -> None:
        """Keep `value`."""
        ...

    def items(self) -> Iterable[tuple[str, bytes]]:
        """All names, with what is kept under them."""
        ...

    def clear(self) -> None:
        """Keep nothing."""
        ...


@dataclass(slots=True)
class Collected:
    """What came of one call."""

    outgoing: list[Outgoing] = field(default_factory=list)
    sample: tuple[str, bytes] | None = None
    """For the rollout of a data type: its name, an encoded `RolloutSample`."""
    looks_ms: tuple[int, ...] = ()
    """When to call `look`, epoch milliseconds. `look` itself never asks for more: a timer that registers another one
    fails a job that is being stopped."""


@dataclass(slots=True)
class _Flight:
    """A request in flight."""

    request: Request
    records: pa.RecordBatch
    policy_offset: int
    restored: bool = False
    """After a crash, votes that were on their way do not come."""


class Collector:
    """Collects votes, decides, and says so; of each record once.

    Args:
        topic: of the records.
        deciders: by import path, those that policies may name.
        keep_s: from the deadline on, votes are waited for so long.
        clock_us: epoch microseconds.
    """

    def __init__(self, topic: str, deciders: Mapping[str, Decider], keep_s: float, clock_us: Callable[[], int]) -> None:
        self._topic = topic
        self._deciders = deciders
        self._keep_us = int(keep_s * 1e6)
        self._clock_us = clock_us
        self._flights: dict[str, _Flight] = {}
        self._early: set[str] = set()  # requests that votes came ahead of
        # Votes on requests of an earlier time may have come before a crash: only the store knows.
        self._restarted_us = clock_us() + _SKEW_US

    def open(self, name: str, encoded: bytes, store: RequestStore) -> Collected:
        """Take in a request, an encoded `RequestOpening`.

        Raises:
            ModelServingError: it is of a later release.
        """
        flight = self._flights[name] = self._opened(encoded)
        store.put(_OPENING, encoded)
        collected = Collected()
        early: list[bytes] = []
        if name in self._early or flight.request.received_us < self._restarted_us:
            self._early.discard(name)
            early = [votes for key, votes in store.items() if key.startswith(_EARLY)]
        for votes in early:
            self._add(flight, decode_votes(votes)[1], collected, in_time=True)
        return self._go_on(name, flight, store, collected, changed=bool(early))

    def vote(self, name: str, encoded: bytes, store: RequestStore) -> Collected:
        """Take in votes, an encoded `ModelVotes`; ahead of their request, they wait for it."""
        votes = decode_votes(encoded)[1]
        flight = self._flight(name, store)
        if flight is None:
            # Or behind it: nothing waits for them any more.
            self._early.add(name)
            store.put(f"{_EARLY}{votes.model}/{votes.rows[0]}", encoded)
            return Collected(looks_ms=((self._clock_us() + self._keep_us) // 1000,))
        collected = Collected()
        in_time = self._clock_us() < flight.request.deadline_us - _lead_us(flight.request)
        self._add(flight, votes, collected, in_time=in_time)
        return self._go_on(name, flight, store, collected, changed=True)

    def look(self, name: str, at_us: int, store: RequestStore) -> Collected:
        """Decide what is due, and let go of what was waited for long enough.

        Args:
            name: of the request.
            at_us: the time of `looks_ms` that has come, epoch microseconds: the clock may have been set back since.
            store: the request's.
        """
        flight = self._flight(name, store)
        if flight is None:
            self._early.discard(name)
            store.clear()
            return Collected()
        return self._go_on(name, flight, store, Collected(), changed=False, at_us=at_us)

    def _flight(self, name: str, store: RequestStore) -> _Flight | None:
        if name not in self._flights:
            opening = store.get(_OPENING)
            if opening is None:
                return None
            flight = self._opened(opening)
            flight.restored = True
            kept = store.get(_REQUEST)
            if kept is not None:
                flight.request = decode_request(kept, self._deciders)
            self._flights[name] = flight
        return self._flights[name]

    def _opened(self, encoded: bytes) -> _Flight:
        opening = RequestOpening.FromString(encoded)
        if opening.schema > SCHEMA:
            raise ModelServingError(f"a request of schema {opening.schema} was written by a later release than this")
        request = request_of(opening.request, self._deciders)
        return _Flight(request, from_ipc(opening.records), opening.policy_offset)

    def _add(self, flight: _Flight, votes: ModelVotes, collected: Collected, *, in_time: bool) -> None:
        request = flight.request
        late = request.add(votes, in_time=in_time)
        if not len(late):
            return
        collected.outgoing.append(late_deltas(request, votes.model, late))
        # Of a model that was not asked in the end there is nothing to judge.
        states = request.ballot.states[request.ballot.models.index(votes.model), late]
        judged = late[np.isin(states, (VoteState.ANSWERED, VoteState.FAILED))]
        if len(judged):
            now_us = self._clock_us()
            encoded = encode_late_answers(
                request, votes.model, judged, flight.records, topic=self._topic, now_us=now_us
            )
            keys = flight.records.column("key").take(pa.array(judged))
            collected.outgoing.append(Outgoing("late-answers", keys, encoded.values, encoded.prefix))

    def _go_on(
        self, name: str, flight: _Flight, store: RequestStore, collected: Collected, *, changed: bool, at_us: int = 0
    ) -> Collected:
        request, now_us = flight.request, max(self._clock_us(), at_us)
        if not request.is_decided:
            decided = request.decide(now_us, _lead_us(request))
            if len(decided.rows):
                changed = True
                encoded: Encoded = encode_decisions(request, decided, flight.records, self._topic)
                keys = flight.records.column("key").take(pa.array(decided.rows))
                collected.outgoing.append(Outgoing("decisions", keys, encoded.values, encoded.prefix))
                collected.outgoing.append(decided_deltas(request, decided))
        let_go_us = request.deadline_us + self._keep_us
        # A timer of a run before may be all that is left, and earlier: as long as votes could come then.
        waits = not flight.restored or at_us <= request.deadline_us
        if request.is_complete or (request.is_decided and not (waits and now_us < let_go_us)):
            del self._flights[name]
            store.clear()
            collected.sample = self._sample(flight, now_us)
            return collected
        if changed:
            store.put(_REQUEST, encode_request(request))
        looks_us = (let_go_us,) if request.is_decided else (request.deadline_us - _lead_us(request), let_go_us)
        # Rounded up: a timer that came too early would decide nothing.
        collected.looks_ms = tuple(-(-look_us // 1000) for look_us in looks_us)
        return collected

    def _sample(self, flight: _Flight, now_us: int) -> tuple[str, bytes] | None:
        policy = flight.request.policy
        if policy.limits is None or flight.restored:
            return None
        counts = rollout.message(rollout.count(flight.request), now_us // 1000)
        sample = RolloutSample(
            schema=SCHEMA, policy=control_of(policy), policy_offset=flight.policy_offset, counts=counts
        )
        return policy.data_type, sample.SerializeToString()


def _lead_us(request: Request) -> int:
    """A tenth of the time that there is, and no more than it takes."""
    return min(_LEAD_US, request.policy.timeout_ms * 100)

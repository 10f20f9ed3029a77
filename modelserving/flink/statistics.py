"""The aggregator of statistics: adds up the deltas of all instances, and tells totals once a second."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import cast

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, RuntimeContext

from modelserving.events import outgoing_events
from modelserving.flink import assembly, rows
from modelserving.flink.options import JobOptions
from modelserving.flink.state import statistics_descriptor
from modelserving.flink.worker import prepare
from modelserving.outgoing import Outgoing
from modelserving.statistics import policy_totals, totals
from modelserving.statistics.deltas import key_of, parse
from modelserving.statistics.earlier import AtRest, add_to_earlier, is_of_version, key_of_earlier
from modelserving.statistics.keys import is_of_policy
from modelserving.statistics.policy_totals import PolicyTotals
from modelserving.statistics.totals import Totals
from modelserving.wire.serving_pb2 import ModelEvent
from modelserving.wire.state_pb2 import StatsDelta

GATHERED_S = 1
"""Deltas are gathered for so long, in the JVM; also the least between two messages of a key that tell of any."""
AT_REST_AFTER_MS = 2500
"""Without deltas, a version or a policy is told to be at rest, once: its last rates would stand for ever."""


def bucket_of(row: Row) -> str:
    """The bucket of a row of gathered deltas."""
    return str(row[0])


class StatisticsFunction(KeyedProcessFunction):
    """Takes rows of gathered deltas (bucket, deltas), keyed by bucket; emits statistics, and events of drift."""

    def __init__(self, options: JobOptions) -> None:
        self._options = options

    def open(self, runtime_context: RuntimeContext) -> None:
        prepare()
        # Takes seconds, with Python's lock in hand. Later, at the first check for drift, all functions of this worker
        # would stand meanwhile, and records with them.
        import river.drift  # noqa: F401, PLC0415

        self._state = runtime_context.get_map_state(statistics_descriptor())
        self._known: dict[bytes, Totals | PolicyTotals] = {}  # what the state has, decoded
        self._last_ms: dict[str, dict[bytes, int]] = {}  # bucket → keys that are not at rest → when they had deltas
        self._with_timers: set[str] = set()  # buckets that had deltas since the start
        self._at_rest: dict[str, AtRest] = {}  # bucket → versions that are

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        now_ms = assembly.clock_ms()
        deltas: dict[bytes, list[StatsDelta]] = defaultdict(list)
        for delta in parse(bytes(each) for each in value[1]):
            deltas[key_of(delta)].append(delta)
        events: list[ModelEvent] = []
        lately = self._lately(ctx.get_current_key(), now_ms)
        for key, of_key in deltas.items():
            events += self._totals(key).add(of_key, GATHERED_S, now_ms)
            lately[key] = now_ms
            self._at_rest[ctx.get_current_key()].discard(key)
        yield from self._tell(deltas)
        if events:
            yield rows.outgoing_row(outgoing_events(events), self._options.topics)
        self._with_timers.add(ctx.get_current_key())
        ctx.timer_service().register_processing_time_timer(now_ms + AT_REST_AFTER_MS)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Row]:
        now_ms = assembly.clock_ms()
        lately = self._lately(ctx.get_current_key(), now_ms)
        rested = [key for key, last_ms in lately.items() if now_ms - last_ms >= AT_REST_AFTER_MS]
        for key in rested:
            del lately[key]
            self._totals(key).rest(AT_REST_AFTER_MS / 1000, now_ms)
        if rested:
            yield from self._tell(rested)
            for key in rested:
                del self._known[key]
                self._at_rest[ctx.get_current_key()].add(key)
            yield from self._forget(ctx.get_current_key(), now_ms)
        if lately and ctx.get_current_key() not in self._with_timers:
            # Not as a rule: a timer that registers another one fails a job that is being stopped in that moment.
            ctx.timer_service().register_processing_time_timer(min(lately.values()) + AT_REST_AFTER_MS)

    def _lately(self, bucket: str, now_ms: int) -> dict[bytes, int]:
        """The keys of the current bucket that are not at rest; after a restart the state tells."""
        if bucket not in self._last_ms:
            lately, resting = {}, []
            for key, encoded in ((key.encode(), bytes(encoded)) for key, encoded in self._state.items()):
                if not _at_rest(key, encoded):
                    lately[key] = now_ms
                elif is_of_version(key):
                    resting.append((totals.told_ms(encoded), key))
            self._last_ms[bucket], self._at_rest[bucket] = lately, AtRest(key for _, key in sorted(resting))
        return self._last_ms[bucket]

    def _totals(self, key: bytes) -> Totals | PolicyTotals:
        if key not in self._known:
            stored = self._state.get(key.decode())
            kind = PolicyTotals if is_of_policy(key) else Totals
            self._known[key] = kind(b"" if stored is None else bytes(stored))
        return self._known[key]

    def _forget(self, bucket: str, now_ms: int) -> Iterator[Row]:
        """Add up the versions that are at rest and too many, and keep them no longer."""
        gone: list[bytes] = []
        changed: dict[bytes, None] = {}
        for data_type, key in self._at_rest[bucket].excess():
            into = key_of_earlier(data_type, bucket)
            add_to_earlier(cast("Totals", self._totals(into)), cast("Totals", self._totals(key)), bucket, now_ms)
            changed[into] = None
            gone.append(key)
            self._state.remove(key.decode())
            del self._known[key]
        if gone:
            yield from self._tell(changed)
            for into in changed:
                del self._known[into]
            yield rows.outgoing_row(Outgoing.of("serving-stats", gone, [None] * len(gone)), self._options.topics)

    def _tell(self, keys: Iterable[bytes]) -> Iterator[Row]:
        """Keep the totals in the state, and say what they are."""
        keys = list(keys)
        for key in keys:
            self._state.put(key.decode(), self._known[key].encode())
        values = [self._known[key].stats.SerializeToString() for key in keys]
        yield rows.outgoing_row(Outgoing.of("serving-stats", keys, values), self._options.topics)


def _at_rest(key: bytes, encoded: bytes) -> bool:
    return policy_totals.at_rest(encoded) if is_of_policy(key) else totals.at_rest(encoded)

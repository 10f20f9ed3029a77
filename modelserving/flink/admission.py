"""Admission as a Flink operator: each message of the model log is judged once, for all instances.

It is keyed by data type where one model of a data type serves, and by data type and name where several do.

Judging takes long, so a thread does it, one message after the other; what waits is in the state. Timers look for
what the thread has done, and are the clock of activation times and of idle joins.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pyflink.common import Row
from pyflink.datastream import KeyedProcessFunction, OutputTag, RuntimeContext

from modelserving import versions
from modelserving.admission import Verdict, data_type_of, key_of, model_of, names_of
from modelserving.events import outgoing_events
from modelserving.flink import assembly, rows
from modelserving.flink.counters import Counters
from modelserving.flink.options import JobOptions
from modelserving.flink.state import admission_descriptor, pending_descriptor, scheduled_descriptor
from modelserving.outgoing import Outgoing
from modelserving.pieces import split
from modelserving.wire.serving_pb2 import LogPosition, ModelEvent, Reason
from modelserving.wire.state_pb2 import AdmissionState, AdmittedModel, Decision, PendingMessage

LOOK_EVERY_MS = 50
"""While something is being judged."""
TICK_MS = 1000
PIECE_EVERY_MS = 25
"""So much lies between two pieces of a model: many at once would keep records waiting, the more so at a checkpoint,
whose barrier would stand in line behind them."""
RETRY_MS = 5000
"""After a judgement that failed through no fault of the model: the sandbox cannot start, the model log is away."""

log = logging.getLogger(__name__)


def admission_messages_tag() -> OutputTag:
    """The side output of rejected models and events."""
    return OutputTag("admission-messages", rows.outgoing_type())


def data_type_key(row: Row) -> str:
    """The data type of a row of the model log: one model of it serves."""
    return data_type_of(row[0] and bytes(row[0]))


def model_key(row: Row) -> str:
    """Data type and name of a row of the model log, as `key_of` gives them: each model of a data type serves."""
    return key_of(*model_of(row[0] and bytes(row[0])))


@dataclass(slots=True)
class _Judging:
    """A message that is being judged."""

    offset: int
    state: AdmissionState
    """A copy, which the judge changes."""
    verdict: Future[Verdict]
    parts: deque[Decision] | None = None
    """What is still to be sent of the decision: pieces of its model, and the rest of it."""

    def next_piece(self) -> Decision | None:
        """The next piece of the model that was admitted, once judged; None if all have been sent."""
        if self.parts is None:
            decision = self.verdict.result().decision
            self.parts = deque() if decision is None else deque(split(decision))
        return self.parts.popleft() if len(self.parts) > 1 else None


class AdmissionFunction(KeyedProcessFunction):
    """Takes rows of the model log (value, offset, timestamp), emits decisions."""

    def __init__(self, options: JobOptions) -> None:
        self._options = options

    def open(self, runtime_context: RuntimeContext) -> None:
        self._sandbox = assembly.sandbox(self._options)
        self._judge = assembly.admission(self._options, self._sandbox)
        self._thread = ThreadPoolExecutor(1, "admission")
        self._state = runtime_context.get_map_state(admission_descriptor())
        self._pending = runtime_context.get_map_state(pending_descriptor())
        self._scheduled = runtime_context.get_map_state(scheduled_descriptor())
        self._queues: dict[str, list[int]] = {}  # offsets of the pending messages of a data type, in order
        self._judging: dict[str, _Judging] = {}
        self._not_before_ms: dict[str, int] = {}  # data type → when to judge again what could not be judged
        self._ticks: dict[str, tuple[int, int]] = {}  # data type → when the last tick was, and until when to tick
        self._counters = Counters(runtime_context.get_metrics_group())

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Any]:
        self._counters.in_element()
        message = None if value[0] is None else bytes(value[0])
        key = ctx.get_current_key()
        position = self._position(value[1], value[2])
        if self._options.data_types.get(names_of(key)[0]) is None:
            # Such leave no state behind: anybody could send any number of names.
            yield from self._emit(self._judge.judge(message, position, AdmissionState()), key)
            return
        state = self._read(key)
        if state.schema and position.offset <= state.applied_offset:
            return
        received = self._judge.received(message, position)
        if received is not None:
            yield from self._emit(Verdict(events=(received,)), key)
        queue = self._queue(key)
        pending = PendingMessage(timestamp_ms=position.timestamp_ms, message=message)
        self._pending.put(position.offset, pending.SerializeToString())
        queue.append(position.offset)
        yield from self._advance(key, ctx)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        key = ctx.get_current_key()
        yield from self._advance(key, ctx)
        last, until = self._ticks.get(key, (0, 0))
        now = assembly.clock_ms()
        if last and now >= last + TICK_MS:
            yield Row(key, Decision(data_type=names_of(key)[0], tick=True).SerializeToString())
            if now < until:
                self._ticks[key] = (now, until)
            else:
                del self._ticks[key]
            self._set_timer(key, ctx)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._sandbox.close()

    def _advance(self, key: str, ctx: Any) -> Iterator[Any]:
        """Take in what has been judged, activate what is due, and have the next message judged."""
        judging = self._judging.get(key)
        if judging is not None and judging.verdict.done():
            error = judging.verdict.exception()
            piece = judging.next_piece() if error is None else None
            if piece is not None:
                # Until the last is sent the message is pending: after a restart it is judged anew, and all are sent.
                yield Row(key, piece.SerializeToString())
                self._set_timer(key, ctx)
                return
            del self._judging[key]
            if error is None:
                yield from self._take_in(key, judging)
            else:
                # No fault of the model, or there were a verdict: the message waits, and the job goes on scoring.
                log.error("the message at offset %d cannot be judged now", judging.offset, exc_info=error)
                self._counters.inc("judgements_failed")
                self._not_before_ms[key] = assembly.clock_ms() + RETRY_MS
        if key not in self._judging:
            yield from self._activate(key)
            queue = self._queue(key)
            if queue and assembly.clock_ms() >= self._not_before_ms.get(key, 0):
                self._judging[key] = self._start(key, queue[0])
        self._set_timer(key, ctx)

    def _take_in(self, key: str, judging: _Judging) -> Iterator[Any]:
        verdict = judging.verdict.result()
        self._queue(key).remove(judging.offset)
        self._pending.remove(judging.offset)
        self._counters.inc("models_no_op", judging.state.no_ops - self._read(key).no_ops)
        if verdict.scheduled is not None:
            self._scheduled.put(judging.offset, verdict.scheduled.SerializeToString())
        self._write(key, judging.state)
        yield from self._emit(verdict, key, judging.parts)

    def _start(self, key: str, offset: int) -> _Judging:
        pending = PendingMessage.FromString(bytes(self._pending.get(offset)))
        state = self._read(key)
        position = self._position(offset, pending.timestamp_ms)
        return _Judging(offset, state, self._thread.submit(self._judge.judge, pending.message, position, state))

    def _activate(self, key: str) -> Iterator[Any]:
        state = self._read(key)
        if not state.scheduled:
            return

        def scheduled(offset: int) -> AdmittedModel:
            return AdmittedModel.FromString(bytes(self._scheduled.get(offset)))

        while (verdict := self._judge.activate(state, scheduled, self._options.topics.models)) is not None:
            self._write(key, state)
            yield from self._emit(verdict, key)

    def _set_timer(self, key: str, ctx: Any) -> None:
        """At the next time at which there is something to do; round, so that timers set twice are one."""
        now = assembly.clock_ms()
        times = []
        if key in self._judging:
            wait = PIECE_EVERY_MS if self._judging[key].parts else LOOK_EVERY_MS
            times.append(now + wait - now % wait)
        elif self._queue(key):
            times.append(max(now + 1, self._not_before_ms.get(key, 0)))
        if key in self._ticks:
            times.append(now + TICK_MS - now % TICK_MS)
        state = self._read(key)
        if state.scheduled and key not in self._judging:
            times.append(max(now + 1, state.scheduled[0].activation_ms))
        if times:
            ctx.timer_service().register_processing_time_timer(min(times))

    def _queue(self, key: str) -> list[int]:
        if key not in self._queues:
            self._queues[key] = sorted(self._pending.keys())
        return self._queues[key]

    def _read(self, key: str) -> AdmissionState:
        stored = self._state.get(key)
        return versions.decode(None if stored is None else bytes(stored))

    def _write(self, key: str, state: AdmissionState) -> None:
        before = {version.offset for version in self._read(key).scheduled}
        for offset in before - {version.offset for version in state.scheduled}:
            self._scheduled.remove(offset)
        self._state.put(key, state.SerializeToString())

    def _position(self, offset: int, timestamp_ms: int) -> LogPosition:
        return LogPosition(topic=self._options.topics.models, offset=offset, timestamp_ms=timestamp_ms)

    def _emit(self, verdict: Verdict, key: str, parts: Iterable[Decision] | None = None) -> Iterator[Any]:
        """Send what follows from a verdict; `parts`: of its decision, if some have been sent already."""
        if verdict.decision is not None:
            now = assembly.clock_ms()
            # As long as an instance may be loading.
            last, _ = self._ticks.get(key, (now, 0))
            self._ticks[key] = (last, now + int(self._options.manager_limits.load_s * 1000) + TICK_MS)
            if verdict.decision.HasField("admitted"):
                self._counters.inc("models_admitted")
            for part in split(verdict.decision) if parts is None else parts:
                yield Row(key, part.SerializeToString())
        if verdict.rejected is not None:
            self._counters.inc("models_rejected", reason=Reason.Name(verdict.reason))
            yield self._message(Outgoing.of("rejected-models", [names_of(key)[0].encode() or None], [verdict.rejected]))
        if verdict.events:
            events: list[ModelEvent] = list(verdict.events)
            yield self._message(outgoing_events(events))

    def _message(self, outgoing: Outgoing) -> Any:
        return admission_messages_tag(), rows.outgoing_row(outgoing, self._options.topics)

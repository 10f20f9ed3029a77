"""Admission as a Flink operator, keyed by data type: each message of the model log is judged once, for all instances.

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
from modelserving.admission import Verdict, data_type_of
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


def key_of(row: Row) -> str:
    """The data type of a row of the model log."""
    return data_type_of(row[0] and bytes(row[0]))


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
        data_type = ctx.get_current_key()
        position = self._position(value[1], value[2])
        if self._options.data_types.get(data_type) is None:
            # Such leave no state behind: anybody could send any number of names.
            yield from self._emit(self._judge.judge(message, position, AdmissionState()), data_type)
            return
        state = self._read(data_type)
        if state.schema and position.offset <= state.applied_offset:
            return
        received = self._judge.received(message, position)
        if received is not None:
            yield from self._emit(Verdict(events=(received,)), data_type)
        queue = self._queue(data_type)
        pending = PendingMessage(timestamp_ms=position.timestamp_ms, message=message)
        self._pending.put(position.offset, pending.SerializeToString())
        queue.append(position.offset)
        yield from self._advance(data_type, ctx)

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[Any]:
        data_type = ctx.get_current_key()
        yield from self._advance(data_type, ctx)
        last, until = self._ticks.get(data_type, (0, 0))
        now = assembly.clock_ms()
        if last and now >= last + TICK_MS:
            yield Row(data_type, Decision(data_type=data_type, tick=True).SerializeToString())
            if now < until:
                self._ticks[data_type] = (now, until)
            else:
                del self._ticks[data_type]
            self._set_timer(data_type, ctx)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._sandbox.close()

    def _advance(self, data_type: str, ctx: Any) -> Iterator[Any]:
        """Take in what has been judged, activate what is due, and have the next message judged."""
        judging = self._judging.get(data_type)
        if judging is not None and judging.verdict.done():
            error = judging.verdict.exception()
            piece = judging.next_piece() if error is None else None
            if piece is not None:
                # Until the last is sent the message is pending: after a restart it is judged anew, and all are sent.
                yield Row(data_type, piece.SerializeToString())
                self._set_timer(data_type, ctx)
                return
            del self._judging[data_type]
            if error is None:
                yield from self._take_in(data_type, judging)
            else:
                # No fault of the model, or there were a verdict: the message waits, and the job goes on scoring.
                log.error("the message at offset %d cannot be judged now", judging.offset, exc_info=error)
                self._counters.inc("judgements_failed")
                self._not_before_ms[data_type] = assembly.clock_ms() + RETRY_MS
        if data_type not in self._judging:
            yield from self._activate(data_type)
            queue = self._queue(data_type)
            if queue and assembly.clock_ms() >= self._not_before_ms.get(data_type, 0):
                self._judging[data_type] = self._start(data_type, queue[0])
        self._set_timer(data_type, ctx)

    def _take_in(self, data_type: str, judging: _Judging) -> Iterator[Any]:
        verdict = judging.verdict.result()
        self._queue(data_type).remove(judging.offset)
        self._pending.remove(judging.offset)
        self._counters.inc("models_no_op", judging.state.no_ops - self._read(data_type).no_ops)
        if verdict.scheduled is not None:
            self._scheduled.put(judging.offset, verdict.scheduled.SerializeToString())
        self._write(data_type, judging.state)
        yield from self._emit(verdict, data_type, judging.parts)

    def _start(self, data_type: str, offset: int) -> _Judging:
        pending = PendingMessage.FromString(bytes(self._pending.get(offset)))
        state = self._read(data_type)
        position = self._position(offset, pending.timestamp_ms)
        return _Judging(offset, state, self._thread.submit(self._judge.judge, pending.message, position, state))

    def _activate(self, data_type: str) -> Iterator[Any]:
        state = self._read(data_type)
        if not state.scheduled:
            return

        def scheduled(offset: int) -> AdmittedModel:
            return AdmittedModel.FromString(bytes(self._scheduled.get(offset)))

        while (verdict := self._judge.activate(state, scheduled, self._options.topics.models)) is not None:
            self._write(data_type, state)
            yield from self._emit(verdict, data_type)

    def _set_timer(self, data_type: str, ctx: Any) -> None:
        """At the next time at which there is something to do; round, so that timers set twice are one."""
        now = assembly.clock_ms()
        times = []
        if data_type in self._judging:
            wait = PIECE_EVERY_MS if self._judging[data_type].parts else LOOK_EVERY_MS
            times.append(now + wait - now % wait)
        elif self._queue(data_type):
            times.append(max(now + 1, self._not_before_ms.get(data_type, 0)))
        if data_type in self._ticks:
            times.append(now + TICK_MS - now % TICK_MS)
        state = self._read(data_type)
        if state.scheduled and data_type not in self._judging:
            times.append(max(now + 1, state.scheduled[0].activation_ms))
        if times:
            ctx.timer_service().register_processing_time_timer(min(times))

    def _queue(self, data_type: str) -> list[int]:
        if data_type not in self._queues:
            self._queues[data_type] = sorted(self._pending.keys())
        return self._queues[data_type]

    def _read(self, data_type: str) -> AdmissionState:
        stored = self._state.get(data_type)
        return versions.decode(None if stored is None else bytes(stored))

    def _write(self, data_type: str, state: AdmissionState) -> None:
        before = {version.offset for version in self._read(data_type).scheduled}
        for offset in before - {version.offset for version in state.scheduled}:
            self._scheduled.remove(offset)
        self._state.put(data_type, state.SerializeToString())

    def _position(self, offset: int, timestamp_ms: int) -> LogPosition:
        return LogPosition(topic=self._options.topics.models, offset=offset, timestamp_ms=timestamp_ms)

    def _emit(self, verdict: Verdict, data_type: str, parts: Iterable[Decision] | None = None) -> Iterator[Any]:
        """Send what follows from a verdict; `parts`: of its decision, if some have been sent already."""
        if verdict.decision is not None:
            now = assembly.clock_ms()
            # As long as an instance may be loading.
            last, _ = self._ticks.get(data_type, (now, 0))
            self._ticks[data_type] = (last, now + int(self._options.manager_limits.load_s * 1000) + TICK_MS)
            if verdict.decision.HasField("admitted"):
                self._counters.inc("models_admitted")
            for part in split(verdict.decision) if parts is None else parts:
                yield Row(data_type, part.SerializeToString())
        if verdict.rejected is not None:
            self._counters.inc("models_rejected", reason=Reason.Name(verdict.reason))
            yield self._message(Outgoing.of("rejected-models", [data_type.encode() or None], [verdict.rejected]))
        if verdict.events:
            events: list[ModelEvent] = list(verdict.events)
            yield self._message(outgoing_events(events))

    def _message(self, outgoing: Outgoing) -> Any:
        return admission_messages_tag(), rows.outgoing_row(outgoing, self._options.topics)

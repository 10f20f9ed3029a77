"""A lane as a Flink operator: it takes tasks in and hands votes out, and never waits for a model.

What models do, they do in threads and processes of their own (`lane_pool.py`). What came of it is looked for when an
element passes; one without a task comes when they have done something, and by a clock (`keying.with_pulse`).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import fields
from typing import Any

from pyflink.common import Row
from pyflink.datastream import BroadcastProcessFunction, RuntimeContext

from modelserving import serving_state
from modelserving.admission import key_of, names_of
from modelserving.errors import ConfigurationError
from modelserving.events import outgoing_events
from modelserving.flink import rows
from modelserving.flink.assembly import newest_models
from modelserving.flink.options import SpeculativeOptions
from modelserving.flink.speculative.assembly import lane_pool, policies
from modelserving.flink.speculative.wake import Wake
from modelserving.flink.state import MapModelStore, models_descriptor, policies_descriptor
from modelserving.flink.worker import prepare, share_lock_soon
from modelserving.model_history import NewestModel
from modelserving.model_log import by_name
from modelserving.pieces import Pieces, forget
from modelserving.speculative.lane_pool import Name
from modelserving.speculative.policies import Holding, decode
from modelserving.speculative.starting import decode_task
from modelserving.speculative.tasks import LaneCounts
from modelserving.speculative.votes import encode_votes
from modelserving.wire.state_pb2 import Decision, Retirement

LOOK_EVERY_MS = 50
"""For what nobody tells: a deadline passes, a model is loaded or does not return."""


class LaneFunction(BroadcastProcessFunction):
    """Input 1: tasks, by request; input 2, broadcast: policies, and decisions by data type and name of a model.

    Args:
        options: the job's.
        lane: its number, from 0.
    """

    def __init__(self, options: SpeculativeOptions, lane: int) -> None:
        self._options = options
        self._lane = lane

    def open(self, runtime_context: RuntimeContext) -> None:
        prepare()
        if self._options.models_in == "thread":
            share_lock_soon()
        self._policies = policies(self._options)
        self._wake = Wake()
        self._pool = lane_pool(self._options, f"lane-{self._lane + 1}", runtime_context, self._wake)
        self._pieces = Pieces()
        group = runtime_context.get_metrics_group()
        self._tasks = {field.name: group.counter(f"tasks_{field.name}") for field in fields(LaneCounts)}
        self._here: set[Name] | None = None  # the models that policies have run here; None: not known after a start
        self._with_policy: set[str] = set()  # data types
        self._reader = ThreadPoolExecutor(1, "model-log")
        self._reading: Future[dict[str, NewestModel]] | None = None
        self._has_read = False
        self._unsure: set[Name] = set()  # models about which the log is being read
        self._ahead: dict[Name, NewestModel] = {}

    def process_element(self, value: Row, ctx: BroadcastProcessFunction.ReadOnlyContext) -> Iterator[Row]:
        self._settle_in(ctx)
        if value[0]:
            data_type, model, task = decode_task(bytes(value[1]))
            self._learn((data_type, model), ctx)
            self._pool.offer((data_type, model), task)
        else:
            self._wake.listens_at(bytes(value[1]))
        yield from self._told(ctx)

    def process_broadcast_element(self, value: Row, ctx: BroadcastProcessFunction.Context) -> Iterator[Row]:
        self._settle_in(ctx)
        data_type, name = names_of(value[0])
        if name:
            self._decide((data_type, name), Decision.FromString(bytes(value[1])), ctx)
        else:
            ctx.get_broadcast_state(policies_descriptor()).put(data_type, bytes(value[1]))
            self._follow(ctx)
        yield from self._told(ctx)

    def close(self) -> None:
        self._reader.shutdown(wait=False, cancel_futures=True)
        self._pool.close()
        self._wake.close()

    def _decide(self, name: Name, decision: Decision, ctx: Any) -> None:
        """Take in a decision of admission, as a join does."""
        key = key_of(*name)
        store = MapModelStore(ctx.get_broadcast_state(models_descriptor()))
        if decision.tick:
            return
        if decision.HasField("piece"):
            self._pieces.keep(decision.data_type, decision.piece, store)
            return
        before = serving_state.decode(store.get(key))
        if before is not None and decision.offset < before.decided:
            forget(decision.data_type, [decision.admitted], serving_state.models(before), store)
            return
        if before is None:
            # Perhaps the first decision of a backlog: the newest model may be far behind it.
            self._read_log(name)
        state = serving_state.after(before, decision)
        store.put(key, state.SerializeToString())
        told = [*serving_state.models(before), decision.admitted]
        forget(decision.data_type, told, serving_state.models(state), store)
        ahead = self._ahead.get(name)
        if ahead is None or ahead.decided <= state.decided:
            self._ahead.pop(name, None)
            if self._here and name in self._here:
                self._aspire(name, store, decision.retired if decision.HasField("retired") else None)
        self._pieces.decided(decision.data_type)

    def _settle_in(self, ctx: Any) -> None:
        """After a start, have what the state knows of loaded again."""
        if self._here is None:
            self._here = set()
            self._follow(ctx)

    def _learn(self, name: Name, ctx: Any) -> None:
        """Have a model here that the starter knows to be, if the policy came before there was this lane."""
        if self._here is not None and name[0] not in self._with_policy and name not in self._here:
            self._here.add(name)
            self._aspire(name, MapModelStore(ctx.get_broadcast_state(models_descriptor())))

    def _follow(self, ctx: Any) -> None:
        """Have those models here that the policies have run in this lane, and no others."""
        holding, before = self._holding(ctx), self._here or set()
        self._with_policy = set(holding)
        learned = {name for name in before if name[0] not in holding}
        self._here = learned | {
            (data_type, model)
            for data_type, each in holding.items()
            for model, lane in each.lanes.items()
            if lane == self._lane
        }
        store = MapModelStore(ctx.get_broadcast_state(models_descriptor()))
        for name in self._here - before:
            self._aspire(name, store)
        for name in before - self._here:
            self._pool.drop(name)

    def _holding(self, ctx: Any) -> dict[str, Holding]:
        """The policies that are of use: a job may have been started with more data types or deciders before."""
        found = {}
        for data_type, encoded in MapModelStore(ctx.get_broadcast_state(policies_descriptor())).items():
            if data_type in self._options.data_types.names:
                with suppress(ConfigurationError):  # the starter tells
                    found[data_type] = self._policies.holding(decode(encoded))
        return found

    def _aspire(self, name: Name, store: MapModelStore, retired: Retirement | None = None) -> None:
        """Have the model of a name answer, as far as there is one."""
        state = serving_state.decode(store.get(key_of(*name)))
        if state is None:
            self._read_log(name)
        if name in self._unsure:
            return
        if name in self._ahead:
            newest = self._ahead[name].model
            self._pool.aspire(name, [] if newest is None else [newest], retired)
        else:
            wanted = [self._pieces.complete(model, store) for model in serving_state.models(state)]
            self._pool.aspire(name, wanted, retired)

    def _read_log(self, name: Name) -> None:
        """Learn what the state does not know: after a cold start, or since it was decided about before this lane."""
        if self._has_read:
            return
        self._unsure.add(name)
        if self._reading is None:
            self._reading = self._reader.submit(newest_models, self._options, by_name)
            self._pool.is_learning = True

    def _look_ahead(self, ctx: Any) -> None:
        """Where the model log is ahead of the state, have the model answer that serves by the log."""
        if self._reading is None or not self._reading.done():
            return
        store = MapModelStore(ctx.get_broadcast_state(models_descriptor()))
        for key, newest in self._reading.result().items():
            name, state = names_of(key), serving_state.decode(store.get(key))
            if state is None or (name in self._unsure and newest.decided > state.decided):
                self._ahead[name] = newest
        self._reading, self._has_read = None, True
        self._pool.is_learning = False
        unsure, self._unsure = self._unsure, set()
        for name in unsure & (self._here or set()):
            self._aspire(name, store)

    def _told(self, ctx: Any) -> Iterator[Row]:
        """What came of the tasks, and what happened to models."""
        self._look_ahead(ctx)
        for answered in self._pool.poll():
            yield Row("vote", answered.request, encode_votes(answered.request, answered.votes))
        events = self._pool.take_events()
        if events:
            yield rows.addressed_outgoing(outgoing_events(events), self._options.topics)
        counts = self._pool.take_counts()
        for name, counter in self._tasks.items():
            if number := getattr(counts, name):
                counter.inc(number)

"""The dataflow of the speculative job.

record_log → batches → starter ─┬─ requests ──────────────────→ collector ─┬→ outputs, statistics
                          ↑     └─ tasks → lane-1, lane-2, … ─ votes ─┘    └→ rollouts → outputs
control_log → policies ───┴────────────────────↑
model_log → admission ── decisions ────────────┘
"""

from __future__ import annotations

from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from modelserving.flink import batching, dataflow, rows, tables
from modelserving.flink.admission import model_key
from modelserving.flink.keying import keyed_by_first, take_for, with_pulse
from modelserving.flink.options import SpeculativeOptions
from modelserving.flink.speculative.assembly import pulse_s
from modelserving.flink.speculative.collector import CollectFunction
from modelserving.flink.speculative.lanes import LOOK_EVERY_MS, LaneFunction
from modelserving.flink.speculative.policies import PolicyFunction, control_key
from modelserving.flink.speculative.rollouts import RolloutFunction
from modelserving.flink.speculative.starter import StartFunction
from modelserving.flink.state import models_descriptor, policies_descriptor
from modelserving.flink.timers import keep_timers
from modelserving.flink.uids import set_uids


def build(stream: StreamExecutionEnvironment, table: StreamTableEnvironment, options: SpeculativeOptions) -> None:
    """Add the job to `stream`, ready to execute, every operator with a uid."""
    dataflow.declare(table, options)
    table.execute_sql(tables.control_table(options))
    decisions, messages = dataflow.admission(table, options, model_key)
    control = _named(
        dataflow.single_log(table, "control_log", control_key).process(
            PolicyFunction(options), output_type=rows.addressed_type()
        ),
        "policies",
    )
    policies = take_for(control, "policy", "policies", rows.keyed_type())
    started = _named(
        batching.batches(table, options)
        .rebalance()
        .connect(policies.broadcast(policies_descriptor()))
        .process(StartFunction(options), output_type=rows.addressed_type()),
        "starter",
    )
    lanes = [_lane(started, decisions.union(policies), options, lane) for lane in range(options.lanes)]
    votes = [take_for(lane, "vote", _lane_name(number), rows.keyed_type()) for number, lane in enumerate(lanes)]
    requests = take_for(started, "opening", "starter", rows.keyed_type())
    collected = _named(
        keyed_by_first(requests, rows.BYTES)
        .connect(keyed_by_first(votes[0].union(*votes[1:]), rows.BYTES))
        .process(CollectFunction(options), output_type=rows.addressed_type()),
        "collector",
    )
    samples = take_for(collected, "rollout", "collector", rows.keyed_type())
    rollouts = _named(
        keyed_by_first(samples, rows.BYTES).process(RolloutFunction(options), output_type=rows.outgoing_type()),
        "rollouts",
    )
    emitting = {"policies": control, "starter": started, "collector": collected}
    emitting |= {_lane_name(number): lane for number, lane in enumerate(lanes)}
    told = [take_for(each, rows.OUT, owner, rows.outgoing_type()) for owner, each in emitting.items()]
    outgoing = messages.union(*told, rollouts)
    dataflow.write(table, outgoing, dataflow.statistics(table, outgoing, options))
    transformations = stream._j_stream_execution_environment.getTransformations()
    set_uids(transformations)
    keep_timers(transformations)


def _lane(started: DataStream, told: DataStream, options: SpeculativeOptions, number: int) -> DataStream:
    """A lane; `told`: decisions and policies."""
    name = _lane_name(number)
    tasks = take_for(started, name, "starter", rows.keyed_type())
    for_ms = int(pulse_s(options) * 1000)
    lane = (
        with_pulse(tasks, LOOK_EVERY_MS, for_ms, name, rows.keyed_type())
        .set_parallelism(options.lane_parallelism)
        .connect(told.broadcast(models_descriptor(), policies_descriptor()))
        .process(LaneFunction(options, number), output_type=rows.addressed_type())
    )
    return _named(lane, name).set_parallelism(options.lane_parallelism)


def _lane_name(number: int) -> str:
    return f"lane-{number + 1}"


def _named(stream: DataStream, name: str) -> DataStream:
    return stream.name(name).uid(name)

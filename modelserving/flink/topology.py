"""The dataflow of the serving job.

record_log → batches ─┬─ keyed: decode, key by data type ─┐
                      └─ partitioned: rebalance ──────────┴→ join ─┬───────────────→ outputs
model_log → admission (keyed by data type) ── decisions ──────┘    └→ statistics ──────┘
                 └─ rejected models, events → outputs
"""

from __future__ import annotations

from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from modelserving.flink import batching, dataflow, rows
from modelserving.flink.admission import data_type_key
from modelserving.flink.broadcast_host import BroadcastHost
from modelserving.flink.keyed import DecodeFunction, KeyedJoin, undecodable_records_tag
from modelserving.flink.keying import keyed_by_first
from modelserving.flink.options import JobOptions
from modelserving.flink.partitioned import PartitionedJoin
from modelserving.flink.state import models_descriptor
from modelserving.flink.timers import keep_timers
from modelserving.flink.uids import set_uids


def build(stream: StreamExecutionEnvironment, table: StreamTableEnvironment, options: JobOptions) -> None:
    """Add the job to `stream`, ready to execute, every operator with a uid."""
    dataflow.declare(table, options)
    decisions, messages = dataflow.admission(table, options, data_type_key)
    batches = batching.with_windows(batching.batches(table, options), stream, table, options)
    join = _keyed_join if options.join == "keyed" else _partitioned_join
    outgoing = messages.union(*join(batches, decisions, options))
    dataflow.write(table, outgoing, dataflow.statistics(table, outgoing, options))
    transformations = stream._j_stream_execution_environment.getTransformations()
    set_uids(transformations)
    keep_timers(transformations)


def _keyed_join(batches: DataStream, decisions: DataStream, options: JobOptions) -> list[DataStream]:
    decoded = batches.process(DecodeFunction(options), output_type=rows.batch_type()).name("decode").uid("decode")
    undecodable = decoded.get_side_output(undecodable_records_tag())
    joined = (
        keyed_by_first(decoded, rows.BYTES)
        .connect(keyed_by_first(decisions, rows.BYTES))
        .process(KeyedJoin(options), output_type=rows.outgoing_type())
        .name("keyed-join")
        .uid("keyed-join")
    )
    return [joined, undecodable.name("undecodable-records").uid("undecodable-records")]


def _partitioned_join(batches: DataStream, decisions: DataStream, options: JobOptions) -> list[DataStream]:
    joined = (
        batches.rebalance()
        .connect(decisions.broadcast(models_descriptor()))
        .process(BroadcastHost(PartitionedJoin(options)), output_type=rows.outgoing_type())
        .name("partitioned-join")
        .uid("partitioned-join")
    )
    return [joined]

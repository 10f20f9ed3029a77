"""The dataflow of the serving job.

record_log → batches ─┬─ keyed: decode, key by data type ─┐
                      └─ partitioned: rebalance ──────────┴→ join ─┬───────────────→ outputs
model_log → admission (keyed by data type) ── decisions ──────┘    └→ statistics ──────┘
                 └─ rejected models, events → outputs
"""

from __future__ import annotations

from pyflink.common import Types
from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from modelserving.flink import rows, tables
from modelserving.flink.admission import AdmissionFunction, admission_messages_tag, key_of
from modelserving.flink.broadcast_host import BroadcastHost
from modelserving.flink.buckets import bucket_sql, spread
from modelserving.flink.keyed import DecodeFunction, KeyedJoin, undecodable_records_tag
from modelserving.flink.keying import keyed_by_first
from modelserving.flink.options import JobOptions
from modelserving.flink.partitioned import PartitionedJoin
from modelserving.flink.state import models_descriptor
from modelserving.flink.statistics import GATHERED_S, StatisticsFunction, bucket_of
from modelserving.flink.uids import set_uids

_FUNCTIONS = {
    "pack_records": "modelserving.functions.PackRecords",
    "unpack_messages": "modelserving.functions.UnpackMessages",
}
"""SQL functions, in Java: `jars/src/`."""


def build(stream: StreamExecutionEnvironment, table: StreamTableEnvironment, options: JobOptions) -> None:
    """Add the job to `stream`, ready to execute, every operator with a uid."""
    for statement in (tables.records_table(options), tables.models_table(options), tables.outputs_table(options)):
        table.execute_sql(statement)
    for name, java_class in _FUNCTIONS.items():
        table.create_java_temporary_function(name, java_class)
    decisions, messages = _admission(table, options)
    batches = _batches(stream, table, options)
    join = _keyed_join if options.join == "keyed" else _partitioned_join
    outgoing = messages.union(*join(batches, decisions, options))
    _write(table, outgoing, _statistics(table, outgoing, options))
    set_uids(stream._j_stream_execution_environment.getTransformations())


def _batches(stream: StreamExecutionEnvironment, table: StreamTableEnvironment, options: JobOptions) -> DataStream:
    """Raw batches: the JVM gathers the records of a few milliseconds into arrays, so that Python sees no single one."""
    bucket = bucket_sql("log_partition", spread(stream.get_parallelism(), stream.get_max_parallelism()))
    interval = f"INTERVAL '{options.batch_interval_ms / 1000:.3f}' SECOND"
    columns = ("record_key", "record_value", "log_partition", "log_offset", tables.epoch_ms("log_timestamp"))
    query = f"""
        SELECT pack_records({", ".join(f"ARRAY_AGG({column})" for column in columns)})
        FROM TABLE(TUMBLE(TABLE record_log, DESCRIPTOR(processing_time), {interval}))
        GROUP BY {bucket}, window_start, window_end
    """  # noqa: S608 - nothing of it comes from outside
    return table.to_data_stream(table.sql_query(query))


def _admission(table: StreamTableEnvironment, options: JobOptions) -> tuple[DataStream, DataStream]:
    """Decisions, and what goes to `rejected-models` and `model-events`."""
    query = f"SELECT record_value, log_offset, {tables.epoch_ms('log_timestamp')} FROM model_log"  # noqa: S608
    models = table.to_data_stream(table.sql_query(query)).key_by(key_of, key_type=Types.STRING())
    _in_one_subtask(models)
    decisions = (
        models.process(AdmissionFunction(options), output_type=rows.decision_type()).name("admission").uid("admission")
    )
    messages = decisions.get_side_output(admission_messages_tag())
    return decisions, messages.name("admission-messages").uid("admission-messages")


def _in_one_subtask(stream: DataStream) -> None:
    """Run all that leads to `stream` in one subtask: between one and several, messages overtake each other."""
    transformations = [stream._j_data_stream.getTransformation()]
    while transformations:
        transformation = transformations.pop()
        transformation.setParallelism(1)
        transformations.extend(transformation.getInputs())


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


def _statistics(table: StreamTableEnvironment, outgoing: DataStream, options: JobOptions) -> DataStream:
    """Totals, of the deltas among what the joins emit.

    The JVM picks the deltas out and gathers those of a second: as a side output of the joins each of them would cross
    into Python for itself, twice.
    """
    table.create_temporary_view("emitted", table.from_data_stream(outgoing))
    table.execute_sql(f"""
        CREATE TEMPORARY VIEW stats_deltas AS
        SELECT record_key, record_value, PROCTIME() AS processing_time
        FROM emitted, LATERAL TABLE(unpack_messages(messages)) WHERE topic = '{rows.STATS_DELTAS}'
    """)  # noqa: S608 - nothing of it comes from outside
    gathered = table.to_data_stream(
        table.sql_query(f"""
        SELECT CAST(record_key AS STRING), ARRAY_AGG(record_value)
        FROM TABLE(TUMBLE(TABLE stats_deltas, DESCRIPTOR(processing_time), INTERVAL '{GATHERED_S}' SECOND))
        GROUP BY record_key, window_start, window_end
    """)  # noqa: S608
    )
    set_uids([gathered._j_data_stream.getTransformation()], after_union="statistics")
    keyed = gathered.key_by(bucket_of, key_type=Types.STRING())
    return (
        keyed.process(StatisticsFunction(options), output_type=rows.outgoing_type())
        .name("statistics")
        .uid("statistics")
    )


def _write(table: StreamTableEnvironment, outgoing: DataStream, statistics: DataStream) -> None:
    """Unnest the arrays in the JVM and write each message to its topic."""
    table.create_temporary_view("outgoing", table.from_data_stream(outgoing.union(statistics)))
    statements = table.create_statement_set()
    statements.add_insert_sql(f"""
        INSERT INTO outputs
        SELECT topic, record_key, record_value FROM outgoing, LATERAL TABLE(unpack_messages(messages))
        WHERE topic <> '{rows.STATS_DELTAS}'
    """)  # noqa: S608
    statements.attach_as_datastream()

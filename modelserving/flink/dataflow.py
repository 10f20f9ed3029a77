"""The parts of a dataflow that the serving job and the speculative one share."""

from __future__ import annotations

from collections.abc import Callable

from pyflink.common import Row, Types
from pyflink.datastream import DataStream, KeyedStream
from pyflink.table import StreamTableEnvironment

from modelserving.flink import rows, tables
from modelserving.flink.admission import AdmissionFunction, admission_messages_tag
from modelserving.flink.options import JobOptions
from modelserving.flink.statistics import GATHERED_S, StatisticsFunction, bucket_of
from modelserving.flink.uids import set_uids


def declare(table: StreamTableEnvironment, options: JobOptions) -> None:
    """Declare the tables and the SQL function that the other parts use."""
    for statement in (tables.records_table(options), tables.models_table(options), tables.outputs_table(options)):
        table.execute_sql(statement)
    # In Java: `jars/src/`.
    table.create_java_temporary_function("unpack_messages", "modelserving.functions.UnpackMessages")


def admission(
    table: StreamTableEnvironment, options: JobOptions, key: Callable[[Row], str]
) -> tuple[DataStream, DataStream]:
    """Decisions, and what goes to `rejected-models` and `model-events`.

    Args:
        table: with the tables declared.
        options: the job's.
        key: of a row of the model log: what is judged apart from all else.
    """
    models = single_log(table, "model_log", key)
    decisions = (
        models.process(AdmissionFunction(options), output_type=rows.decision_type()).name("admission").uid("admission")
    )
    messages = decisions.get_side_output(admission_messages_tag())
    return decisions, messages.name("admission-messages").uid("admission-messages")


def single_log(table: StreamTableEnvironment, name: str, key: Callable[[Row], str]) -> KeyedStream:
    """The rows of a log of one partition (value, offset, timestamp), keyed; the order of a key is that of the log."""
    query = f"SELECT record_value, log_offset, {tables.epoch_ms('log_timestamp')} FROM {name}"  # noqa: S608
    keyed = table.to_data_stream(table.sql_query(query)).key_by(key, key_type=Types.STRING())
    _in_one_subtask(keyed)
    return keyed


def statistics(table: StreamTableEnvironment, outgoing: DataStream, options: JobOptions) -> DataStream:
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


def write(table: StreamTableEnvironment, outgoing: DataStream, statistics: DataStream) -> None:
    """Unnest the arrays in the JVM and write each message to its topic."""
    table.create_temporary_view("outgoing", table.from_data_stream(outgoing.union(statistics)))
    statements = table.create_statement_set()
    statements.add_insert_sql(f"""
        INSERT INTO outputs
        SELECT topic, record_key, record_value FROM outgoing, LATERAL TABLE(unpack_messages(messages))
        WHERE topic <> '{rows.STATS_DELTAS}'
    """)  # noqa: S608
    statements.attach_as_datastream()


def _in_one_subtask(stream: DataStream) -> None:
    """Run all that leads to `stream` in one subtask: between one and several, messages overtake each other."""
    transformations = [stream._j_data_stream.getTransformation()]
    while transformations:
        transformation = transformations.pop()
        transformation.setParallelism(1)
        transformations.extend(transformation.getInputs())

"""Raw batches: the JVM gathers the records of a few milliseconds, so that Python sees no single one."""

from __future__ import annotations

from typing import Any

from pyflink.datastream import DataStream, StreamExecutionEnvironment
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment

from modelserving.flink.buckets import bucket_sql, spread
from modelserving.flink.options import JobOptions
from modelserving.flink.tables import epoch_ms

_COLUMNS = ("record_key", "record_value", "log_partition", "log_offset")
_WINDOW_UID = "record_log/calc-windowaggregate"


def batches(table: StreamTableEnvironment, options: JobOptions) -> DataStream:
    """Batches of `record_log`, each as `packing.unpack_records` takes it, uid `batch`.

    They are made in the task of the source: no record passes between tasks by itself.
    """
    jvm = get_gateway().jvm
    query = table.sql_query(f"SELECT {', '.join(_COLUMNS)}, log_timestamp FROM record_log")._j_table  # noqa: S608
    # The planner's own rows: each would be converted to others.
    row_data = jvm.java.lang.Class.forName("org.apache.flink.table.data.RowData")
    records = table._j_tenv.toDataStream(query, query.getResolvedSchema().toSourceRowDataType().bridgedTo(row_data))
    bytes_type = jvm.org.apache.flink.table.runtime.typeutils.ExternalTypeInfo.of(_bytes())
    batch = jvm.modelserving.functions.BatchRecords(options.batch_interval_ms)
    return DataStream(records.transform("batch", bytes_type, batch).uid("batch"))


def with_windows(
    batched: DataStream, stream: StreamExecutionEnvironment, table: StreamTableEnvironment, options: JobOptions
) -> DataStream:
    """`batched`, which `batches` made, and what SQL windows gathered.

    Up to release 0.2 those made the batches, and a savepoint holds what was in an open one. No more records come there.
    """
    jvm = get_gateway().jvm
    (records,) = batched._j_data_stream.getTransformation().getInputs()
    no_records = jvm.org.apache.flink.util.OutputTag("no-records", records.getOutputType())
    log = table._j_tenv.fromDataStream(batched._j_data_stream.getSideOutput(no_records))
    table._j_tenv.createTemporaryView("windowed_log", log)
    table.create_java_temporary_function("pack_records", "modelserving.functions.PackRecords")
    bucket = bucket_sql("log_partition", spread(stream.get_parallelism(), stream.get_max_parallelism()))
    columns = (*_COLUMNS, epoch_ms("log_timestamp"))
    query = f"""
        SELECT pack_records({", ".join(f"ARRAY_AGG({column})" for column in columns)})
        FROM TABLE(TUMBLE(
            (SELECT *, PROCTIME() AS processing_time FROM windowed_log),
            DESCRIPTOR(processing_time),
            INTERVAL '{options.batch_interval_ms / 1000:.3f}' SECOND
        ))
        GROUP BY {bucket}, window_start, window_end
    """  # noqa: S608 - nothing of it comes from outside
    gathered = table._j_tenv.toDataStream(table.sql_query(query)._j_table, _bytes())
    window = gathered.getTransformation()
    while not window.getName().startswith("WindowAggregate"):
        (window,) = window.getInputs()
    window.setUid(_WINDOW_UID)
    window.setName("restored-windows")
    return batched.union(DataStream(gathered))


def _bytes() -> Any:
    return get_gateway().jvm.org.apache.flink.table.api.DataTypes.BYTES()

"""Buckets: values to group records by, chosen so that they spread over all subtasks."""

from __future__ import annotations

from pyflink.java_gateway import get_gateway


def spread(parallelism: int, max_parallelism: int) -> tuple[int, ...]:
    """One bucket number for each subtask, such that SQL's GROUP BY sends bucket i to subtask i.

    Plain numbers 0, 1, 2 … do not do: partitions 0 to 3 at parallelism 2 all hash to one subtask.
    """
    jvm = get_gateway().jvm
    assign = jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment.assignKeyToParallelOperator
    row_class = jvm.org.apache.flink.table.data.binary.BinaryRowData
    size = row_class.calculateFixPartSizeInBytes(1)
    buckets: dict[int, int] = {}
    number = 0
    while len(buckets) < parallelism:
        row = row_class(1)
        row.pointTo(jvm.org.apache.flink.core.memory.MemorySegmentFactory.wrap(bytes(size)), 0, size)
        row.setInt(0, number)
        buckets.setdefault(assign(row, max_parallelism, parallelism), number)
        number += 1
    return tuple(buckets[subtask] for subtask in range(parallelism))


def bucket_sql(partition_column: str, buckets: tuple[int, ...]) -> str:
    """SQL for the bucket of a partition: whole partitions stay together, so that their order is kept.

    The same form for one bucket as for many: a constant would be planned away, and the window's state with it.
    """
    cases = " ".join(f"WHEN {index} THEN {bucket}" for index, bucket in enumerate(buckets))
    return f"CASE MOD({partition_column}, {len(buckets)}) {cases} END"

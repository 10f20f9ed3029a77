"""The SQL functions in Java against the Python side of their layouts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import pytest

from modelserving.local.jars import jars_folder
from modelserving.outgoing import Outgoing
from modelserving.packing import pack_messages, unpack_records
from tests.jvm import flink_home, jvm

KEYS = [b"a", None, b"", b"key", None, b"k", b"kk", b"kkk", b"last"]
VALUES = [b"one", b"", None, b"\xff\x00", b"12345678", b"v", b"vv", None, b"end"]
ROWS = len(KEYS)


@pytest.fixture(scope="module")
def gateway(flink_ready: None) -> Iterator[Any]:  # noqa: ARG001
    """To a JVM with the jars of a job on its class path."""
    with jvm(flink_home() / "lib", jars_folder("flink")) as started:
        yield started


def array(gateway: Any, values: list[Any]) -> Any:
    """The values as a table's array."""
    objects = gateway.new_array(gateway.jvm.Object, len(values))
    for place, value in enumerate(values):
        objects[place] = value
    return gateway.jvm.org.apache.flink.table.data.GenericArrayData(objects)


@pytest.mark.parametrize("rows", [0, 1, 7, 8, ROWS, 3000])
def test_pack_records(gateway: Any, rows: int) -> None:
    keys, values = (list(islice(cycle(each), rows)) for each in (KEYS, VALUES))
    # Py4J makes a Long only of what is too large for an Integer.
    offsets = [2**40 + row for row in range(rows)]
    packed = gateway.jvm.modelserving.functions.PackRecords().eval(
        array(gateway, keys),
        array(gateway, values),
        array(gateway, [3] * rows),
        array(gateway, offsets),
        array(gateway, [1_650_000_000_000] * rows),
    )
    batch = unpack_records(bytes(packed))
    batch.validate(full=True)
    columns = [keys, values, [3] * rows, offsets, [1_650_000_000_000] * rows]
    assert [column.to_pylist() for column in batch.columns] == columns


@pytest.mark.parametrize("prefix", [b"", b"same for all"])
@pytest.mark.parametrize("rows", [0, 1, ROWS])
def test_unpack_messages(gateway: Any, rows: int, prefix: bytes) -> None:
    values = [None if value is None else prefix + value for value in VALUES]
    messages = list(zip(KEYS, values, strict=True))[:rows]
    whole = Outgoing.of("results", KEYS, VALUES)
    packed = pack_messages(Outgoing("results", whole.keys[:rows], whole.values[:rows], prefix))
    collected = gateway.jvm.java.util.ArrayList()
    function = gateway.jvm.modelserving.functions.UnpackMessages()
    function.setCollector(gateway.jvm.org.apache.flink.api.common.functions.util.ListCollector(collected))
    function.eval(packed)
    unpacked = [tuple(None if row.isNullAt(at) else bytes(row.getBinary(at)) for at in (0, 1)) for row in collected]
    assert unpacked == messages


def test_take_for(gateway: Any) -> None:
    rows = gateway.jvm.org.apache.flink.types.Row
    collected = gateway.jvm.java.util.ArrayList()
    taken = gateway.jvm.org.apache.flink.api.common.functions.util.ListCollector(collected)
    function = gateway.jvm.modelserving.functions.TakeFor("lane-1")
    for target, key in (("lane-1", "a"), ("lane-10", "b"), ("", "c"), ("lane-1", "d")):
        row = rows.withPositions(3)
        for place, value in enumerate((target, key, b"value")):
            row.setField(place, value)
        function.flatMap(row, taken)
    assert [(row.getArity(), row.getField(0), bytes(row.getField(1))) for row in collected] == [
        (2, "a", b"value"),
        (2, "d", b"value"),
    ]

"""What is done with a stream in the JVM, between two Python functions."""

from __future__ import annotations

from typing import Any

from pyflink.common import Types
from pyflink.datastream import DataStream, KeyedStream
from pyflink.java_gateway import get_gateway


def keyed_by_first(stream: DataStream, value_type: Any) -> KeyedStream:
    """Key rows of (text key, value) by their key; functions on the keyed stream get the values.

    `DataStream.key_by` makes such rows itself, in a Python operator of its own: another crossing for each batch.
    """
    selector = get_gateway().jvm.KeyByKeySelector()
    key_type = Types.ROW([Types.STRING()]).get_java_type_info()
    return KeyedStream(stream._j_data_stream.keyBy(selector, key_type), value_type, stream)


def take_for(stream: DataStream, target: str, owner: str, row_type: Any) -> DataStream:
    """Of rows (target, key, value), those for one target, as rows (key, value); it is done in the JVM.

    Args:
        stream: of the rows.
        target: whose rows are taken.
        owner: the uid of the operator that emits them.
        row_type: of the rows that come out.
    """
    function = get_gateway().jvm.modelserving.functions.TakeFor(target)
    taken = DataStream(stream._j_data_stream.flatMap(function, row_type.get_java_type_info()))
    name = f"{owner}-for-{target}"
    return taken.name(name).uid(name)


def with_pulse(stream: DataStream, every_ms: int, for_ms: int, owner: str, row_type: Any) -> DataStream:
    """Rows (key, value), spread evenly over the instances of what follows, and others that have those look around.

    Such a row has an empty key, and as value the UDP port at which one more can be asked for (`Pulse.java`).

    Args:
        stream: of the rows.
        every_ms: so close do they follow, without being asked for.
        for_ms: for so long after the last row.
        owner: the uid of the operator that needs the clock.
        row_type: of the rows.
    """
    operator = get_gateway().jvm.modelserving.functions.Pulse(every_ms, for_ms)
    name = f"{owner}-pulse"
    pulsed = stream.rebalance()._j_data_stream.transform(name, row_type.get_java_type_info(), operator)
    return DataStream(pulsed).name(name).uid(name)

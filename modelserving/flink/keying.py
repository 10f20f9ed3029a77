"""Keying a stream by a key that its elements carry already."""

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

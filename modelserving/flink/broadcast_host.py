"""Runs a `CoFlatMapFunction` over broadcast state.

PyFlink gives a plain CoFlatMapFunction no checkpointed state. This host is the only place that knows the difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pyflink.datastream import BroadcastProcessFunction, RuntimeContext

from modelserving.flink.state import MapModelStore, models_descriptor


class BroadcastHost(BroadcastProcessFunction):
    """Hands the data stream to `flat_map1`, the broadcast one to `flat_map2`, and the state to both.

    Args:
        function: a CoFlatMapFunction with an attribute `store`, set before each call; only in `flat_map2` it can be
            written, and every parallel instance must then write the same.
    """

    def __init__(self, function: Any) -> None:
        self._function = function

    def open(self, runtime_context: RuntimeContext) -> None:
        self._descriptor = models_descriptor()
        self._function.open(runtime_context)

    def process_element(self, value: Any, ctx: BroadcastProcessFunction.ReadOnlyContext) -> Iterator[Any]:
        self._function.store = MapModelStore(ctx.get_broadcast_state(self._descriptor))
        yield from self._function.flat_map1(value)

    def process_broadcast_element(self, value: Any, ctx: BroadcastProcessFunction.Context) -> Iterator[Any]:
        self._function.store = MapModelStore(ctx.get_broadcast_state(self._descriptor))
        yield from self._function.flat_map2(value)

    def close(self) -> None:
        self._function.close()

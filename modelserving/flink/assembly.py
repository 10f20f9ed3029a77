"""Puts the core's parts together inside a worker, from the options that travelled with the job."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

from pyflink.datastream import RuntimeContext

from modelserving.admission import Admission
from modelserving.data_types import DataTypes
from modelserving.flink.options import JobOptions
from modelserving.flink.worker import prepare, share_lock_soon
from modelserving.gate import load_warm
from modelserving.join import Join
from modelserving.loading_process import LoadingProcess, is_large
from modelserving.manager import ServableManager
from modelserving.model_history import NewestModel
from modelserving.model_log import Key, by_data_type, message_at, newest_models_once
from modelserving.sandbox import Sandbox
from modelserving.servable import Servable
from modelserving.wire.state_pb2 import AdmittedModel


def clock_us() -> int:
    """Epoch microseconds."""
    return time.time_ns() // 1000


def clock_ms() -> int:
    """Epoch milliseconds."""
    return clock_us() // 1000


def sandbox(options: JobOptions) -> Sandbox:
    """Where models are tried; to be closed."""
    prepare()
    return Sandbox(options.data_types, options.sources, options.gate_limits)


def admission(options: JobOptions, gate: Sandbox) -> Admission:
    """The judge of models."""
    servers, topic = options.bootstrap_servers, options.topics.models
    return Admission(options.data_types, gate, lambda offset: message_at(servers, topic, offset), clock_ms)


def join(options: JobOptions, context: RuntimeContext) -> Join:
    """The join, for one parallel instance."""
    prepare()
    share_lock_soon()
    load = _loading(options.data_types, options.manager_limits.load_s)
    return Join(
        topics=options.topics,
        instance=instance(f"{options.join}-join", context),
        manager=lambda on_event: ServableManager(load, options.manager_limits, on_event),
        model_log=lambda: newest_models(options, by_data_type),
        clock_us=clock_us,
    )


def instance(operator: str, context: RuntimeContext) -> str:
    """The name of a parallel instance of an operator, in events."""
    return f"{operator} {context.get_index_of_this_subtask() + 1}/{context.get_number_of_parallel_subtasks()}"


def newest_models(options: JobOptions, key: Key) -> dict[str, NewestModel]:
    """What the model log says now; it is read, and models are tried, once for the process."""
    gate = sandbox(options)
    try:
        return newest_models_once(options.bootstrap_servers, options.topics.models, admission(options, gate), key)
    finally:
        gate.close()


def _loading(data_types: DataTypes, limit_s: float) -> Callable[[AdmittedModel], Servable]:
    known: set[int] = set()
    beside = LoadingProcess(limit_s)

    def load(admitted: AdmittedModel) -> Servable:
        descriptor, engine = admitted.descriptor, admitted.engine
        data_type = data_types[descriptor.dataType]
        if is_large(descriptor, engine):
            return beside.load(descriptor, data_type, engine)
        servable = load_warm(descriptor, data_type, engine)
        if descriptor.modeltype not in known:
            known.add(descriptor.modeltype)
            # The modules that a runtime brought stay: from now on no collection looks at them.
            gc.collect()
            gc.freeze()
        return servable

    return load

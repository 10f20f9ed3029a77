"""Puts the parts of speculative serving together inside a worker, from the options that travelled with the job."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from pyflink.datastream import RuntimeContext

from modelserving.flink.assembly import clock_us, instance
from modelserving.flink.options import SpeculativeOptions
from modelserving.gate import load_admitted
from modelserving.speculative.collecting import Collector
from modelserving.speculative.control_log import newest_policies_once
from modelserving.speculative.deciders import load_deciders
from modelserving.speculative.lane_models import LaneModel, MadeInThread
from modelserving.speculative.lane_pool import LanePool
from modelserving.speculative.model_process import InProcess
from modelserving.speculative.policies import Policies
from modelserving.speculative.policy import LONGEST_TIMEOUT_MS
from modelserving.wire.speculative_pb2 import HeldPolicy
from modelserving.wire.state_pb2 import AdmittedModel

_WORD_S = 5.0
"""Word of a lane takes so long to the collector at most."""


def policies(options: SpeculativeOptions) -> Policies:
    """What the job takes policies in by."""
    return Policies(options.data_types.names, options.lanes, load_deciders(options.deciders))


def newest_policies(options: SpeculativeOptions, by: Policies) -> Mapping[str, HeldPolicy]:
    """What the control stream says now."""
    return newest_policies_once(options.bootstrap_servers, options.topics.speculative_control, by)


def lane_pool(
    options: SpeculativeOptions, operator: str, context: RuntimeContext, on_answer: Callable[[], None]
) -> LanePool:
    """The models of one instance of a lane."""

    def make(admitted: AdmittedModel) -> LaneModel:
        data_type = options.data_types[admitted.descriptor.dataType]
        load = partial(load_admitted, admitted.SerializeToString(), data_type)
        if options.models_in == "thread":
            return MadeInThread(load)
        return InProcess(load, start_s=options.manager_limits.load_s)

    return LanePool(
        instance(operator, context), options.topics.models, make, options.lane_limits, clock_us, on_answer=on_answer
    )


def collector(options: SpeculativeOptions) -> Collector:
    """What decides."""
    return Collector(options.topics.records, load_deciders(options.deciders), keep_s(options), clock_us)


def keep_s(options: SpeculativeOptions) -> float:
    """For so long after a deadline votes may come: until a lane has given the model up, and has said so."""
    return options.lane_limits.answer_s + _WORD_S


def pulse_s(options: SpeculativeOptions) -> float:
    """For so long after a task there may be word of it: a task may wait until its deadline."""
    return LONGEST_TIMEOUT_MS / 1000 + keep_s(options)

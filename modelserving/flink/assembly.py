"""Puts the core's parts together inside a worker, from the options that travelled with the job."""

from __future__ import annotations

import time

from modelserving.admission import Admission
from modelserving.flink.options import JobOptions
from modelserving.flink.worker import prepare
from modelserving.join import Join
from modelserving.manager import ServableManager
from modelserving.model_log import newest_models_once


def clock_us() -> int:
    """Epoch microseconds."""
    return time.time_ns() // 1000


def admission(options: JobOptions) -> Admission:
    """The judge of models."""
    prepare()
    return Admission(options.data_types, options.sources, lambda: clock_us() // 1000)


def join(options: JobOptions) -> Join:
    """The join, for one parallel instance."""
    judge = admission(options)
    return Join(
        topic=options.topics.records,
        manager=ServableManager(judge.load),
        model_log=lambda: newest_models_once(options.bootstrap_servers, options.topics.models, judge),
        clock_us=clock_us,
    )

"""The serving job with its functions under other names and in another module, as a later release might have them."""

from __future__ import annotations

import runpy
from pathlib import Path

from modelserving.flink import dataflow, topology
from modelserving.flink.admission import AdmissionFunction
from modelserving.flink.broadcast_host import BroadcastHost
from modelserving.flink.keyed import DecodeFunction, KeyedJoin
from modelserving.flink.partitioned import PartitionedJoin

JOB = Path(__file__).resolve().parents[2] / "jobs" / "model_serving.py"


class JudgeOfModels(AdmissionFunction):
    """Admission."""


class SplitByDataType(DecodeFunction):
    """The decoder."""


class OwnerOfDataType(KeyedJoin):
    """The keyed join."""


class HolderOfAllModels(PartitionedJoin):
    """The partitioned join."""


class StateForAll(BroadcastHost):
    """Its host."""


if __name__ == "__main__":
    vars(dataflow).update(AdmissionFunction=JudgeOfModels)
    vars(topology).update(
        DecodeFunction=SplitByDataType,
        KeyedJoin=OwnerOfDataType,
        PartitionedJoin=HolderOfAllModels,
        BroadcastHost=StateForAll,
    )
    runpy.run_path(str(JOB), run_name="__main__")

"""Python imports this at its start: in the job's script, in its workers, in the sandbox, and in models' processes."""

from __future__ import annotations

from modelserving import loader
from modelserving.wire.model_pb2 import ModelType

loader.LOADERS = {ModelType.PMML: "bench.timed_models.timed"}
"""Nothing else can be loaded."""

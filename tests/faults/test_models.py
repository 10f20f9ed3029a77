"""The heavy model is a heavy one."""

from __future__ import annotations

from modelserving.runtimes.pmml import PmmlServable, load
from modelserving.wire.model_pb2 import ModelDescriptor
from tests.faults.models import heavy_forest
from tests.runtimes.wine import WINE


def test_the_slower_engine_serves_the_heavy_forest() -> None:
    servable = load(ModelDescriptor(name="heavy", data=heavy_forest()), WINE)
    assert servable.engine == PmmlServable.engine
    servable.close()

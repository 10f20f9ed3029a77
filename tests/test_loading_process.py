"""Models loaded in a process beside: what comes back is what would have been loaded here."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import fields

import numpy as np
import psutil
import pyarrow as pa
import pytest

from modelserving.configuration import load_data_types
from modelserving.errors import ModelRejected, ModelServingError
from modelserving.gate import load_warm
from modelserving.loading_process import LARGE_BYTES, MOST_LOADS, LoadingProcess, is_large
from modelserving.processes import NICENESS
from modelserving.runtimes.pmml_vectorised import VectorisedServable
from modelserving.servable import Scores
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import Engine
from tests.flink.messages import EXAMPLE_MODELS as EXAMPLES

WINE = load_data_types()["wine"]
VECTORISED = Engine(name=VectorisedServable.engine)
RECORDS = pa.RecordBatch.from_pydict(
    {
        name: [None if row == column else float(value) for row, value in enumerate(values)]
        for column, (name, values) in enumerate(
            zip(WINE.feature_names, np.random.default_rng(1).uniform(0, 12, (len(WINE.feature_names), 50)), strict=True)
        )
    }
)


@pytest.fixture
def process() -> Iterator[LoadingProcess]:
    yield LoadingProcess(limit_s=60.0)
    for child in loaders():
        child.kill()
        child.wait()


def loaders() -> list[psutil.Process]:
    return [each for each in psutil.Process().children() if "modelserving.loading_process" in " ".join(each.cmdline())]


def pmml(data: bytes) -> ModelDescriptor:
    return ModelDescriptor(name="m", dataType="wine", modeltype=ModelType.PMML, data=data)


def same(one: Scores, other: Scores) -> bool:
    pairs = ((getattr(one, each.name), getattr(other, each.name)) for each in fields(Scores))
    return all(
        np.array_equal(mine, its, equal_nan=mine.dtype.kind == "f") if isinstance(mine, np.ndarray) else mine == its
        for mine, its in pairs
    )


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.pmml")), ids=lambda path: path.stem)
def test_it_scores_as_one_that_was_loaded_here(path: os.PathLike[str], process: LoadingProcess) -> None:
    with open(path, "rb") as file:
        model = pmml(file.read())
    beside, here = process.load(model, WINE, VECTORISED), load_warm(model, WINE, VECTORISED)
    assert beside.engine == here.engine == VectorisedServable.engine
    assert same(beside.score(RECORDS), here.score(RECORDS))


def test_the_process_stands_back_and_is_used_again(process: LoadingProcess) -> None:
    model = pmml((EXAMPLES / "tree.pmml").read_bytes())
    process.load(model, WINE, VECTORISED)
    (before,) = loaders()
    process.load(model, WINE, VECTORISED)
    assert [(each.pid, each.nice()) for each in loaders()] == [(before.pid, max(NICENESS, psutil.Process().nice()))]


def test_a_model_that_cannot_be_loaded_is_refused_with_its_reason(process: LoadingProcess) -> None:
    with pytest.raises(ModelRejected, match="not well-formed") as fault:
        process.load(pmml(b"no document"), WINE, VECTORISED)
    assert fault.value.reason == Reason.UNLOADABLE


def test_one_that_was_killed_while_it_was_idle_is_replaced(process: LoadingProcess) -> None:
    model = pmml((EXAMPLES / "tree.pmml").read_bytes())
    process.load(model, WINE, VECTORISED)
    (before,) = loaders()
    before.send_signal(signal.SIGKILL)
    assert process.load(model, WINE, VECTORISED).engine == VectorisedServable.engine
    assert [each.pid for each in loaders()] != [before.pid]


def test_another_takes_its_place_after_many_loads(process: LoadingProcess) -> None:
    model = pmml((EXAMPLES / "tree.pmml").read_bytes())
    pids: set[int] = set()
    for _ in range(MOST_LOADS + 1):
        process.load(model, WINE, VECTORISED)
        pids.update(each.pid for each in loaders() if each.status() != psutil.STATUS_ZOMBIE)
    assert len(pids) == 2


def test_a_load_that_takes_too_long_is_ended() -> None:
    process = LoadingProcess(limit_s=0.01)
    with pytest.raises(ModelServingError, match=r"not loaded within 0\.01 s"):
        process.load(pmml((EXAMPLES / "tree.pmml").read_bytes()), WINE, VECTORISED)
    assert not loaders()


def test_a_long_chain_of_derived_fields(process: LoadingProcess) -> None:
    fields = "".join(
        f'<DerivedField name="d{number}" optype="continuous" dataType="double"><Apply function="+">'
        f'<FieldRef field="{f"d{number - 1}" if number else "alcohol"}"/><Constant>1</Constant></Apply></DerivedField>'
        for number in range(150)
    )
    text = (
        (EXAMPLES / "linear.pmml")
        .read_text()
        .replace(
            "</DataDictionary>", f"</DataDictionary><TransformationDictionary>{fields}</TransformationDictionary>", 1
        )
    )
    model = pmml(text.replace('<NumericPredictor name="alcohol"', '<NumericPredictor name="d149"', 1).encode())
    beside, here = process.load(model, WINE, VECTORISED), load_warm(model, WINE, VECTORISED)
    assert here.engine == VectorisedServable.engine
    assert same(beside.score(RECORDS), here.score(RECORDS))
    assert loaders()


def test_small_documents_and_those_of_another_engine_are_loaded_here() -> None:
    large = pmml(b" " * LARGE_BYTES)
    assert is_large(large, VECTORISED)
    assert not is_large(pmml(b" " * (LARGE_BYTES - 1)), VECTORISED)
    assert not is_large(large, Engine(name="PMML4S"))
    large.modeltype = ModelType.TENSORFLOW
    assert not is_large(large, VECTORISED)

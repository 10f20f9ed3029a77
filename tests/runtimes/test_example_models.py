"""The example's models answer as scikit-learn and Keras did when they were trained."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from modelserving.loader import load
from modelserving.servable import Servable
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from tests.runtimes.wine import EXAMPLE, WINE, wine_batch

EXPECTED: dict[str, Any] = json.loads((EXAMPLE / "models" / "expected.json").read_text())
KINDS = {".pmml": ModelType.PMML, ".pb": ModelType.TENSORFLOW, ".zip": ModelType.TENSORFLOWSAVED}


def loaded(name: str) -> Servable:
    path = EXAMPLE / "models" / name
    return load(ModelDescriptor(name=name, modeltype=KINDS[path.suffix], data=path.read_bytes()), WINE)


@pytest.mark.parametrize("name", EXPECTED["models"])
def test_answers(name: str) -> None:
    expected = EXPECTED["models"][name]
    servable = loaded(name)
    scores = servable.score(wine_batch(EXPECTED["every"]))
    servable.close()
    assert scores.failures == ()
    if "outputs" in expected:
        assert scores.outputs is not None
        np.testing.assert_allclose(scores.outputs, expected["outputs"], rtol=0, atol=1e-5)
    elif "probabilities" in expected:
        assert list(scores.classes) == [str(value) for value in expected["classes"]]
        assert scores.label_index is not None
        assert [scores.classes[index] for index in scores.label_index] == [str(each) for each in expected["prediction"]]
        assert scores.probabilities is not None
        np.testing.assert_allclose(scores.probabilities, expected["probabilities"], rtol=1e-9, atol=1e-12)
    else:
        assert scores.numbers is not None
        np.testing.assert_allclose(scores.numbers, expected["prediction"], rtol=1e-9)


@pytest.mark.parametrize("name", [name for name in EXPECTED["models"] if name.endswith(".pmml")])
def test_the_bytes_restore_to_an_equal_servable_and_rows_score_alone_as_in_a_batch(name: str) -> None:
    batch = wine_batch(EXPECTED["every"])
    first, second = loaded(name), loaded(name)
    expected = first.score(batch)
    first.close()
    again = second.score(batch)
    alone = [second.score(batch.slice(row, 1)) for row in range(batch.num_rows)]
    second.close()
    for field in ("numbers", "label_index", "probabilities"):
        values = getattr(expected, field)
        if values is None:
            assert getattr(again, field) is None
        else:
            np.testing.assert_array_equal(getattr(again, field), values)
            np.testing.assert_array_equal(np.concatenate([getattr(one, field) for one in alone]), values)


def test_the_smoothed_graph_answers_with_the_mean_over_variations_of_a_record() -> None:
    batch = wine_batch(EXPECTED["every"])
    network, smoothed = loaded("tensorflow.pb"), loaded("smoothed.pb")
    varied = []
    for factor in 1 + 0.02 * np.sin(np.arange(500)):
        columns = [pc.multiply(column, factor) for column in batch.columns]
        outputs = network.score(pa.RecordBatch.from_arrays(columns, schema=batch.schema)).outputs
        assert outputs is not None
        varied.append(outputs)
    answers = smoothed.score(batch).outputs
    network.close()
    smoothed.close()
    assert answers is not None
    np.testing.assert_allclose(answers, np.mean(varied, axis=0), rtol=0, atol=0.01)


def test_the_models_are_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (EXAMPLE / "models").iterdir()}
    assert set(sizes) == {*EXPECTED["models"], "smoothed.pb", "expected.json"}
    assert max(sizes.values()) < 100_000

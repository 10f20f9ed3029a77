"""The TensorFlow runtimes: frozen graphs and SavedModels."""

from __future__ import annotations

import gc
import io
import math
import tempfile
import warnings
import weakref
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from modelserving.archive import pack_folder
from modelserving.data_types import DataType, Feature, FeatureKind
from modelserving.errors import ModelRejected
from modelserving.loader import load
from modelserving.runtimes import tensorflow_matrix
from modelserving.runtimes.tensorflow_matrix import MatrixModel
from modelserving.servable import Scores, feature_matrix
from modelserving.wire.model_pb2 import Answer, ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Reason

PAIR = DataType("pair", (Feature("a"), Feature("b")))
TRIPLE = DataType("triple", (Feature("b"), Feature("word", FeatureKind.STRING), Feature("a")))
WEIGHTS = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 2.0]], dtype=np.float32)


def graph(build: Callable[[], Any]) -> bytes:
    with tf.Graph().as_default() as target:
        build()
        data: bytes = target.as_graph_def().SerializeToString()
        return data


def affine(weights: np.ndarray[Any, Any] = WEIGHTS, width: int | None = 2) -> bytes:
    """x @ weights, with a node of another name in between."""

    def build() -> None:
        x = tf.compat.v1.placeholder(tf.float32, (None, width), name="x")
        tf.identity(tf.matmul(x, tf.constant(weights), name="product"), name="result")

    return graph(build)


GRAPH = affine()
NARROW = affine(np.array([[1.0], [10.0]], dtype=np.float32))


class Net(tf.Module):  # type: ignore[misc]
    """x @ w with one variable; counts how often it is traced."""

    def __init__(self) -> None:
        super().__init__()
        self.w = tf.Variable(WEIGHTS, name="w")
        self.traces = 0

    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, name="x")])  # type: ignore[untyped-decorator]
    def serve(self, x: Any) -> dict[str, Any]:
        self.traces += 1
        return {"y": tf.matmul(x, self.w)}

    @tf.function(input_signature=[tf.TensorSpec((None, 2), tf.float32, name="x")])  # type: ignore[untyped-decorator]
    def two(self, x: Any) -> dict[str, Any]:
        return {"y": tf.matmul(x, self.w), "z": x}


def exported(folder: Path, signatures: tuple[str, ...] = ("serve",), top: str = "") -> bytes:
    net = Net()
    functions = {name: getattr(net, name) for name in signatures}
    tf.saved_model.save(net, str(folder / "model" / top), signatures=functions)
    return pack_folder(folder / "model")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return exported(tmp_path_factory.mktemp("saved"))


@pytest.fixture(scope="module")
def saved_with_two(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return exported(tmp_path_factory.mktemp("saved"), ("serve", "two"), top="1")


def descriptor(data: bytes, kind: ModelType = ModelType.TENSORFLOW, **fields: Any) -> ModelDescriptor:
    return ModelDescriptor(name="sample", dataType="pair", modeltype=kind, data=data, **fields)


def batch(*rows: tuple[float | None, float | None]) -> pa.RecordBatch:
    columns = [pa.array([row[index] for row in rows], pa.float64()) for index in range(2)]
    return pa.RecordBatch.from_arrays(columns, names=["a", "b"])


def outputs(scores: Scores) -> list[list[float]]:
    assert scores.outputs is not None
    rows: list[list[float]] = scores.outputs.tolist()
    return rows


def rejected(model: ModelDescriptor, data_type: DataType = PAIR) -> ModelRejected:
    with pytest.raises(ModelRejected) as caught:
        load(model, data_type)
    return caught.value


def test_graph_with_the_reference_fields_alone() -> None:
    servable = load(descriptor(GRAPH), PAIR)
    assert servable.inputs == ("a", "b")
    scores = servable.score(batch((1.0, 2.0), (5.0, -7.0)))
    assert outputs(scores) == [[1.0, 2.0, 6.0], [5.0, -7.0, -4.0]]
    assert scores.classes == ("0", "1", "2")
    assert scores.label_index is not None
    assert scores.label_index.tolist() == [2, 0]
    assert scores.numbers is None
    assert scores.failures == ()
    assert servable.score(batch()).rows == 0
    servable.close()


def test_a_vector_of_width_one_is_a_number() -> None:
    scores = load(descriptor(NARROW), PAIR).score(batch((1.0, 2.0)))
    assert scores.numbers is not None
    assert scores.numbers.tolist() == [21.0]
    assert scores.outputs is None
    assert scores.label_index is None


@pytest.mark.parametrize(
    ("answer", "number", "label", "vector"),
    [
        pytest.param(Answer.LABEL, None, "z", [1.0, 2.0, 6.0], id="LABEL"),
        pytest.param(Answer.NUMBER, 1.0, None, None, id="NUMBER"),
        pytest.param(Answer.VECTOR, None, None, [1.0, 2.0, 6.0], id="VECTOR"),
        pytest.param(Answer.AUTOMATIC, None, "z", [1.0, 2.0, 6.0], id="AUTOMATIC"),
    ],
)
def test_answers(answer: Answer, number: float | None, label: str | None, vector: list[float] | None) -> None:
    scores = load(descriptor(GRAPH, answer=answer, labels=["x", "y", "z"]), PAIR).score(batch((1.0, 2.0)))
    assert (None if scores.numbers is None else scores.numbers.tolist()) == (None if number is None else [number])
    assert (None if scores.label_index is None else scores.classes[scores.label_index[0]]) == label
    assert (None if scores.outputs is None else outputs(scores)) == (None if vector is None else [vector])


def test_inputs_of_the_descriptor_give_the_order() -> None:
    servable = load(descriptor(GRAPH, inputs=["b", "a"]), TRIPLE)
    assert servable.inputs == ("b", "a")
    assert outputs(servable.score(batch((1.0, 2.0)))) == [[2.0, 1.0, 6.0]]


@pytest.mark.parametrize("name", ["product", "product:0"])
def test_tensors_by_name(name: str) -> None:
    servable = load(descriptor(GRAPH, input_tensor="x", output_tensor=name), PAIR)
    assert outputs(servable.score(batch((1.0, 2.0)))) == [[1.0, 2.0, 6.0]]


def two_placeholders() -> bytes:
    def build() -> None:
        first = tf.compat.v1.placeholder(tf.float32, (None, 2), name="first")
        tf.add(first, tf.compat.v1.placeholder(tf.float32, (None, 2), name="second"))

    return graph(build)


def scalar_output() -> bytes:
    return graph(lambda: tf.reduce_sum(tf.compat.v1.placeholder(tf.float32, (None, 2))))


def product_of_rows() -> bytes:
    def build() -> None:
        x = tf.compat.v1.placeholder(tf.float32, (None, 2))
        tf.matmul(x, x, transpose_b=True)

    return graph(build)


def not_frozen() -> bytes:
    def build() -> None:
        x = tf.compat.v1.placeholder(tf.float32, (None, 2))
        tf.matmul(x, tf.compat.v1.get_variable("w", (2, 2), use_resource=True))

    return graph(build)


PMML = b'<?xml version="1.0"?><PMML version="4.4"/>'


@pytest.mark.parametrize(
    ("model", "data_type", "detail"),
    [
        pytest.param(descriptor(GRAPH, output_tensor="absent"), PAIR, "'absent'", id="without the named output"),
        pytest.param(descriptor(GRAPH, input_tensor="absent"), PAIR, "'absent'", id="without the named input"),
        pytest.param(descriptor(PMML), PAIR, "GraphDef", id="PMML declared as a graph"),
        pytest.param(descriptor(b"\xff" * 100), PAIR, "GraphDef", id="random bytes"),
        pytest.param(descriptor(b""), PAIR, "GraphDef", id="empty"),
        pytest.param(
            descriptor(affine(width=None), inputs=["a"]), PAIR, "fails", id="too few features, found by running"
        ),
        pytest.param(descriptor(GRAPH, inputs=["a"]), PAIR, "2 wide", id="too few features"),
        pytest.param(descriptor(GRAPH, inputs=["a", "c"]), PAIR, "'c'", id="feature that the data type lacks"),
        pytest.param(descriptor(GRAPH), TRIPLE, "'word' is a string", id="string feature"),
        pytest.param(descriptor(two_placeholders()), PAIR, "first, second", id="two placeholders"),
        pytest.param(descriptor(not_frozen()), PAIR, "", id="variables not frozen"),
    ],
)
def test_unloadable_graphs(model: ModelDescriptor, data_type: DataType, detail: str) -> None:
    error = rejected(model, data_type)
    assert error.reason == Reason.UNLOADABLE
    assert detail in error.detail


@pytest.mark.parametrize(
    ("model", "detail"),
    [
        pytest.param(descriptor(GRAPH, labels=["x"]), "1 labels", id="too few labels"),
        pytest.param(descriptor(scalar_output()), "shape ()", id="no vector for each row"),
        pytest.param(descriptor(product_of_rows()), "1 wide for one row, 3 for three", id="as wide as there are rows"),
    ],
)
def test_outputs_of_another_width(model: ModelDescriptor, detail: str) -> None:
    error = rejected(model)
    assert error.reason == Reason.FAILED_GATE
    assert detail in error.detail


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(None, Reason.MISSING_FEATURE, id="missing"),
        pytest.param(math.nan, Reason.INVALID_VALUE, id="NaN"),
        pytest.param(math.inf, Reason.INVALID_VALUE, id="Infinity"),
        pytest.param(1e308, Reason.INVALID_VALUE, id="1e308"),
        pytest.param(3e38, Reason.MODEL_FAILED, id="an output that overflows"),
    ],
)
def test_a_bad_value_fails_its_row_alone(value: float | None, reason: Reason) -> None:
    scores = load(descriptor(GRAPH), PAIR).score(batch((1.0, 2.0), (1.0, value), (0.0, 1.0)))
    assert [(failure.row, failure.reason) for failure in scores.failures] == [(1, reason)]
    assert scores.outputs is not None
    assert np.isfinite(scores.outputs).all()
    assert scores.outputs[[0, 2]].tolist() == [[1.0, 2.0, 6.0], [0.0, 1.0, 2.0]]


def recorded(inputs: tuple[str, ...]) -> tuple[MatrixModel, list[np.ndarray[Any, Any]]]:
    """A model that answers with its matrix, and the matrices that it was called with."""
    called: list[np.ndarray[Any, Any]] = []

    def call(matrix: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        called.append(matrix)
        return matrix

    return MatrixModel(call, np.float32, inputs, len(inputs), Answer.VECTOR, (), ()), called


def test_the_model_gets_the_matrix_as_it_was_built_if_all_rows_are_good(monkeypatch: pytest.MonkeyPatch) -> None:
    model, called = recorded(("b", "a"))
    built: list[np.ndarray[Any, Any]] = []

    def build(*given: Any) -> np.ndarray[Any, Any]:
        built.append(feature_matrix(*given))
        return built[-1]

    monkeypatch.setattr(tensorflow_matrix, "feature_matrix", build)
    scores = model.score(batch((0.1, 2.0), (1e-46, 16777217.0), (-3.4e38, 0.0)))
    assert scores.failures == ()
    assert outputs(scores) == np.array([[2.0, 0.1], [16777216.0, 0.0], [0.0, -3.4e38]], dtype=np.float32).tolist()
    assert [each.dtype for each in built] == [np.float32]
    assert called[0] is built[0]


def test_the_model_gets_the_good_rows_alone_and_nothing_warns() -> None:
    model, called = recorded(("a", "b"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = model.score(batch((1.0, 2.0), (1e39, 2.0), (3.0, None), (-1e39, 0.0), (5.0, 6.0)))
    assert [(failure.row, failure.reason) for failure in scores.failures] == [
        (1, Reason.INVALID_VALUE),
        (2, Reason.MISSING_FEATURE),
        (3, Reason.INVALID_VALUE),
    ]
    assert [each.tolist() for each in called] == [[[1.0, 2.0], [5.0, 6.0]]]
    assert outputs(scores) == [[1.0, 2.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [5.0, 6.0]]


@pytest.mark.parametrize("value", [pytest.param(-0.0, id="-0"), pytest.param(5e-324, id="denormal")])
def test_small_values_are_ordinary(value: float) -> None:
    scores = load(descriptor(GRAPH), PAIR).score(batch((1.0, value)))
    assert scores.failures == ()
    assert outputs(scores) == [[1.0, 0.0, 2.0]]


def test_a_row_that_makes_the_graph_fail_fails_alone() -> None:
    def build() -> None:
        x = tf.compat.v1.placeholder(tf.float32, (None, 2))
        with tf.control_dependencies([tf.debugging.assert_less(x, 100.0)]):
            tf.identity(x)

    rows = [(float(row), 0.0) for row in range(9)]
    rows[4] = (500.0, 0.0)
    scores = load(descriptor(graph(build)), PAIR).score(batch(*rows))
    assert [(failure.row, failure.reason) for failure in scores.failures] == [(4, Reason.MODEL_FAILED)]
    assert scores.outputs is not None
    assert scores.outputs[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0, 0.0, 5.0, 6.0, 7.0, 8.0]


def test_close_closes_the_session() -> None:
    servable = load(descriptor(GRAPH), PAIR)
    session = servable._session  # type: ignore[attr-defined]
    tensors = weakref.ref(session.graph)
    servable.close()
    with pytest.raises(RuntimeError, match="closed"):
        session.run("result:0")
    del session
    gc.collect()
    assert tensors() is None
    with pytest.raises(RuntimeError, match="closed"):
        servable.score(batch((1.0, 2.0)))
    servable.close()


def test_saved_model_with_the_reference_fields_alone(saved: bytes) -> None:
    servable = load(descriptor(saved, ModelType.TENSORFLOWSAVED), PAIR)
    scores = servable.score(batch((1.0, 2.0), (5.0, -7.0)))
    assert outputs(scores) == [[1.0, 2.0, 6.0], [5.0, -7.0, -4.0]]
    assert scores.label_index is not None
    assert scores.label_index.tolist() == [2, 0]
    servable.close()


def test_saved_model_by_names(saved_with_two: bytes) -> None:
    model = descriptor(
        saved_with_two, ModelType.TENSORFLOWSAVED, signature="two", input_tensor="x", output_tensor="z", tags=["serve"]
    )
    assert outputs(load(model, PAIR).score(batch((1.0, 2.0)))) == [[1.0, 2.0]]


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        for name, data in files.items():
            target.writestr(name, data)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("fields", "detail"),
    [
        pytest.param({"signature": "absent"}, "'absent'", id="without the named signature"),
        pytest.param({}, "serve, two", id="without a default signature"),
        pytest.param({"signature": "two"}, "y, z", id="without a sole output"),
        pytest.param({"signature": "serve", "output_tensor": "absent"}, "'absent'", id="without the named output"),
        pytest.param({"signature": "serve", "input_tensor": "absent"}, "'absent'", id="without the named input"),
        pytest.param({"signature": "serve", "tags": ["absent"]}, "absent", id="without the tags"),
        pytest.param({"signature": "serve", "inputs": ["a"]}, "2 wide", id="too few features"),
    ],
)
def test_unloadable_saved_models(saved_with_two: bytes, fields: dict[str, Any], detail: str) -> None:
    error = rejected(descriptor(saved_with_two, ModelType.TENSORFLOWSAVED, **fields))
    assert error.reason == Reason.UNLOADABLE
    assert detail in error.detail


@pytest.mark.parametrize("what", ["variables.index", "variables.data-00000-of-00001"])
def test_saved_model_with_missing_variables(what: str, tmp_path: Path) -> None:
    exported(tmp_path)
    (tmp_path / "model" / "variables" / what).unlink()
    data = pack_folder(tmp_path / "model")
    assert rejected(descriptor(data, ModelType.TENSORFLOWSAVED)).reason == Reason.UNLOADABLE


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        pytest.param(GRAPH, Reason.UNLOADABLE, id="graph declared as a SavedModel"),
        pytest.param(PMML, Reason.UNLOADABLE, id="PMML declared as a SavedModel"),
        pytest.param(zipped({"readme": b""}), Reason.UNLOADABLE, id="archive of something else"),
        pytest.param(zipped({"saved_model.pb": b"\xff" * 50}), Reason.UNLOADABLE, id="random saved_model.pb"),
        pytest.param(zipped({"../saved_model.pb": b""}), Reason.UNSAFE, id="unsafe archive"),
        pytest.param(
            zipped({"1/saved_model.pb": b"", "2/saved_model.pb": b""}), Reason.UNLOADABLE, id="archive of two models"
        ),
    ],
)
def test_archives_that_are_no_saved_model(data: bytes, reason: Reason) -> None:
    assert rejected(descriptor(data, ModelType.TENSORFLOWSAVED)).reason == reason


def test_saved_model_leaves_no_folder_and_frees_its_variables(
    saved: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    servable = load(descriptor(saved, ModelType.TENSORFLOWSAVED), PAIR)
    assert list(tmp_path.iterdir()) == []
    module = weakref.ref(servable._model.call.module)  # type: ignore[attr-defined]
    assert outputs(servable.score(batch((1.0, 2.0)))) == [[1.0, 2.0, 6.0]]
    servable.close()
    gc.collect()
    assert module() is None
    with pytest.raises(RuntimeError, match="closed"):
        servable.score(batch((1.0, 2.0)))


def test_saved_model_is_not_traced_again(saved: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    servable = load(descriptor(saved, ModelType.TENSORFLOWSAVED), PAIR)
    built: list[int] = []
    original = tf.__internal__.FuncGraph.__init__

    def counted(self: Any, *args: Any, **kwargs: Any) -> None:
        built.append(1)
        original(self, *args, **kwargs)

    monkeypatch.setattr(tf.__internal__.FuncGraph, "__init__", counted)
    for size in (1, 2, 7, 100):
        servable.score(batch(*[(1.0, 2.0)] * size))
    assert built == []


@pytest.mark.parametrize("kind", [ModelType.TENSORFLOW, ModelType.TENSORFLOWSAVED], ids=ModelType.Name)
def test_the_bytes_restore_to_an_equal_servable(kind: ModelType, saved: bytes) -> None:
    data = descriptor(GRAPH if kind == ModelType.TENSORFLOW else saved, kind).SerializeToString()
    rows = [(float(row), 1.0 / (row + 1)) for row in range(50)]
    first = load(ModelDescriptor.FromString(data), PAIR)
    expected = outputs(first.score(batch(*rows)))
    first.close()
    second = load(ModelDescriptor.FromString(data), PAIR)
    assert outputs(second.score(batch(*rows))) == expected
    assert [outputs(second.score(batch(row)))[0] for row in rows] == pytest.approx(np.array(expected), rel=1e-6)

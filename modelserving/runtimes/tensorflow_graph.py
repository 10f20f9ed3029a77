"""Frozen TensorFlow graphs (a serialised GraphDef)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from modelserving.data_types import DataType
from modelserving.errors import ModelRejected
from modelserving.runtimes.tensorflow_import import tensorflow
from modelserving.runtimes.tensorflow_matrix import MatrixModel, check_input, input_features, matrix_model
from modelserving.servable import Domain, Scores
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import Engine


class GraphServable:
    """A graph in a session of its own, kept until `close`."""

    engine = "TensorFlow"
    engine_reason = ""

    def __init__(self, model: MatrixModel, session: Any) -> None:
        self._model: MatrixModel | None = model
        self._session = session
        self.inputs = model.inputs
        self.domain: Mapping[str, Domain] = {}

    def score(self, batch: pa.RecordBatch) -> Scores:
        """See `Servable.score`."""
        if self._model is None:
            raise RuntimeError("the servable is closed")
        return self._model.score(batch)

    def close(self) -> None:
        """Close the session and let the graph go."""
        self._model = None
        if self._session is not None:
            self._session.close()
            self._session = None


def load(
    descriptor: ModelDescriptor,
    data_type: DataType,
    engine: Engine | None = None,  # noqa: ARG001 - there is one
) -> GraphServable:
    """Load a frozen graph.

    Its input is `descriptor.input_tensor`, else its sole placeholder; its output `descriptor.output_tensor`, else the
    last node of the graph.

    Raises:
        ModelRejected: UNLOADABLE.
    """
    tf = tensorflow()

    features = input_features(descriptor, data_type)
    graph_def = _parse(descriptor.data)
    graph = tf.Graph()
    try:
        with graph.as_default():
            tf.import_graph_def(graph_def, name="")
    except (ValueError, TypeError, tf.errors.OpError) as error:
        raise ModelRejected(Reason.UNLOADABLE, f"TensorFlow cannot import the graph: {error}") from error
    source = _tensor(graph, descriptor.input_tensor or _sole_placeholder(graph_def), "input_tensor")
    target = _tensor(graph, descriptor.output_tensor or graph_def.node[-1].name, "output_tensor")
    check_input(f"input {source.name!r}", source.dtype, source.shape, features)
    # a slot has one core: more threads would take the other slots' share
    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=1)
    session = tf.compat.v1.Session(graph=graph, config=config)
    try:
        call = session.make_callable(target, feed_list=[source])
        dtype = np.float64 if source.dtype == tf.float64 else np.float32
        return GraphServable(matrix_model(descriptor, features, dtype, call, (tf.errors.OpError,)), session)
    except BaseException:
        session.close()
        raise


def prepare(memory_bytes: int) -> None:  # noqa: ARG001 - TensorFlow has no such limit
    """Import TensorFlow."""
    tensorflow()


def _parse(data: bytes) -> Any:
    tf = tensorflow()
    from google.protobuf.message import DecodeError

    graph_def = tf.compat.v1.GraphDef()
    try:
        graph_def.ParseFromString(data)
    except DecodeError as error:
        raise ModelRejected(Reason.UNLOADABLE, "not a GraphDef; publish a frozen graph or correct the type") from error
    if not graph_def.node or not all(node.name and node.op for node in graph_def.node):
        # other messages may happen to parse as a GraphDef
        raise ModelRejected(
            Reason.UNLOADABLE, "a GraphDef without usable nodes; publish a frozen graph or correct the type"
        )
    return graph_def


def _sole_placeholder(graph_def: Any) -> str:
    names = [node.name for node in graph_def.node if node.op == "Placeholder"]
    if len(names) != 1:
        found = ", ".join(names) or "none"
        raise ModelRejected(
            Reason.UNLOADABLE, f"the graph needs one placeholder, found {found}; name the input in input_tensor"
        )
    return str(names[0])


def _tensor(graph: Any, name: str, option: str) -> Any:
    try:
        return graph.get_tensor_by_name(name if ":" in name else f"{name}:0")
    except (KeyError, ValueError) as error:
        raise ModelRejected(
            Reason.UNLOADABLE, f"the graph has no tensor {name!r}; correct the descriptor's {option}"
        ) from error

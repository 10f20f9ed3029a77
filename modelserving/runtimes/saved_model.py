"""TensorFlow SavedModels, in a zip or tar archive."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from modelserving.archive import unpack
from modelserving.data_types import DataType
from modelserving.errors import ModelRejected
from modelserving.runtimes.tensorflow_import import tensorflow
from modelserving.runtimes.tensorflow_matrix import MatrixModel, check_input, input_features, matrix_model
from modelserving.servable import Domain, Scores
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import Engine

DEFAULT_TAG = "serve"
DEFAULT_SIGNATURE = "serving_default"


class SavedModelServable:
    """The concrete function of one signature; holds the variables until `close`."""

    engine = "TensorFlow"
    engine_reason = ""

    def __init__(self, model: MatrixModel) -> None:
        self._model: MatrixModel | None = model
        self.inputs = model.inputs
        self.domain: Mapping[str, Domain] = {}

    def score(self, batch: pa.RecordBatch) -> Scores:
        """See `Servable.score`."""
        if self._model is None:
            raise RuntimeError("the servable is closed")
        return self._model.score(batch)

    def close(self) -> None:
        """Let the function and its variables go."""
        self._model = None


def load(
    descriptor: ModelDescriptor,
    data_type: DataType,
    engine: Engine | None = None,  # noqa: ARG001 - there is one
) -> SavedModelServable:
    """Load a SavedModel from an archive of its folder.

    The signature is `descriptor.signature`, else the sole one, else `serving_default`; its input and output are the
    descriptor's tensors (names in the signature), else the sole ones.

    Raises:
        ModelRejected: UNLOADABLE; UNSAFE or OVERSIZE for the archive.
    """
    tf = tensorflow()

    features = input_features(descriptor, data_type)
    # a slot has one core; TensorFlow refuses the setting (RuntimeError) once it has run anything in this process
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    # variables and tables are read while loading, so the files are needed no longer than that
    with tempfile.TemporaryDirectory(prefix="saved-model-") as folder:
        unpack(descriptor.data, Path(folder))
        root = _root(Path(folder))
        try:
            module = tf.saved_model.load(str(root), tags=list(descriptor.tags) or [DEFAULT_TAG])
        except Exception as error:  # the loader raises nearly anything on a broken model
            raise ModelRejected(Reason.UNLOADABLE, f"TensorFlow cannot load the SavedModel: {error}") from error
    signature = _signature(module, descriptor.signature)
    inputs = signature.structured_input_signature[1]
    source = _choice(descriptor.input_tensor, list(inputs), "input")
    target = _choice(descriptor.output_tensor, list(signature.structured_outputs), "output")
    if len(inputs) > 1:
        raise ModelRejected(Reason.UNLOADABLE, f"the signature needs {', '.join(inputs)}; export one with one input")
    spec = inputs[source]
    check_input(f"input {source!r}", spec.dtype, spec.shape, features)

    def call(matrix: NDArray[Any]) -> NDArray[Any]:
        outputs = signature(**{source: tf.constant(matrix)})
        return np.asarray(outputs[target].numpy())

    # `module` owns the variables that the function reads
    call.module = module  # type: ignore[attr-defined]
    dtype = np.float64 if spec.dtype == tf.float64 else np.float32
    return SavedModelServable(matrix_model(descriptor, features, dtype, call, (tf.errors.OpError,)))


def prepare(memory_bytes: int) -> None:  # noqa: ARG001 - TensorFlow has no such limit
    """Import TensorFlow."""
    tensorflow()


def _root(folder: Path) -> Path:
    """The folder of the model in the archive: its top, or one folder such as `1/` in it."""
    candidates = [folder, *(path for path in folder.iterdir() if path.is_dir())]
    roots = [path for path in candidates if (path / "saved_model.pb").is_file()]
    if len(roots) != 1:
        raise ModelRejected(
            Reason.UNLOADABLE,
            f"the archive holds {len(roots)} models; it needs one saved_model.pb, at its top or one below",
        )
    return roots[0]


def _signature(module: Any, wanted: str) -> Any:
    names = list(module.signatures)
    name = wanted or (names[0] if len(names) == 1 else DEFAULT_SIGNATURE)
    if name not in names:
        found = ", ".join(names) or "none"
        raise ModelRejected(
            Reason.UNLOADABLE, f"no signature {name!r} in the SavedModel (found: {found}); correct the signature"
        )
    return module.signatures[name]


def _choice(wanted: str, names: list[str], what: str) -> str:
    name = wanted.removesuffix(":0") or (names[0] if len(names) == 1 else "")
    if name not in names:
        found = ", ".join(names) or "none"
        raise ModelRejected(
            Reason.UNLOADABLE,
            f"the signature has no {what} {name!r} (found: {found}); set {what}_tensor to one of them",
        )
    return name

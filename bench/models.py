"""The models that pipelines are measured with, as they are published."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

from bench.data_types import names
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "winequality"
CACHE = ROOT / ".run" / "bench" / "models"

NO_MODEL = "none"
"""Stands in the place of a model for pipelines without."""

_FILES = {
    "tensorflow": "tensorflow.pb",
    "saved-model": "saved-model.zip",
    "forest-100": "forest-100.pmml",
    "boosting-200": "boosting-200.pmml",
    "neural-network": "neural-network.pmml",
    "tree": "tree.pmml",
    "linear": "linear.pmml",
    "glm": "glm.pmml",
}
_TYPES = {".pb": ModelType.TENSORFLOW, ".zip": ModelType.TENSORFLOWSAVED, ".pmml": ModelType.PMML}

MODELS = tuple(_FILES)
"""Their names."""
TENSORFLOW_MODELS = ("tensorflow", "saved-model")
"""Those that TensorFlow evaluates."""


def descriptor(model: str, data_type: str) -> ModelDescriptor:
    """The message that publishes `model` for a data type; for `NO_MODEL`, a small one."""
    name = _FILES["linear" if model == NO_MODEL else model]
    path = EXAMPLE / "models" / name
    if not path.exists():
        path = ensembles() / name
    return ModelDescriptor(name=model, dataType=data_type, modeltype=_TYPES[path.suffix], data=path.read_bytes())


def for_each(model: str, data_types: int = 1) -> list[ModelDescriptor]:
    """The messages that publish `model` for so many data types."""
    return [descriptor(model, data_type) for data_type in names(data_types)]


@cache
def ensembles() -> Path:
    """The folder of the forest and the boosting; they are trained if they are not there, or not by these scripts."""
    scripts = [EXAMPLE / name for name in ("train_ensembles.py", "pmml_writer.py", "wine_table.py")]
    made_by = hashlib.sha256(b"".join(script.read_bytes() for script in scripts)).hexdigest()[:12]
    folder = CACHE / f"scikit-learn-{metadata.version('scikit-learn')}-{made_by}"
    if not (folder / "expected.json").exists():  # the last to be written
        subprocess.run([sys.executable, str(scripts[0]), str(folder)], check=True)
    return folder

"""Loaders turn a complete model descriptor into a servable; one for each model type, in an explicit registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module

from modelserving.data_types import DataType
from modelserving.errors import ModelRejected
from modelserving.servable import Servable
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import Engine

Loader = Callable[[ModelDescriptor, DataType, Engine | None], Servable]
"""Loads a descriptor whose `data` is set, for a data type, with the engine that was found for it when it was tried; if
none was, it finds out. Raises `ModelRejected` (UNLOADABLE or UNSAFE)."""

LOADERS: Mapping[ModelType, str] = {
    ModelType.PMML: "modelserving.runtimes.pmml",
    ModelType.TENSORFLOW: "modelserving.runtimes.tensorflow_graph",
    ModelType.TENSORFLOWSAVED: "modelserving.runtimes.saved_model",
}
"""Model type → module whose `load` is its `Loader`; imported at first use, since the libraries behind are heavy."""


def load(descriptor: ModelDescriptor, data_type: DataType, engine: Engine | None = None) -> Servable:
    """Load `descriptor` (complete: `data` set) with the loader of its type; see `Loader`.

    Raises:
        ModelRejected: no loader for the type, or the loader refused the model.
    """
    module = LOADERS.get(descriptor.modeltype)
    if module is None:
        known = ", ".join(ModelType.Name(kind) for kind in LOADERS)
        raise ModelRejected(
            Reason.UNLOADABLE, f"no runtime for model type {descriptor.modeltype}; publish one of {known}"
        )
    loader: Loader = import_module(module).load
    return loader(descriptor, data_type, engine)


def prepare(model_type: ModelType, memory_bytes: int) -> None:
    """Import the libraries that models of a type need, for a process in which models are tried.

    Args:
        model_type: does nothing for one without a loader.
        memory_bytes: what a model may take; a runtime that manages memory itself bounds it by that.
    """
    module = LOADERS.get(model_type)
    if module is not None:
        import_module(module).prepare(memory_bytes)

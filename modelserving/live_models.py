"""The models that are live in one parallel instance: a cache bounded by memory; the least recently used leaves."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from modelserving.servable import ModelVersion, Servable
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.state_pb2 import AdmittedModel

LONGEST_DESCRIPTION = 500
"""Characters: a publisher may have sent megabytes."""


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A model that scores now."""

    offset: int
    """Of its descriptor on the model log."""
    version: ModelVersion
    servable: Servable
    descriptor: ModelDescriptor
    """What names it; no more."""
    weight: int
    """Bytes that it is estimated to take."""


def live_model(admitted: AdmittedModel, servable: Servable) -> LiveModel:
    """A loaded model, ready for the cache."""
    given = admitted.descriptor
    known = ModelDescriptor(
        name=given.name,
        # It goes out with the statistics of each second.
        description=given.description[:LONGEST_DESCRIPTION],
        dataType=given.dataType,
        modeltype=given.modeltype,
        version=given.version,
        sha256=given.sha256,
    )
    version = ModelVersion(given.name, given.version, given.sha256)
    return LiveModel(admitted.offset, version, servable, known, memory_bytes(given))


BASE_BYTES = 2 * 1024**2
BYTES_PER_BYTE = 8


def memory_bytes(descriptor: ModelDescriptor) -> int:
    """What a servable of a complete descriptor takes, by its size; a little more than was measured for each type.

    Measured: a graph 0.4 MB and 5 to 6 bytes for each of its own, a SavedModel 1 to 2 MB and 1 for each, PMML 1 MB and
    7 for each.
    """
    return BASE_BYTES + BYTES_PER_BYTE * len(descriptor.data)


class LiveModels:
    """Data type → live model. What it gives back as replaced or evicted is the caller's to close.

    Args:
        limit_bytes: the sum of the models' weights stays at or below it, but for one model that is larger by itself.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._models: OrderedDict[str, LiveModel] = OrderedDict()
        self._bytes = 0

    def get(self, data_type: str) -> LiveModel | None:
        """The live model of a data type, which thereby is the one used last."""
        live = self._models.get(data_type)
        if live is not None:
            self._models.move_to_end(data_type)
        return live

    def has_room(self, *descriptors: ModelDescriptor) -> bool:
        """Whether so many models more would drive out no other."""
        return self._bytes + sum(map(memory_bytes, descriptors)) <= self._limit_bytes

    def put(self, data_type: str, live: LiveModel) -> list[LiveModel]:
        """Make `live` the model of the data type; the least recently used ones that no longer fit."""
        self.pop(data_type)
        self._models[data_type] = live
        self._bytes += live.weight
        evicted = []
        while self._bytes > self._limit_bytes and len(self._models) > 1:
            oldest = next(iter(self._models))
            gone = self.pop(oldest)
            if gone is not None:
                evicted.append(gone)
        return evicted

    def pop(self, data_type: str) -> LiveModel | None:
        """Take out the model of a data type, if there is one."""
        live = self._models.pop(data_type, None)
        if live is not None:
            self._bytes -= live.weight
        return live

    def pop_all(self) -> list[LiveModel]:
        """Take out all models."""
        models = list(self._models.values())
        self._models.clear()
        self._bytes = 0
        return models

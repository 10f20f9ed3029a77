"""The servable manager: the only owner of the live models of one parallel instance.

For each data type it knows the *aspired* version (the newest that it was told of) and the *live* one. A newer
aspired version is loaded and swapped in between two batches; one that cannot be loaded leaves the last good one live.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from modelserving.errors import ModelRejected
from modelserving.servable import ModelVersion, Servable
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.state_pb2 import AdmittedModel

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveModel:
    """A model that scores now."""

    offset: int
    """Of its descriptor on the model log."""
    version: ModelVersion
    servable: Servable


class ServableManager:
    """Loads, swaps and frees the servables of one parallel instance; used from one thread."""

    def __init__(self, load: Callable[[ModelDescriptor], Servable]) -> None:
        self._load = load
        self._aspired: dict[str, AdmittedModel] = {}
        self._live: dict[str, LiveModel] = {}

    def aspire(self, admitted: AdmittedModel) -> None:
        """Make `admitted` the version to serve, unless a newer one on the model log is known already."""
        data_type = admitted.descriptor.dataType
        if admitted.offset > self._newest_offset(data_type):
            self._aspired[data_type] = admitted

    def live(self, data_type: str) -> LiveModel | None:
        """The model to score the next batch of the data type with; swaps in an aspired version first."""
        aspired = self._aspired.pop(data_type, None)
        if aspired is not None:
            self._swap(data_type, aspired)
        return self._live.get(data_type)

    def close(self) -> None:
        """Free all live models."""
        for live in self._live.values():
            live.servable.close()
        self._live.clear()
        self._aspired.clear()

    def _newest_offset(self, data_type: str) -> int:
        known = (self._aspired.get(data_type), self._live.get(data_type))
        return max((model.offset for model in known if model is not None), default=-1)

    def _swap(self, data_type: str, aspired: AdmittedModel) -> None:
        descriptor = aspired.descriptor
        version = ModelVersion(descriptor.name, descriptor.version, descriptor.sha256)
        try:
            servable = self._load(descriptor)
        except ModelRejected as fault:
            # It passed admission, so this instance is at fault (memory, disk): the last good version goes on.
            log.error("data type %s: admitted %s cannot be loaded here: %.500s", data_type, version, fault)
            return
        replaced = self._live.get(data_type)
        self._live[data_type] = LiveModel(aspired.offset, version, servable)
        if replaced is not None:
            replaced.servable.close()
        log.info("data type %s: %s serves, replacing %s", data_type, version, replaced and replaced.version)

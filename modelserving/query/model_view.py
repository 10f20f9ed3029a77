"""The repository view: every version that was seen, and which one serves where since when."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from modelserving.query.data_type_models import DataTypeModels, Served, VersionKey
from modelserving.query.encoding import encode
from modelserving.wire.serving_pb2 import EventKind, ModelEvent

MOST_DATA_TYPES = 5000
"""About so many. Anybody can name a data type on the model log; those that changed longest ago are forgotten, unless
they serve."""

_LOOKED_AT = 20
_INSTANCE = re.compile(r"(?P<operator>.+) \d+/(?P<total>\d+)")
_OF_INSTANCES = (EventKind.LOADING, EventKind.LOAD_FAILED, EventKind.SERVING, EventKind.REPLACED)


class ModelView:
    """All data types and their versions, as life-cycle events tell them."""

    def __init__(self) -> None:
        self._data_types: dict[str, DataTypeModels] = {}
        self._encoded: dict[str, bytes] = {}
        self._heard_ms: dict[str, dict[tuple[str, str], int]] = {}
        """By family of operators: when an operator of so many instances was heard of last. Those that run are the ones
        heard of latest, since all others were: a job that was rescaled has no others."""

    def apply(self, event: ModelEvent) -> None:
        """Take in an event."""
        if not event.data_type:
            return
        models = self._data_types.pop(event.data_type, None) or DataTypeModels(event.data_type, self._is_there)
        models.apply(event)
        self._data_types[event.data_type] = models
        self._encoded.pop(event.data_type, None)
        if event.kind in _OF_INSTANCES:
            self._hear_of(event.instance, event.at_ms)
        if len(self._data_types) > MOST_DATA_TYPES:
            self._forget_oldest()

    def encoded(self, data_type: str) -> bytes | None:
        """The JSON form of a data type; None if nothing is known of it."""
        models = self._data_types.get(data_type)
        if models is None:
            return None
        if data_type not in self._encoded:
            self._encoded[data_type] = encode(models.plain())
        return self._encoded[data_type]

    def all_encoded(self) -> list[bytes]:
        """The JSON forms of all data types, by name."""
        return [encoded for name in sorted(self._data_types) if (encoded := self.encoded(name)) is not None]

    def rejected(self, data_type: str) -> dict[str, int]:
        """Reason → models of a data type that were turned away for it."""
        models = self._data_types.get(data_type)
        return {} if models is None else dict(models.rejected)

    def serving(self) -> Iterator[tuple[str, str, Served]]:
        """Data type, instance, and what it serves."""
        for name, models in sorted(self._data_types.items()):
            for instance, served in models.served:
                if self._is_there(instance, served.told_ms):
                    yield name, instance, served

    def serving_of(self, data_type: str) -> set[VersionKey]:
        """The versions that serve a data type."""
        models = self._data_types.get(data_type)
        served = () if models is None else models.served
        return {each.key for instance, each in served if self._is_there(instance, each.told_ms)}

    def _hear_of(self, instance: str, at_ms: int) -> None:
        match = _INSTANCE.fullmatch(instance)
        if match is None:
            return
        instances = match["operator"], match["total"]
        heard_ms = self._heard_ms.setdefault(_family(match["operator"]), {})
        # Partitions are not read in the order in which things happened.
        if at_ms > heard_ms.get(instances, 0):
            newest = max(heard_ms, key=heard_ms.__getitem__, default=instances)
            heard_ms[instances] = at_ms
            if newest != instances:
                self._encoded.clear()

    def _is_there(self, instance: str, told_ms: int) -> bool:
        match = _INSTANCE.fullmatch(instance)
        if match is None:
            return True
        instances = match["operator"], match["total"]
        heard_ms = self._heard_ms.get(_family(match["operator"]), {})
        return told_ms >= max((ms for other, ms in heard_ms.items() if other != instances), default=0)

    def _forget_oldest(self) -> None:
        # In the order of their last events. Where many in a row serve, one more or less does not matter.
        for name, models in islice(self._data_types.items(), _LOOKED_AT):
            if not any(self._is_there(instance, served.told_ms) for instance, served in models.served):
                del self._data_types[name]
                self._encoded.pop(name, None)
                return


def _family(operator: str) -> str:
    """Of the two joins a job has one; of lanes it has several beside each other."""
    return "join" if operator.endswith("-join") else operator

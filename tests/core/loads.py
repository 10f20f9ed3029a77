"""Loads under a test's control, and servables that tell when they are closed."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field

from modelserving.configuration import load_data_types
from modelserving.errors import ModelRejected
from modelserving.servable import Servable
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import AdmittedModel, Engine
from tests.core.cases import FakeServable
from tests.waiting import LIMIT_S


@dataclass
class Loads:
    """A loader that remembers what it began to load, made and saw closed, by version.

    A version in `failing` does not load; one that is held does not before it is released.
    """

    failing: set[str] = field(default_factory=set)
    begun: list[str] = field(default_factory=list)
    made: list[Remembered] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    data: dict[str, bytes] = field(default_factory=dict)
    """Version → the bytes that it came with."""
    engines: dict[str, Engine] = field(default_factory=dict)
    """Version → the engine that it came with."""

    def __post_init__(self) -> None:
        self._releases: dict[str, threading.Event] = {}
        self._inputs = load_data_types()["wine"].feature_names

    def __call__(self, model: AdmittedModel) -> Servable:
        descriptor = model.descriptor
        self.data[descriptor.version] = descriptor.data
        self.engines[descriptor.version] = model.engine
        self.begun.append(descriptor.version)
        release = self._releases.get(descriptor.version)
        if release is not None and not release.wait(LIMIT_S):
            raise AssertionError(f"{descriptor.version} was never released")
        if descriptor.version in self.failing:
            raise ModelRejected(Reason.UNLOADABLE, "no memory left")
        servable = Remembered(self._inputs, version=descriptor.version, loads=self)
        self.made.append(servable)
        return servable

    def hold(self, *versions: str) -> None:
        """Let loads of these versions hang until they are released."""
        self._releases |= {version: threading.Event() for version in versions}

    def release(self, *versions: str) -> None:
        """Let held loads go on; all of them if none is named."""
        for version in versions or self._releases:
            self._releases[version].set()


@dataclass
class Remembered(FakeServable):
    """A servable that tells its loader when it is closed."""

    version: str = ""
    loads: Loads = field(default_factory=Loads)
    is_closed: bool = False

    def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True
        self.loads.closed.append(self.version)


def admitted(offset: int, data_type: str = "wine", size: int = 5) -> AdmittedModel:
    """The model at `offset`, of version `DATA_TYPE-OFFSET`."""
    descriptor = ModelDescriptor(
        name="m",
        dataType=data_type,
        version=f"{data_type}-{offset}",
        sha256="ab",
        data=random.Random(offset).randbytes(size),  # noqa: S311 - to be repeated, not to be secret
    )
    return AdmittedModel(offset=offset, descriptor=descriptor)

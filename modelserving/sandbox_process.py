"""The process of a sandbox: it fetches, loads and probes models, one after the other (`sandbox.py`)."""

from __future__ import annotations

import gc
import os
import pickle
import socket
import sys
from collections.abc import Iterator
from functools import partial

from modelserving import descriptors, gate, loader
from modelserving.data_types import DataTypes
from modelserving.errors import ModelRejected
from modelserving.gate import GateLimits, Phase
from modelserving.locations import ModelSources
from modelserving.processes import be_dispensable, end_with, running_s
from modelserving.sandbox_messages import Channel, Kind
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Rejected

_LONGEST_DETAIL = 10_000


class _Tries:
    """Tries models for the process at the other end of a channel."""

    def __init__(self, channel: Channel, data_types: DataTypes, sources: ModelSources, limits: GateLimits) -> None:
        self._channel = channel
        self._data_types = data_types
        self._sources = sources
        self._limits = limits
        self._prepared: set[ModelType] = set()

    def answer(self, kind: Kind, descriptor: ModelDescriptor) -> None:
        """Do what is asked for with a model, and tell how it went."""
        try:
            done = self._fetch(descriptor) if kind is Kind.FETCH else self._check(descriptor)
        except ModelRejected as fault:
            detail = fault.detail[:_LONGEST_DETAIL].encode("utf-8", "backslashreplace").decode("utf-8")
            self._channel.send(Kind.REJECTED, Rejected(reason=fault.reason, detail=detail).SerializeToString())
        else:
            self._channel.send(Kind.DONE, done)

    def _fetch(self, descriptor: ModelDescriptor) -> bytes:
        self._announce(Phase.FETCH)
        complete = descriptors.complete(descriptor, self._sources)
        fetched = ModelDescriptor(data=complete.data, sha256=complete.sha256, version=complete.version)
        return fetched.SerializeToString()

    def _check(self, descriptor: ModelDescriptor) -> bytes:
        self._prepare(descriptor.modeltype)
        data_type = self._data_types[descriptor.dataType]
        engine = gate.check(descriptor, data_type, self._limits, self._announce, partial(running_s, os.getpid()))
        return engine.SerializeToString()

    def _prepare(self, model_type: ModelType) -> None:
        if model_type not in self._prepared:
            loader.prepare(model_type, self._limits.memory_bytes)
            self._prepared.add(model_type)
            gc.collect()
            gc.freeze()  # the libraries' objects live on, so no collection need look at them again

    def _announce(self, phase: Phase) -> None:
        self._channel.send(Kind.PHASE, phase.name.encode())


def main() -> None:
    """Answer requests on the socket given as file descriptor, for the process given, until it closes its end."""
    descriptor, parent = (int(argument) for argument in sys.argv[1:])
    end_with(parent)
    be_dispensable()  # what a model may take is counted without the time that it waits for a processor
    connection = socket.socket(fileno=descriptor)
    connection.set_inheritable(False)
    channel = Channel(connection)
    frames = _frames(channel)
    _, settings = next(frames)
    tries = _Tries(channel, *pickle.loads(settings))  # noqa: S301 - it comes from the process that started this one
    channel.send(Kind.READY)
    for kind, request in frames:
        tries.answer(kind, ModelDescriptor.FromString(request))
        gc.collect()  # a model is full of cycles


def _frames(channel: Channel) -> Iterator[tuple[Kind, bytes]]:
    try:
        while True:
            frame = channel.receive()
            if frame is not None:
                yield frame
    except EOFError:
        return


if __name__ == "__main__":
    main()

"""Loading in a process beside: large PMML documents, whose load computes for long in Python.

A thread that does so shares Python's lock with the one that scores, and the processor with all that its batches pass
through; on a machine with little to spare, batches then queue up. The process stands back instead, and what comes back
from it is the compiled model. Only admitted documents are loaded there, and a document is data: none of it is run.
"""

from __future__ import annotations

import gc
import logging
import pickle
import subprocess
import sys
import threading
import time

import cloudpickle

from modelserving import children
from modelserving.data_types import DataType
from modelserving.errors import ModelRejected, ModelServingError
from modelserving.gate import load_warm
from modelserving.processes import be_dispensable, end_with
from modelserving.runtimes.pmml_vectorised import VectorisedServable
from modelserving.servable import Servable
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import Engine

log = logging.getLogger(__name__)

LARGE_BYTES = 256 * 1024
"""A smaller document is loaded within some hundredths of a second, and is not worth a process."""

MOST_LOADS = 50
"""Of a process: then another one takes its place, since memory in fragments adds up."""
_RECURSION_LIMIT = 100_000
_STACK_BYTES = 512 * 1024**2
"""Of address space; memory is taken as it is used."""

_Answer = Servable | tuple[Reason, str] | str
"""The model, with which reason and detail it is refused, or why it cannot be sent."""


def is_large(descriptor: ModelDescriptor, engine: Engine) -> bool:
    """Whether a complete model, evaluated by `engine`, is to be loaded beside."""
    return (
        descriptor.modeltype == ModelType.PMML
        and engine.name == VectorisedServable.engine
        and len(descriptor.data) >= LARGE_BYTES
    )


class LoadingProcess(threading.local):
    """Loads models in another process: each calling thread's own, started when it first needs it, ending with it.

    Args:
        limit_s: a load that takes longer is ended, and its process with it.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._process: subprocess.Popen[bytes] | None = None

    def load(self, descriptor: ModelDescriptor, data_type: DataType, engine: Engine) -> Servable:
        """What `gate.load_warm` makes of the arguments; in this process if what it makes cannot be sent.

        Raises:
            ModelRejected: the model cannot be loaded.
            ModelServingError: it took too long, or the process ended meanwhile, and so did another one that was asked.
        """
        deadline = time.monotonic() + self._limit_s
        request = pickle.dumps((descriptor.SerializeToString(), data_type, engine.SerializeToString()))
        try:
            answer = self._ask(request)
        except children.ENDED as error:
            if time.monotonic() >= deadline:
                raise ModelServingError(f"it was not loaded within {self._limit_s:g} s") from error
            answer = self._ask_another(request)
        if isinstance(answer, str):
            log.warning("a model is loaded where records are scored: %s", answer)
            return load_warm(descriptor, data_type, engine)
        if isinstance(answer, tuple):
            raise ModelRejected(*answer)
        return answer

    def _ask_another(self, request: bytes) -> _Answer:
        """It is the first to end where memory is short, perhaps long ago, and the model need not be why."""
        try:
            return self._ask(request)
        except children.ENDED as error:
            raise ModelServingError(f"the process that loads models ended: {error}") from error

    def _ask(self, request: bytes) -> _Answer:
        process = self._process
        if process is None:
            process = self._process = children.start(__name__)
        limit = threading.Timer(self._limit_s, process.kill)
        limit.start()
        try:
            # Models hold functions that were made for them, which cloudpickle can write and pickle can read.
            answer: _Answer = children.ask(process, request)
        except BaseException:
            # Whatever it is, the rest of the answer must not be taken for the next one.
            self._process = None
            process.kill()
            process.wait()
            raise
        finally:
            limit.cancel()
        return answer


def main() -> None:
    """Load what is asked for on standard input, for the process given, until it closes its end."""
    end_with(int(sys.argv[1]))
    be_dispensable()
    # A compiled model is a chain of functions, and is written by a function that calls itself for each.
    sys.setrecursionlimit(_RECURSION_LIMIT)
    threading.stack_size(_STACK_BYTES)
    thread = threading.Thread(target=_serve)
    thread.start()
    thread.join()


def _serve() -> None:
    requests, answers = children.asked()
    for _ in range(MOST_LOADS):
        if not requests.peek(1):
            return
        answers.write(_answer(*pickle.load(requests)))  # noqa: S301 - it comes from the process that started this
        answers.flush()
        gc.collect()  # a document is full of cycles


def _answer(encoded: bytes, data_type: DataType, engine: bytes) -> bytes:
    answer: _Answer
    try:
        answer = load_warm(ModelDescriptor.FromString(encoded), data_type, Engine.FromString(engine))
    except ModelRejected as fault:
        answer = fault.reason, fault.detail
    try:
        written: bytes = cloudpickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001 - the worker can load it still
        return pickle.dumps(f"it cannot be sent: {type(error).__name__}: {error}")
    return written


if __name__ == "__main__":
    main()

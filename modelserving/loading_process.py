"""Loading in a process beside: large PMML documents, whose load computes for long in Python.

A thread that does so shares Python's lock with the one that scores, and the processor with all that its batches pass
through; on a machine with little to spare, batches then queue up. The process stands back instead, and what comes back
from it is the compiled model. Only admitted documents are loaded there, and a document is data: none of it is run.
"""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import threading
from typing import IO, Any

import cloudpickle

from modelserving.data_types import DataType
from modelserving.errors import ModelRejected, ModelServingError
from modelserving.gate import load_warm
from modelserving.processes import be_dispensable, die_with_parent
from modelserving.runtimes.pmml_vectorised import VectorisedServable
from modelserving.servable import Servable
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import Engine

LARGE_BYTES = 256 * 1024
"""A smaller document is loaded within some hundredths of a second, and is not worth a process."""


def is_large(descriptor: ModelDescriptor, engine: Engine) -> bool:
    """Whether a complete model, evaluated by `engine`, is to be loaded beside."""
    return (
        descriptor.modeltype == ModelType.PMML
        and engine.name == VectorisedServable.engine
        and len(descriptor.data) >= LARGE_BYTES
    )


class LoadingProcess:
    """Loads models in another process, which is started when it is first needed and ends with the calling thread.

    Used from one thread. A load that is given up leaves thread and process behind.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def load(self, descriptor: ModelDescriptor, data_type: DataType, engine: Engine) -> Servable:
        """What `gate.load_warm` makes of the arguments.

        Raises:
            ModelRejected: the model cannot be loaded.
            ModelServingError: the process ended meanwhile; the next call starts another one.
        """
        if self._process is None:
            command = [sys.executable, "-P", "-m", __name__, str(os.getpid())]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        requests, answers = _pipe(self._process.stdin), _pipe(self._process.stdout)
        try:
            pickle.dump((descriptor.SerializeToString(), data_type, engine.SerializeToString()), requests)
            requests.flush()
            # Models hold functions that were made for them, which cloudpickle can write and pickle can read.
            servable: Servable | None
            servable, reason, detail = pickle.load(answers)  # noqa: S301 - it comes from the process started here
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            self._process.kill()
            code = self._process.wait()
            self._process = None
            raise ModelServingError(f"the process that loads models ended with exit code {code}") from error
        if servable is None:
            raise ModelRejected(reason, detail)
        return servable


class LoadingProcesses(threading.local):
    """A loading process for each thread that loads: one whose load never ends keeps only its own."""

    def __init__(self) -> None:
        self.own = LoadingProcess()


def main() -> None:
    """Load what is asked for on standard input, for the process given, until it closes its end."""
    die_with_parent()
    if os.getppid() != int(sys.argv[1]):  # it ended before the kernel was told
        return
    be_dispensable()
    requests, answers = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints goes where errors go
    while requests.peek(1):
        encoded, data_type, engine = pickle.load(requests)  # noqa: S301 - it comes from the process that started this
        cloudpickle.dump(_loaded(encoded, data_type, engine), answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()
        gc.collect()  # a document is full of cycles


def _loaded(encoded: bytes, data_type: DataType, engine: bytes) -> tuple[Servable | None, Reason, str]:
    try:
        servable = load_warm(ModelDescriptor.FromString(encoded), data_type, Engine.FromString(engine))
    except ModelRejected as fault:
        return None, fault.reason, fault.detail
    return servable, Reason.REASON_UNSPECIFIED, ""


def _pipe(stream: IO[bytes] | None) -> Any:
    if stream is None:
        raise TypeError("a process without pipes")
    return stream


if __name__ == "__main__":
    main()

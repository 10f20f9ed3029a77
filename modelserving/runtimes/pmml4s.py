"""PMML4S, the Java evaluator of pypmml, inside this process through JPype."""

from __future__ import annotations

import atexit
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modelserving.errors import ModelRejected
from modelserving.wire.serving_pb2 import Reason

_start = threading.Lock()


def start(options: Sequence[str] = ()) -> None:
    """Start the Java virtual machine of this process with PMML4S in it, or add PMML4S to the one that runs.

    Args:
        options: of the virtual machine, if it does not run yet.
    """
    import jpype
    import jpype.config
    import pypmml
    from pypmml.jvm import JPypeGateway

    with _start:
        if pypmml.PMMLContext.gateway() is not None:
            return
        if jpype.isJVMStarted():
            jpype.addClassPath(str(Path(pypmml.__file__).parent / "jars" / "*"))
            pypmml.PMMLContext(gateway_instance=JPypeGateway())
        else:
            # At exit JPype would wait for every thread that ever called Java, also for those that wait for ever.
            jpype.config.destroy_jvm = False
            # -Xrs: signals stay with Python. While Java collects its garbage, whoever calls it waits, and may hold
            # Python's lock: the collector that is for large heaps and many cores held it for 0.2 to 0.4 s.
            pypmml.PMMLContext.getOrCreate(gateway="jpype", java_opts=["-Xrs", "-XX:+UseSerialGC", *options])
            atexit.register(_stop_releasing)


def _stop_releasing() -> None:
    """End the thread in which Java releases Python's objects: in an interpreter that is gone it would abort.

    JPype would end it while it destroys the virtual machine. Waits for the thread, ten seconds at most.
    """
    import jpype

    jpype.JClass("org.jpype.ref.JPypeReferenceQueue").getInstance().stop()


class Evaluator:
    """A model in PMML4S. Several threads may load and evaluate: JPype attaches a Python thread at its first call."""

    def __init__(self, document: bytes) -> None:
        """Load a document that has been checked and completed, in ASCII.

        Raises:
            ModelRejected: UNLOADABLE.
        """
        import jpype
        from pypmml import Model, PMMLError

        start()
        # never load: that opens its argument as a file if there is one of that name
        try:
            self._model: Any = Model.fromBytes(document)
        except (PMMLError, jpype.JException) as error:
            # pypmml keeps of the Java exception only its message, which may be nothing
            cause = error.__context__ or error
            detail = f"PMML4S cannot load the model ({type(cause).__name__}): {error}"
            raise ModelRejected(Reason.UNLOADABLE, detail) from error
        self.errors: tuple[type[BaseException], ...] = (jpype.JException,)

    def evaluate(self, names: list[str], rows: list[tuple[Any, ...]]) -> tuple[list[str], list[list[Any]]]:
        """Evaluate rows with the values of the fields `names`, None for a missing one.

        Returns:
            The names of the answer's columns and its rows, with None where the model gives no (finite) answer.

        Raises:
            jpype.JException: evaluation failed on some row.
        """
        # a string in and a string out is one crossing for a batch; json writes floats so that they read back the same
        request = json.dumps({"columns": names, "data": rows}, allow_nan=False)
        answer = json.loads(str(self._model._java_model.predict(request)))
        return answer["columns"], answer["data"]

    def close(self) -> None:
        """Let the Java model go."""
        self._model = None

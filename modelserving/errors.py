"""The project's exceptions, one tree, all picklable.

Expected faults of the input are not bugs: a bad model raises `ModelRejected` inside the core and leaves the job
as a message on `rejected-models`; a bad record is a value (`RecordFailure`) from the start. Anything outside this
tree that reaches Flink is a bug, and fails the job.
"""

from __future__ import annotations

from modelserving.wire.serving_pb2 import Reason


class ModelServingError(Exception):
    """Base of every exception that the project raises on purpose."""


class ConfigurationError(ModelServingError):
    """An option or a configuration file is wrong; the message names it and the remedy."""


class BrokerError(ModelServingError):
    """A Kafka broker cannot be reached, or a topic on it is not as the job needs it."""


class ModelRejected(ModelServingError):  # noqa: N818 - what happens to the model, not an error of the job
    """A model cannot serve.

    Attributes:
        reason: a `Reason` number of the wire protocol.
        detail: one sentence that names the fault and the remedy.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{Reason.Name(self.reason)}: {self.detail}"

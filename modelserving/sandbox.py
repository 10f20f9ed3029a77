"""The sandbox: a process in which models that nobody knows yet are fetched, loaded and probed.

A model that hangs, eats memory or ends its process does so there. The process is started when it is first needed and
used again for the next model; once it exceeded a limit, died or has grown, a fresh one takes its place. What comes
from it is never trusted to be more than a verdict: it is parsed, and bounded in size.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import TypeVar

from google.protobuf.message import DecodeError

from modelserving import descriptors
from modelserving.data_types import DataTypes
from modelserving.errors import ModelRejected, ModelServingError
from modelserving.gate import GateLimits, Phase, failed, too_long
from modelserving.locations import ModelSources
from modelserving.processes import resident_bytes, running_s
from modelserving.sandbox_messages import Channel, Kind
from modelserving.scratch import ScratchFolder
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import Reason, Rejected
from modelserving.wire.state_pb2 import Engine

log = logging.getLogger(__name__)

A = TypeVar("A", ModelDescriptor, Engine)

START_S = 120.0
"""For a fresh process to be ready; generous, since it is no model's fault if it takes long."""
LIBRARIES_S = 300.0
"""For the libraries of a model type to be imported; generous as well."""
MAX_GROWTH_BYTES = 1024**3
"""What the models that a process tried may leave behind in it, before a fresh one takes its place."""

_STARTS = 2
_STDERR = 2
_WATCH_S = 0.05
_GRACE_S = 1.0
"""The gate itself sees a model that answers the probe too late, and needs no fresh process after it."""


class SandboxError(ModelServingError):
    """The sandbox cannot be used, through no fault of a model."""


class Sandbox:
    """Tries models in another process; used from one thread, but `close` may be called from any.

    Args:
        data_types: those that models may be for.
        sources: where models may come from.
        limits: what a model may take; one that exceeds them is rejected, and its process killed.
    """

    def __init__(self, data_types: DataTypes, sources: ModelSources, limits: GateLimits) -> None:
        self._sources = sources
        self._limits = limits
        self._settings = pickle.dumps((data_types, sources, limits))
        self._process: _Process | None = None
        self._guard = threading.Lock()
        self._closed = False

    def fetch(self, descriptor: ModelDescriptor) -> ModelDescriptor:
        """What `descriptors.complete` makes of the descriptor.

        Raises:
            ModelRejected: as `descriptors.complete` says, LOCATION if it takes too long, FAILED_GATE if it eats
                memory or ends the process.
            SandboxError: the sandbox cannot be used.
        """
        if descriptor.WhichOneof("model") == "data":  # nothing to fetch, and nothing of it is read but its sha256
            return descriptors.complete(descriptor, self._sources)
        fetched = self._try(Kind.FETCH, descriptor, ModelDescriptor)
        done = ModelDescriptor()
        done.CopyFrom(descriptor)
        done.data, done.sha256, done.version = fetched.data, fetched.sha256, fetched.version
        return done

    def check(self, complete: ModelDescriptor) -> Engine:
        """Take a complete descriptor through the gate (`gate.check`).

        Raises:
            ModelRejected: it does not pass; FAILED_GATE also if it hangs, eats memory or ends its process.
            SandboxError: the sandbox cannot be used.
        """
        return self._try(Kind.CHECK, complete, Engine)

    def close(self) -> None:
        """End the process; a model that is being tried meanwhile gets no verdict but a SandboxError."""
        with self._guard:
            self._closed = True
            process, self._process = self._process, None
        if process is not None:
            process.end()

    def _try(self, kind: Kind, descriptor: ModelDescriptor, answer: type[A]) -> A:
        request = descriptor.SerializeToString()
        for _ in range(_STARTS):
            process = self._running()
            try:
                return process.ask(kind, request, answer)
            except _NotBegunError as error:
                log.warning("process %d of the sandbox is of no use: %s", process.pid, error)
            except ModelRejected as fault:
                if self._closed:  # then that is what ended the process
                    raise SandboxError("the sandbox was closed") from fault
                raise
            finally:
                if process.spent:
                    self._drop(process)
        raise SandboxError(f"{_STARTS} processes of the sandbox failed before they looked at a model")

    def _running(self) -> _Process:
        with self._guard:
            if self._closed:
                raise SandboxError("the sandbox is closed")
            if self._process is None:
                self._process = _Process(self._settings, self._limits)
            return self._process

    def _drop(self, process: _Process) -> None:
        process.end()
        with self._guard:
            if self._process is process:
                self._process = None


class _NotBegunError(Exception):
    """The process failed before it looked at the model."""


class _Process:
    """A started process; of no use any more once it is `spent`."""

    def __init__(self, settings: bytes, limits: GateLimits) -> None:
        self._settings = settings
        self._limits = limits
        self._ready = False
        self._growth = 0
        self._ending = threading.Lock()
        self._folder = ScratchFolder()
        ours, its = socket.socketpair()
        command = [sys.executable, "-P", "-m", "modelserving.sandbox_process", str(its.fileno()), str(os.getpid())]
        try:
            # In a session of its own, so that all that it starts can be killed with it. What it prints goes where
            # errors go, and what it leaves in the temporary folder goes with it.
            self._child = subprocess.Popen(
                command,
                pass_fds=(its.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=_STDERR,
                env={**os.environ, "TMPDIR": str(self._folder.path)},
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            self._folder.remove()
            raise SandboxError(f"the sandbox's process cannot be started: {error}") from error
        finally:
            its.close()
        self.pid = self._child.pid
        self.spent = False
        self._channel = Channel(ours)

    def ask(self, kind: Kind, request: bytes, wanted: type[A]) -> A:
        """Have a model tried; the answer is a message of the `wanted` class.

        Raises:
            ModelRejected: the process says so, or the model made it exceed a limit or end.
            _NotBegunError: the process failed before it looked at the model.
        """
        self.spent = True  # unless it answers
        self._send(kind, request)
        phase: Phase | None = None
        deadline = running_s(self.pid) + LIBRARIES_S
        before = 0
        while True:
            now = running_s(self.pid)
            frame = self._receive(phase)
            resident = resident_bytes(self.pid)
            if frame is not None and frame[0] is Kind.PHASE:
                if phase is None:  # libraries are imported: what comes on top of them is the model's
                    before = resident
                phase = _next_phase(phase, frame[1])
                deadline = running_s(self.pid) + phase.limit_s(self._limits) + _GRACE_S
            elif frame is not None:
                answer = _answer(phase, wanted, *frame)
                self._growth += resident - before
                self.spent = self._growth > MAX_GROWTH_BYTES
                if isinstance(answer, ModelRejected):
                    raise answer
                return answer
            if phase is not None and resident - before > self._limits.memory_bytes:
                raise failed(f"it took more than {self._limits.memory_bytes / 1024**2:,.0f} MiB of memory")
            if frame is None and now > deadline:  # by a look at the clock before the last look for an answer
                raise self._too_long(phase)

    def end(self) -> None:
        """Kill the process and all that it started; from any thread."""
        with self._ending:
            if self._child.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(self.pid, signal.SIGKILL)
                self._child.wait()
                self._channel.close()
                self._folder.remove()

    def _send(self, kind: Kind, request: bytes) -> None:
        try:
            if not self._ready:
                self._channel.send(Kind.SETTINGS, self._settings, START_S)
                self._await_ready()
            self._channel.send(kind, request, START_S)
        except OSError as error:
            raise _NotBegunError(f"it takes no request: {error}") from error

    def _await_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while self._receive(None) is None:
            if time.monotonic() > deadline:
                raise _NotBegunError(f"it was not ready within {START_S:g} s")
        self._ready = True

    def _receive(self, phase: Phase | None) -> tuple[Kind, bytes] | None:
        """A frame, or None if there is none as a whole within `_WATCH_S`."""
        try:
            frame = self._channel.receive(_WATCH_S)
        except ValueError as error:
            raise _fault(phase, f"its loader sent something unexpected: {error}") from error
        except (EOFError, OSError):
            raise self._died(phase) from None
        # not only the end of the stream tells: what the process started may hold the socket open
        if frame is None and self._has_ended():
            raise self._died(phase)
        return frame

    def _has_ended(self) -> bool:
        """Whether it has; without collecting it, so that its id stays its own until it is killed with all below it."""
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _died(self, phase: Phase | None) -> Exception:
        self.end()
        code = self._child.returncode
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return _fault(phase, f"it killed its loader ({how})")

    def _too_long(self, phase: Phase | None) -> Exception:
        if phase is None:
            return _NotBegunError(f"its libraries were not imported within {LIBRARIES_S:g} s")
        fault = too_long(phase, self._limits)
        return ModelRejected(Reason.LOCATION, fault.detail) if phase is Phase.FETCH else fault


def _next_phase(phase: Phase | None, name: bytes) -> Phase:
    """The phase that begins; none begins twice, since each has its time."""
    order = list(Phase)
    following = order[0 if phase is None else order.index(phase) + 1 :]
    begins = next((each for each in following if each.name.encode() == name), None)
    if begins is None:
        raise _fault(phase, "its loader sent something unexpected: no phase that follows")
    return begins


def _answer(phase: Phase | None, wanted: type[A], kind: Kind, payload: bytes) -> A | ModelRejected:
    try:
        if kind is Kind.DONE and phase is not None:
            return wanted.FromString(payload)
        if kind is Kind.REJECTED and phase is not None:
            rejected = Rejected.FromString(payload)
            if rejected.reason in Reason.values():
                return ModelRejected(rejected.reason, rejected.detail)
    except DecodeError as error:
        raise _fault(phase, f"its loader sent something unexpected: {error}") from error
    raise _fault(phase, f"its loader sent something unexpected: no verdict, but {kind.name}")


def _fault(phase: Phase | None, what: str) -> Exception:
    """The model's fault once a phase has begun."""
    return _NotBegunError(what) if phase is None else failed(what)

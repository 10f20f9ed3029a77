"""What a sandbox and its process say to each other: frames over a socket. None of it can make the reader run code."""

from __future__ import annotations

import socket
import struct
from enum import IntEnum

from modelserving.locations import MAX_MODEL_BYTES
from modelserving.topics import MAX_MESSAGE_BYTES

_HEADER = struct.Struct("!BQ")
MAX_FRAME_BYTES = MAX_MODEL_BYTES + MAX_MESSAGE_BYTES
"""A model's bytes, and a message that says where they are and much else."""
_READ_BYTES = 1024 * 1024


class Kind(IntEnum):
    """What a frame's payload is."""

    SETTINGS = 1  # to the process, first and once: data types, sources and limits
    FETCH = 2  # to the process: a ModelDescriptor
    CHECK = 3  # to the process: a complete ModelDescriptor
    READY = 4  # from the process: nothing
    PHASE = 5  # from the process: the name of a gate.Phase that begins
    REJECTED = 6  # from the process: a Rejected with reason and detail
    DONE = 7  # from the process: a ModelDescriptor with what was fetched, or the Engine of a model that passed


class Channel:
    """One end of a connected socket, used from one thread."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = bytearray()

    def send(self, kind: Kind, payload: bytes = b"", timeout_s: float | None = None) -> None:
        """Send a frame.

        Raises:
            OSError: the other end is gone, or (TimeoutError) did not take the frame in time.
        """
        self._connection.settimeout(timeout_s)
        self._connection.sendall(_HEADER.pack(kind, len(payload)))
        self._connection.sendall(payload)

    def receive(self, timeout_s: float | None = None) -> tuple[Kind, bytes] | None:
        """The next frame, or None if the rest of it is still to come after one read of at most `timeout_s`.

        Raises:
            EOFError: the other end is gone.
            ValueError: what came is no frame, or one that is too large.
        """
        frame = self._next()  # one read may bring several
        if frame is not None:
            return frame
        self._connection.settimeout(timeout_s)
        try:
            part = self._connection.recv(_READ_BYTES)
        except TimeoutError:
            return None
        except ConnectionResetError:
            part = b""
        if not part:
            raise EOFError("the other end is gone")
        self._received += part
        return self._next()

    def close(self) -> None:
        """Close this end."""
        self._connection.close()

    def _next(self) -> tuple[Kind, bytes] | None:
        if len(self._received) < _HEADER.size:
            return None
        kind, size = _HEADER.unpack_from(self._received)
        if size > MAX_FRAME_BYTES:
            raise ValueError(f"a frame of {size} bytes; at most {MAX_FRAME_BYTES} are expected")
        end = _HEADER.size + size
        if len(self._received) < end:
            return None
        payload = bytes(memoryview(self._received)[_HEADER.size : end])
        del self._received[:end]
        return Kind(kind), payload

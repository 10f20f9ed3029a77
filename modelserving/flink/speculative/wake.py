"""How threads beside a Python function have it look for what they did: by a datagram to the JVM (`Pulse.java`)."""

from __future__ import annotations

import socket
from contextlib import suppress

_HOST = "127.0.0.1"


class Wake:
    """Asks for an element; from any thread. It may get lost: one comes by the clock, too."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._address: tuple[str, int] | None = None

    def listens_at(self, port: bytes) -> None:
        """The UDP port, in digits, where the JVM listens."""
        self._address = (_HOST, int(port))

    def __call__(self) -> None:
        """Ask for an element; before the port is known, the one that tells it is on its way."""
        if self._address is not None:
            with suppress(OSError):
                self._socket.sendto(b"", self._address)

    def close(self) -> None:
        """Ask no more."""
        self._socket.close()

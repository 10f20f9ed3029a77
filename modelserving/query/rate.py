"""How often one client may ask: a bucket of tokens for each, that fills again at a steady rate."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable

RATE_PER_S = 1000.0
BURST = 2000.0
MOST_CLIENTS = 10_000
_NETWORK = 64
"""Bits of an IPv6 address that tell clients apart: the rest anybody may choose."""


class Rate:
    """The buckets of all clients.

    Args:
        per_s: requests a second that a client may go on asking.
        burst: requests that it may ask at once.
        clock_s: seconds that only grow.
    """

    def __init__(
        self, per_s: float = RATE_PER_S, burst: float = BURST, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock_s = clock_s
        self._buckets: dict[str, tuple[float, float]] = {}
        """Client → tokens that it had, and when; those that asked longest ago first."""

    def take(self, address: str) -> float:
        """Count a request; 0 if it may be answered, else the seconds until one may."""
        client, now_s = _client(address), self._clock_s()
        tokens, then_s = self._buckets.pop(client, (self._burst, now_s))
        tokens = min(self._burst, tokens + (now_s - then_s) * self._per_s)
        wait_s = 0.0 if tokens >= 1 else (1 - tokens) / self._per_s
        self._buckets[client] = (tokens if wait_s else tokens - 1, now_s)
        if len(self._buckets) > MOST_CLIENTS:
            del self._buckets[next(iter(self._buckets))]
        return wait_s


def _client(address: str) -> str:
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address.partition("%")[0], _NETWORK), strict=False))
    except ValueError:
        return address

"""Routing: which models are asked for which records of a batch, and which of those decide.

A share of the records is drawn by a hash of what identifies each, so the same key is always on the same side, on every
instance and after every restart; and a key that is on the canary's side stays there when the share grows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from modelserving.speculative.policy import Policy


@dataclass(frozen=True, slots=True)
class Routes:
    """Who is asked for n records."""

    models: tuple[str, ...]
    """m models, the most trusted first."""
    asked: NDArray[np.bool_]
    """(m, n)"""
    voting: NDArray[np.bool_]
    """(m, n) of those asked, the ones that decide; the others are asked in the shadow."""

    def questions(self) -> Iterator[tuple[str, NDArray[np.int32]]]:
        """The models that are asked, each with the rows of its records."""
        for model, asked in zip(self.models, self.asked, strict=True):
            rows = np.flatnonzero(asked).astype(np.int32)
            if len(rows):
                yield model, rows


def route(policy: Policy, identities: Sequence[bytes]) -> Routes:
    """Who is asked.

    All of the policy's models decide on each record; on the canary's share of them the first challenger has the place
    of the champion, the first of the models. On the share `shadow` of the records those that do not decide are asked
    too.

    Args:
        identities: n: the key of each record; of one without a key what else it is known by, as its place on its log.
    """
    rows = len(identities)
    models = policy.ballot_models
    asked = np.ones((len(models), rows), bool)
    voting = asked.copy()
    if policy.challengers:
        canary, shadow = _draws(policy, identities)
        on_canary, in_shadow = canary < policy.canary, shadow < policy.shadow
        voting[0], voting[1] = on_canary, ~on_canary
        voting[1 + len(policy.models) :] = False
        asked = voting | in_shadow
    return Routes(models, asked, voting)


def _draws(policy: Policy, identities: Sequence[bytes]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two numbers for each record, from 0 up to, but not, 1; each challenger has its own."""
    if policy.canary in (0, 1) and policy.shadow in (0, 1):  # the numbers make no difference
        none = np.zeros(len(identities))
        return none, none
    seed = blake2b(f"{policy.data_type}\0{policy.challengers[0]}\0".encode(), digest_size=16)
    digests = bytearray()
    for identity in identities:
        state = seed.copy()
        state.update(identity)
        digests += state.digest()
    # The upper 53 bits are what a float64 can hold.
    draws = (np.frombuffer(bytes(digests), "<u8") >> np.uint64(11)) / 2.0**53
    return draws[0::2], draws[1::2]

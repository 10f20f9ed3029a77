"""A request in flight as a message, so that a checkpoint can hold it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from modelserving.speculative.control import control_of, policy_of
from modelserving.speculative.deciders import Decider, missing
from modelserving.speculative.request import Request
from modelserving.speculative.routing import Routes
from modelserving.speculative.votes import votes_message, votes_of
from modelserving.wire.speculative_pb2 import RequestState

SCHEMA = 1


def encode_request(request: Request) -> bytes:
    """All that is needed to go on, but for the records themselves."""
    return request_message(request).SerializeToString()


def request_message(request: Request) -> RequestState:
    """The message that `encode_request` encodes."""
    ballot = request.ballot
    return RequestState(
        schema=SCHEMA,
        policy=control_of(request.policy),
        received_us=request.received_us,
        rows=ballot.rows,
        models=ballot.models,
        asked=ballot.asked.tobytes(),
        voting=ballot.voting.tobytes(),
        votes=[votes_message("", votes) for votes in ballot.votes],
        why=request.why.astype("i1").tobytes(),
        numbers=request.numbers.astype("<f8").tobytes(),
        labels=request.labels.astype("<i4").tobytes(),
        label_names=ballot.label_names,
        decided_us=request.decided_us.astype("<i8").tobytes(),
    )


def decode_request(encoded: bytes, deciders: Mapping[str, Decider]) -> Request:
    """What `encode_request` was given; what was decided stays decided. See `request_of`."""
    return request_of(RequestState.FromString(encoded), deciders)


def request_of(state: RequestState, deciders: Mapping[str, Decider]) -> Request:
    """The request of a message of `request_message`; what was decided stays decided.

    Args:
        state: the message.
        deciders: by import path, those that there are; by one that is not, records get the default.

    Raises:
        ValueError: it is of a later release.
    """
    if state.schema > SCHEMA:
        raise ValueError(f"a request of schema {state.schema} was written by a later release than this")
    path = state.policy.decider
    policy = policy_of(state.policy, (path,))
    decider = deciders.get(path, missing(path)) if path else None
    shape = (len(state.models), state.rows)
    asked, voting = (np.frombuffer(each, bool).reshape(shape) for each in (state.asked, state.voting))
    routes = Routes(tuple(state.models), asked, voting)
    request = Request(policy, routes, state.received_us, decider)
    for votes in state.votes:
        request.add(votes_of(votes)[1], in_time=False)
    codes: NDArray[np.int32] = np.array([request.ballot.code(name) for name in state.label_names] or [0], np.int32)
    labels = np.frombuffer(state.labels, "<i4")
    request.why[:] = np.frombuffer(state.why, "i1")
    request.numbers[:] = np.frombuffer(state.numbers, "<f8")
    request.labels[:] = np.where(labels < 0, -1, codes[labels])
    request.decided_us[:] = np.frombuffer(state.decided_us, "<i8")
    return request

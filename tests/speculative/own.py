"""Deciders and models of a user's own, to be named by import path or sent to a process."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence

import pyarrow as pa

from modelserving.servable import Scores
from modelserving.speculative.answering import Score
from modelserving.speculative.ballot import Vote
from modelserving.speculative.deciders import Choice
from modelserving.speculative.policy import Policy

not_callable = 5


def first_come(policy: Policy, votes: Sequence[Vote], outstanding: Sequence[str], at_deadline: bool) -> Choice | None:
    """The answer that came first."""
    del policy, at_deadline
    for vote in votes:
        if vote.answer is not None:
            return Choice(vote.answer, (vote.model,), f"{len(outstanding)} are slower")
    return None


def raises(policy: Policy, votes: Sequence[Vote], outstanding: Sequence[str], at_deadline: bool) -> Choice | None:
    """Fails."""
    raise LookupError(f"{len(votes)} votes, {len(outstanding)} to come, {at_deadline}, {policy.data_type}")


def least_of_all(policy: Policy, votes: Sequence[Vote], outstanding: Sequence[str], at_deadline: bool) -> Choice | None:
    """The least number of all, or of those that are there by the deadline."""
    del policy
    if outstanding and not at_deadline:
        return None
    numbers = {vote.answer: vote.model for vote in votes if isinstance(vote.answer, float)}
    if not numbers:
        return Choice(None)
    return Choice(min(numbers), (numbers[min(numbers)],), f"of {len(numbers)}")


class Deciders:
    """A place for one."""

    first = staticmethod(first_come)


def double(batch: pa.RecordBatch) -> Scores:
    """Twice x."""
    return Scores(batch.num_rows, numbers=batch.column("x").to_numpy() * 2)


def make_double() -> Score:
    """A function that scores."""
    return double


def make_noisy() -> Score:
    """One that prints where answers go, and reads where questions come from."""

    def noisy(batch: pa.RecordBatch) -> Scores:
        print("noise", flush=True)
        os.write(1, b"more of it\n")
        assert not os.read(0, 100)
        return double(batch)

    return noisy


def make_broken() -> Score:
    """Cannot be made."""
    raise OSError("no such file")


def make_dying() -> Score:
    """One that ends its process if x is below 0."""

    def dying(batch: pa.RecordBatch) -> Scores:
        if batch.column("x")[0].as_py() < 0:
            os._exit(3)
        return double(batch)

    return dying


def make_greedy() -> Score:
    """One that holds Python's lock, for ever if x is below 0."""

    def greedy(batch: pa.RecordBatch) -> Scores:
        if batch.column("x")[0].as_py() < 0:
            re.match(r"(a+)+$", "a" * 60 + "b")
        return double(batch)

    return greedy


def make_hanging() -> Score:
    """One that never comes back from being made."""
    while True:
        time.sleep(3600)

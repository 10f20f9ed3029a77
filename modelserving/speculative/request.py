"""A request: a batch of records on which several models vote, from its receipt to the last vote."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from modelserving.speculative.agreement import compare
from modelserving.speculative.ballot import Ballot
from modelserving.speculative.deciders import Decider
from modelserving.speculative.deciding import Decided, decide_rows
from modelserving.speculative.policy import Policy
from modelserving.speculative.routing import Routes
from modelserving.speculative.rules import UNDECIDED
from modelserving.speculative.votes import ModelVotes
from modelserving.wire.speculative_pb2 import VoteState


class Request:
    """Takes votes in, and decides on each of n records once.

    Args:
        policy: holds for this request, whatever the data type's policy becomes.
        routes: who is asked.
        received_us: when the records were received, epoch microseconds.
        decider: what the policy's import path names, if it names one; decides in place of the rule.
    """

    def __init__(self, policy: Policy, routes: Routes, received_us: int, decider: Decider | None = None) -> None:
        if policy.decider and decider is None:
            raise ValueError(f"the policy names the decider {policy.decider!r}, and none is given")
        self.policy = policy
        self.received_us = received_us
        self.deadline_us = received_us + policy.timeout_ms * 1000
        self.ballot = Ballot(routes.models, routes.asked, routes.voting, policy.metric)
        self._decider = decider
        rows = self.ballot.rows
        self.why = np.full(rows, UNDECIDED, np.int8)
        """(n,) Why; UNDECIDED where nothing is decided."""
        self.numbers = np.full(rows, np.nan)
        """(n,) decided answers; not a number: none, or none yet."""
        self.labels = np.full(rows, -1, np.int32)
        """(n,) index into the ballot's `label_names`; -1: none, or none yet."""
        self.decided_us = np.zeros(rows, np.int64)
        """(n,) epoch microseconds."""
        self.in_time = np.zeros(self.ballot.asked.shape, bool)
        """(m, n) the vote came before the deadline; not known of those that came before a crash."""

    @property
    def is_decided(self) -> bool:
        """Whether each record has its answer."""
        return not (self.why == UNDECIDED).any()

    @property
    def is_complete(self) -> bool:
        """Whether each record has its answer, and all that were asked have voted."""
        return self.is_decided and self.ballot.is_complete

    def add(self, votes: ModelVotes, *, in_time: bool = True) -> NDArray[np.int64]:
        """Take in votes; a second one of a model on a record is passed over.

        Args:
            votes: on some of the records.
            in_time: they came before the deadline, or rather before that is acted upon.

        Returns:
            The rows of those that were late: their records had been decided, and they change nothing.
        """
        rows = self.ballot.add(votes)
        self.in_time[self.ballot.models.index(votes.model), rows] = in_time
        late: NDArray[np.int64] = rows[self.why[rows] != UNDECIDED]
        return late

    def decide(self, now_us: int, lead_us: int = 0) -> Decided:
        """Decide on all records on which the votes that are in suffice; on all that are left from the deadline on.

        What comes of it is to be encoded before more votes are taken in.

        Args:
            now_us: epoch microseconds.
            lead_us: all that are left are decided so long before the deadline.
        """
        rows = np.flatnonzero(self.why == UNDECIDED)
        decided = decide_rows(self.policy, self.ballot, rows, now_us >= self.deadline_us - lead_us, self._decider)
        self.why[decided.rows] = decided.why
        self.numbers[decided.rows] = decided.numbers
        self.labels[decided.rows] = decided.labels
        self.decided_us[decided.rows] = now_us
        return decided

    def outstanding(self) -> list[tuple[str, NDArray[np.int32]]]:
        """The models that have not voted on some records, each with their rows."""
        waiting = self.ballot.states == VoteState.OUTSTANDING
        return [
            (model, np.flatnonzero(waits).astype(np.int32))
            for model, waits in zip(self.ballot.models, waiting, strict=True)
            if waits.any()
        ]

    def agreement(self, model: int, rows: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Where the model's answers to `rows` can be compared with the decided ones, and where they agree."""
        ballot = self.ballot
        return compare(
            (ballot.numbers[model, rows], self.numbers[rows]),
            (ballot.labels[model, rows], self.labels[rows]),
            self.policy.tolerance,
        )

"""A ballot: the votes of m models on the n records of a request, as they come in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from modelserving.servable import ModelVersion
from modelserving.speculative.policy import Answer
from modelserving.speculative.votes import ModelVotes
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.speculative_pb2 import VoteState

NOT_ASKED = -1
"""A state beside those of `VoteState`."""


@dataclass(frozen=True, slots=True)
class Vote:
    """What one model said to one record."""

    model: str
    answer: Answer | None = None
    state: VoteState = VoteState.ANSWERED
    confidence: float | None = None
    quality: float | None = None
    version: ModelVersion | None = None
    reason: Reason = Reason.REASON_UNSPECIFIED
    detail: str = ""
    taken_us: int = 0
    score_us: int = 0
    shadow: bool = False
    """It is not to decide."""


class Ballot:
    """What is in of the votes.

    Args:
        models: m names, the most trusted first.
        asked: (m, n) which models are asked for which records.
        voting: (m, n) which of those decide; the others are asked in the shadow.
        metric: the one among the models' metrics that is the quality of their answers; empty: none.
    """

    def __init__(
        self, models: Sequence[str], asked: NDArray[np.bool_], voting: NDArray[np.bool_], metric: str = ""
    ) -> None:
        shape = asked.shape
        self.models = tuple(models)
        self.asked = asked
        self.voting = voting & asked
        self.states = np.where(asked, np.int8(VoteState.OUTSTANDING), np.int8(NOT_ASKED))
        """(m, n) VoteState or NOT_ASKED."""
        self.numbers = np.full(shape, np.nan)
        """(m, n) not a number: the answer is none."""
        self.labels = np.full(shape, -1, np.int32)
        """(m, n) index into `label_names`; -1: the answer is none."""
        self.confidence = np.full(shape, np.nan)
        self.quality = np.full(shape, np.nan)
        self.votes: list[ModelVotes] = []
        """All that came, in order of arrival."""
        self.part = np.full(shape, -1, np.int32)
        """(m, n) index into `votes`; -1: none."""
        self.place = np.zeros(shape, np.int32)
        """(m, n) index into the rows of that."""
        self.label_names: list[str] = []
        self._metric = metric
        self._codes: dict[str, int] = {}
        self._failures: dict[tuple[int, int], tuple[Reason, str]] = {}

    @property
    def rows(self) -> int:
        """n"""
        return len(self.states[0])

    @property
    def is_complete(self) -> bool:
        """Whether all that were asked have voted."""
        return not (self.states == VoteState.OUTSTANDING).any()

    def add(self, votes: ModelVotes) -> NDArray[np.int64]:
        """Take in votes; a model's first vote on a record counts, and others are passed over.

        Returns:
            The rows whose vote was taken.

        Raises:
            ValueError: no such model is on the ballot.
        """
        model = self.models.index(votes.model)
        taken = np.flatnonzero(self.states[model, votes.rows] == VoteState.OUTSTANDING)
        rows = votes.rows[taken].astype(np.int64)
        answered = votes.states[taken] == VoteState.ANSWERED
        self.states[model, rows] = votes.states[taken]
        if votes.label_index is not None:
            codes = np.array([self.code(name) for name in votes.classes], np.int32)
            self.labels[model, rows[answered]] = codes[votes.label_index[taken[answered]]]
        elif votes.numbers is not None:
            self.numbers[model, rows[answered]] = votes.numbers[taken[answered]]
        if votes.confidence is not None:
            self.confidence[model, rows[answered]] = votes.confidence[taken[answered]]
        self.quality[model, rows] = votes.metrics.get(self._metric, np.nan)
        self.part[model, rows] = len(self.votes)
        self.place[model, rows] = taken
        news = set(taken.tolist())
        for failure in votes.failures:
            if failure.row in news:
                self._failures[model, int(votes.rows[failure.row])] = (failure.reason, failure.detail)
        self.votes.append(votes)
        return rows

    def code(self, label: str) -> int:
        """The label's index in `label_names`; a new one is put there."""
        code = self._codes.setdefault(label, len(self._codes))
        if code == len(self.label_names):
            self.label_names.append(label)
        return code

    def vector(self, model: int, row: int) -> tuple[float, ...]:
        """The answer that is a vector and nothing else; empty if it is none."""
        part = int(self.part[model, row])
        outputs = self.votes[part].outputs if part >= 0 else None
        if outputs is None or self.states[model, row] != VoteState.ANSWERED or self.labels[model, row] >= 0:
            return ()
        return tuple(outputs[self.place[model, row]].tolist())

    def why_none(self, model: int, row: int) -> tuple[Reason, str]:
        """Reason and detail of a vote that is no answer."""
        part = int(self.part[model, row])
        told = self._failures.get((model, row))
        return told or (Reason.REASON_UNSPECIFIED, self.votes[part].detail if part >= 0 else "")

    def vote(self, model: int, row: int) -> Vote:
        """One vote, of a model that was asked."""
        state = cast(VoteState, int(self.states[model, row]))
        votes = self.votes[self.part[model, row]] if self.part[model, row] >= 0 else None
        answered = state == VoteState.ANSWERED
        reason, detail = (Reason.REASON_UNSPECIFIED, "") if answered else self.why_none(model, row)
        confidence, quality = float(self.confidence[model, row]), float(self.quality[model, row])
        return Vote(
            model=self.models[model],
            answer=self._answer(model, row) if answered else None,
            state=state,
            confidence=None if np.isnan(confidence) else confidence,
            quality=None if np.isnan(quality) else quality,
            version=votes.version if votes else None,
            reason=reason,
            detail=detail,
            taken_us=votes.taken_us if votes else 0,
            score_us=votes.score_us if votes else 0,
            shadow=not self.voting[model, row],
        )

    def _answer(self, model: int, row: int) -> Answer:
        label, number = int(self.labels[model, row]), float(self.numbers[model, row])
        if label >= 0:
            return self.label_names[label]
        return self.vector(model, row) if np.isnan(number) else number

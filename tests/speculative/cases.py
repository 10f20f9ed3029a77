"""Policies, votes and clocks that the tests of speculative serving share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from hypothesis import strategies as st

from modelserving.servable import ModelVersion
from modelserving.speculative.ballot import Vote
from modelserving.speculative.deciding import Decided
from modelserving.speculative.policy import Answer, Policy
from modelserving.speculative.request import Request
from modelserving.speculative.routing import route
from modelserving.speculative.votes import ModelVotes
from modelserving.wire.speculative_pb2 import Average, QualityBy, Rule, VoteState

NOW_US = 1_700_000_000_000_000
TIMEOUT_MS = 50
DEADLINE_US = NOW_US + TIMEOUT_MS * 1000
MODELS = ("smart", "middling", "fast", "odd", "even")
MISSING = [
    VoteState.NO_SUCH_MODEL,
    VoteState.FAILED,
    VoteState.SHED,
    VoteState.EXPIRED,
    VoteState.LANE_ENDED,
    VoteState.NOT_LOADED,
]


class Clock:
    """Epoch microseconds, as the test says."""

    def __init__(self) -> None:
        self.now_us = NOW_US

    def __call__(self) -> int:
        return self.now_us


def policy(*models: str, **fields: object) -> Policy:
    """A policy of these models, in the order of trust."""
    return Policy("wine", TIMEOUT_MS, models or MODELS[:3], **fields)  # type: ignore[arg-type]


def request(of: Policy, rows: int = 1) -> Request:
    """A request of so many records, received at `NOW_US`."""
    return Request(of, route(of, [b"%d" % row for row in range(rows)]), NOW_US)


def version(model: str) -> ModelVersion:
    """The version that answers for a model."""
    return ModelVersion(model, "1", model.encode().hex().ljust(64, "0"))


def said(model: str, *answers: Answer | None, rows: Sequence[int] | None = None, **fields: object) -> ModelVotes:
    """The votes of a model on rows 0, 1, … (or on `rows`): all labels, numbers or vectors; None for a failure."""
    given = [answer for answer in answers if answer is not None]
    labels = sorted({answer for answer in given if isinstance(answer, str)})
    vectors = [answer for answer in given if isinstance(answer, tuple)]
    numbers = [answer if isinstance(answer, float) else np.nan for answer in answers]
    index = [labels.index(answer) if isinstance(answer, str) else 0 for answer in answers]
    outputs = (
        [answer if isinstance(answer, tuple) else (np.nan,) * len(vectors[0]) for answer in answers] if vectors else []
    )
    return ModelVotes(
        model,
        np.array(range(len(answers)) if rows is None else rows, np.int32),
        np.array([VoteState.FAILED if answer is None else VoteState.ANSWERED for answer in answers], np.int8),
        version(model),
        numbers=None if labels or vectors or not given else np.array(numbers),
        classes=tuple(labels),
        label_index=np.array(index, np.int32) if labels else None,
        outputs=np.array(outputs) if vectors else None,
        **fields,  # type: ignore[arg-type]
    )


def parts(model: str, votes: Mapping[int, Vote], metric: str = "") -> list[ModelVotes]:
    """The votes of a model by row, of whatever kinds."""
    found = []
    for row, vote in votes.items():
        metrics = {} if vote.quality is None else {metric: vote.quality}
        confidence = np.array([np.nan if vote.confidence is None else vote.confidence])
        if vote.state == VoteState.ANSWERED:
            found.append(said(model, vote.answer, rows=[row], confidence=confidence, metrics=metrics))
        else:
            found.append(ModelVotes(model, np.array([row], np.int32), np.array([vote.state], np.int8), metrics=metrics))
    return found


def answers_of(of: Request, decided: Decided) -> list[tuple[int, int, Answer | None]]:
    """Row, reason and answer of what was decided."""
    return [
        (row, int(decided.why[index]), decided.answer(of.ballot, index))
        for index, row in enumerate(decided.rows.tolist())
    ]


NUMBERS = st.integers(-4, 8).map(lambda quarters: quarters / 4)
"""Close to each other, and exact."""
ANSWERS = st.one_of(
    st.sampled_from("abc"),
    NUMBERS,
    st.floats(allow_nan=False, allow_infinity=False, width=32),
    st.tuples(NUMBERS, NUMBERS),
)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Policies of all rules, with ties in all that can tie."""
    models = MODELS[: draw(st.integers(1, len(MODELS)))]
    rule = draw(st.sampled_from([Rule.TRUST, Rule.CONSENSUS, Rule.QUALITY, Rule.COMBINED]))
    fields: dict[str, object] = {"default": draw(st.sampled_from([None, "default", -1.0]))}
    if rule in (Rule.CONSENSUS, Rule.COMBINED):
        fields["quorum"] = draw(st.integers(0, len(models)))
        fields["average"] = draw(st.sampled_from([Average.MEDIAN, Average.MEAN]))
        fields["tolerance"] = draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    if rule == Rule.QUALITY:
        by = draw(st.sampled_from([QualityBy.WEIGHT, QualityBy.METRIC, QualityBy.CONFIDENCE]))
        fields["quality_by"] = by
        if by == QualityBy.WEIGHT:
            fields["weights"] = tuple(float(draw(st.integers(-1, 1))) for _ in models)
        if by == QualityBy.METRIC:
            fields["metric"] = "accuracy"
    return policy(*models, rule=rule, **fields)


@st.composite
def votes(draw: st.DrawFn, model: str) -> Vote:
    """An answer, or none."""
    quality = draw(st.sampled_from([None, 0.0, 1.0, 2.0]))
    if draw(st.integers(0, 3)) == 0:
        return Vote(model, state=draw(st.sampled_from(MISSING)), quality=quality)
    return Vote(model, draw(ANSWERS), confidence=draw(st.sampled_from([None, 0.0, 0.5, 1.0])), quality=quality)

"""The check of the invariants sees what it is for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from modelserving.statistics.keys import policy_key
from modelserving.wire.serving_pb2 import LogPosition, Reason, Rejected, ServingResult
from modelserving.wire.speculative_pb2 import LateAnswer, SpeculativeDecision, SpeculativeVote, VoteState
from modelserving.wire.stats_pb2 import PolicyStats, ServingStats
from tests.faults.invariants import Account
from tests.faults.load import BAD

SENT = {number: (number % 4, number // 4) for number in range(100)}
"""Number 50 is bad."""
BAD_MODELS = [3, 7]


def result(number: int, key: int | None = None, place: tuple[int, int] | None = None) -> tuple[bytes, bytes]:
    partition, offset = place or SENT[number]
    record = LogPosition(partition=partition, offset=offset)
    return b"%d" % (number if key is None else key), ServingResult(record=record, model_version="1").SerializeToString()


def rejection(number: int, reason: Reason = Reason.MALFORMED, original: bytes = BAD) -> tuple[bytes, bytes]:
    partition, offset = SENT[number]
    position = LogPosition(partition=partition, offset=offset)
    value = Rejected(reason=reason, original=original, detail="why", position=position).SerializeToString()
    return b"%d" % number, value


def account_of(
    results: Sequence[tuple[bytes, bytes]], rejections: Sequence[tuple[bytes, bytes]], models: Sequence[int]
) -> Account:
    account = Account()
    for key, value in results:
        account.add_result(key, value)
    for key, value in rejections:
        account.add_rejected_record(key, value)
    for offset in models:
        account.add_rejected_model(Rejected(position=LogPosition(offset=offset)).SerializeToString())
    return account


GOOD = [result(number) for number in SENT if number != 50]
TURNED_AWAY = [rejection(50)]


def test_all_is_well() -> None:
    account = account_of(GOOD, TURNED_AWAY, BAD_MODELS)
    assert account.findings(SENT, BAD_MODELS).faults == []
    assert account.has_answers(SENT.values())
    assert account.has_rejections(BAD_MODELS)
    assert account.versions([SENT[1], SENT[2]]) == {"1"}
    assert account.versions([SENT[50]]) == {""}


@pytest.mark.parametrize(
    ("results", "rejections", "models", "fault"),
    [
        (GOOD[1:], TURNED_AWAY, BAD_MODELS, "1 records lost, such as [(0, 0)]"),
        (GOOD, [], BAD_MODELS, "1 records lost, such as [(2, 12)]"),
        ([*GOOD, GOOD[4]], TURNED_AWAY, BAD_MODELS, "1 records doubled, such as [(0, 1)]"),
        (GOOD, TURNED_AWAY * 2, BAD_MODELS, "1 records doubled, such as [(2, 12)]"),
        ([*GOOD, result(4, place=(9, 9))], TURNED_AWAY, BAD_MODELS, "an answer to (9, 9), where no record was sent"),
        (
            [*GOOD[1:], result(0, key=8)],
            TURNED_AWAY,
            BAD_MODELS,
            "the answer to the record at (0, 0) has the key 8, the record 0",
        ),
        ([*GOOD, result(50)], [], BAD_MODELS, "record 50 at (2, 12) was scored"),
        (GOOD[1:], [*TURNED_AWAY, rejection(0)], BAD_MODELS, "record 0 at (0, 0) was rejected"),
        (GOOD, [rejection(50, Reason.NO_MODEL)], BAD_MODELS, "the record at (2, 12) was rejected: why"),
        (GOOD, [rejection(50, original=b"")], BAD_MODELS, "the record at (2, 12) was rejected: why"),
        (GOOD, TURNED_AWAY, [3], "the bad model at 7 was not rejected"),
        (GOOD, TURNED_AWAY, [3, 7, 8], "the good model at 8 was rejected"),
        (GOOD, TURNED_AWAY, [3, 7, 7], "the model at 7 was rejected 2 times"),
    ],
    ids=[
        "good record lost",
        "bad record lost",
        "scored twice",
        "rejected twice",
        "never sent",
        "key of another",
        "bad one scored",
        "good one rejected",
        "other reason",
        "other original",
        "bad model not rejected",
        "good model rejected",
        "model rejected twice",
    ],
)
def test_fault_is_named(
    results: list[tuple[bytes, bytes]], rejections: list[tuple[bytes, bytes]], models: list[int], fault: str
) -> None:
    assert account_of(results, rejections, models).findings(SENT, BAD_MODELS).faults == [fault]


@pytest.mark.parametrize(
    ("served", "rejected", "faults"),
    [
        (99, 1, []),
        (98, 1, ["by the statistics version '1' served 98 records, by the results 99"]),
        (99, 2, ["by the statistics 2 records were rejected, and 1 were"]),
    ],
)
def test_statistics_are_held_against_what_was_read(served: int, rejected: int, faults: list[str]) -> None:
    account = account_of(GOOD, TURNED_AWAY, BAD_MODELS)
    account.add_statistics(b"k", ServingStats(model_version="1", served=7).SerializeToString())  # replaced by the next
    account.add_statistics(b"k", ServingStats(model_version="1", served=served).SerializeToString())
    account.add_statistics(b"none", ServingStats(rejected={"MALFORMED": rejected}).SerializeToString())
    assert account.statistics_faults() == faults


def test_versions_that_are_added_up_count() -> None:
    account = account_of(GOOD, TURNED_AWAY, BAD_MODELS)
    account.add_statistics(b"k", ServingStats(model_version="1", served=99).SerializeToString())
    account.add_statistics(b"n", ServingStats(rejected={"MALFORMED": 1}).SerializeToString())
    account.add_statistics(b"k", None)
    assert account.statistics_faults(), "it is missing"
    earlier = ServingStats(name="(earlier versions)", served=99)
    account.add_statistics(b"e", earlier.SerializeToString())
    assert account.statistics_faults() == []


def vote(version: str, state: VoteState = VoteState.ANSWERED, *, counted: bool = False) -> SpeculativeVote:
    return SpeculativeVote(model="m", model_version=version, state=state, counted=counted)


def decision(number: int, answer: float, *votes: SpeculativeVote, received_ms: int = 1000) -> tuple[bytes, bytes]:
    partition, offset = SENT[number]
    record = LogPosition(partition=partition, offset=offset)
    decided = SpeculativeDecision(
        record=record, number=answer, votes=votes, received_at_ms=received_ms, decided_at_ms=received_ms + 50
    )
    return b"%d" % number, decided.SerializeToString()


def decided_account(*decisions: tuple[bytes, bytes]) -> Account:
    account = Account()
    for each in decisions:
        account.add_decision(*each)
    return account


SMART, FAST = vote("3", counted=True), vote("0", counted=True)
DECIDED = [
    decision(0, 3.0, SMART, vote("0")),
    decision(1, 0.0, vote("3", VoteState.OUTSTANDING), FAST),
    decision(2, -1.0, vote("", VoteState.NOT_LOADED), vote("0", VoteState.FAILED)),
]


def test_decided_once_by_the_model_that_is_counted() -> None:
    account = decided_account(*DECIDED)
    sent = {number: SENT[number] for number in range(3)}
    assert account.findings(sent, []).faults == []
    assert [account.versions([SENT[number]]) for number in range(3)] == [{"3"}, {"0"}, {""}]
    account.add_decision(*DECIDED[1])
    assert account.findings(sent, []).faults == ["1 records doubled, such as [(1, 0)]"]


@pytest.mark.parametrize(
    ("answer", "votes", "version"),
    [(2.0, [SMART], "3"), (0.0, [SMART, vote("0")], "3"), (3.0, [vote("3", VoteState.OUTSTANDING)], "")],
)
def test_an_answer_that_is_not_that_of_the_model_counted(
    answer: float, votes: list[SpeculativeVote], version: str
) -> None:
    (fault,) = decided_account(decision(0, answer, *votes)).findings({0: SENT[0]}, []).faults
    assert fault == f"the answer to the record at (0, 0) is {answer}, by version {version!r}"


def test_what_is_in_flight() -> None:
    account = decided_account(*(decision(number, 3.0, SMART, received_ms=1000 + 10 * number) for number in range(3)))
    assert [account.in_flight(at_ms) for at_ms in (1000, 1005, 1025, 1055, 1100)] == [0, 1, 3, 2, 0]


@pytest.mark.parametrize(
    ("smart", "fast", "decided", "faults"),
    [
        (2, 2, 3, []),
        (1, 2, 3, ["by the statistics version '3' served 1 records, by the results 2"]),
        (2, 3, 3, ["by the statistics version '0' served 3 records, by the results 2"]),
        (2, 2, 2, ["by the statistics 2 records were decided, and 3 were"]),
    ],
)
def test_statistics_count_each_vote_and_each_decision(smart: int, fast: int, decided: int, faults: list[str]) -> None:
    account = decided_account(*DECIDED)
    account.add_late_answer(LateAnswer(vote=vote("3")).SerializeToString())
    account.add_late_answer(LateAnswer(vote=vote("3", VoteState.FAILED)).SerializeToString())
    account.add_statistics(b"smart", ServingStats(model_version="3", served=smart).SerializeToString())
    account.add_statistics(b"fast", ServingStats(model_version="0", served=fast).SerializeToString())
    account.add_statistics(policy_key("wine"), PolicyStats(decided=decided).SerializeToString())
    assert account.statistics_faults() == faults

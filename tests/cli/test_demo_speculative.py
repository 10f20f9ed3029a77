"""`modelserving demo --mode speculative`: run for real; and how it keeps its account."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from modelserving.cli.main import main
from modelserving.demo import slowdown
from modelserving.demo.decisions import DecisionTally, Second, Shift
from modelserving.demo.progress import LiveTable
from modelserving.demo.run import Account, Stage
from modelserving.demo.shares import Shares
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import LogPosition, Reason, Rejected
from modelserving.wire.speculative_pb2 import LateAnswer, SpeculativeDecision, SpeculativeVote, VoteState, Why
from modelserving.wire.wine_pb2 import WineRecord
from tests.cli.conftest import Start, assert_nothing_is_left

LINE = re.compile(
    r"decided (\d+) of (\d+) records; answers by smart: quick (\d+)%, slowed down (\d+)%, quick again (\d+)%; "
    r"0 lost, 0 doubled"
)
QUICK, SLOW = Shift("quick", "smart", 0.97), Shift("slowed down", "fast", 0.02)


@pytest.mark.alone
def test_answers_shift_to_the_fast_model_and_back(start: Start, temporary: Path) -> None:
    demo = start("--mode", "speculative", "--keep")
    assert demo.stdout is not None
    output = ""
    while "all stays up" not in output:
        line = demo.stdout.readline()
        assert line, output + demo.communicate()[1]
        output += line
    (page,) = re.findall(r"watch it at (http://\S+)$", output, flags=re.M)
    with urllib.request.urlopen(f"{page}api/policies", timeout=10) as response:  # noqa: S310 - our own address
        (policy,) = json.load(response)["policies"]
    os.killpg(demo.pid, signal.SIGINT)
    rest, errors = demo.communicate()
    assert (demo.returncode, errors) == (0, "")
    told = LINE.fullmatch((output + rest).splitlines()[-1])
    assert told is not None
    decided, sent, quick, slow, again = map(int, told.groups())
    assert decided == sent == policy["decided"]
    assert min(quick, again) >= 80
    assert slow <= 20
    assert policy["terms"]["models"] == ["smart", "fast"]
    published = re.findall(r"s  (\w+ \d) \(.+\) published$", output, flags=re.M)
    assert published == ["fast 1", "smart 1", "smart 2", "smart 1"]
    shifts = re.findall(r"s  (\w+): \d+% of the last 1,000 answers, ", output)
    assert shifts == ["smart", "fast", "smart"]
    assert_nothing_is_left(temporary)


@pytest.mark.parametrize("option", ["--join=keyed", "--records=5"])
def test_option_of_the_other_mode_is_a_usage_error(option: str) -> None:
    done = CliRunner().invoke(main, ["demo", "--mode", "speculative", option])
    assert done.exit_code == 2
    assert f"{option.split('=', maxsplit=1)[0]} is for --mode swaps; leave it out" in done.stderr


def decision(offset: int, model: str = "smart", why: Why = Why.BEST, took_ms: int = 10) -> bytes:
    return SpeculativeDecision(
        record=LogPosition(partition=1, offset=offset),
        model_name=model,
        why=why,
        decided_at_ms=7_500,
        latency_us=took_ms * 1000,
    ).SerializeToString()


def tally_of(*decided: int) -> DecisionTally:
    """Of three records that were sent."""
    tally = DecisionTally()
    for offset in range(3):
        tally.add_sent((1, offset), True)
    for offset in decided:
        tally.add_decision(decision(offset))
    return tally


def test_summary_of_a_run_without_fault() -> None:
    summary = tally_of(0, 2, 1).summary([QUICK, SLOW])
    assert summary.line == "decided 3 of 3 records; answers by smart: quick 97%, slowed down 2%; 0 lost, 0 doubled"
    assert summary.faults == []


@pytest.mark.parametrize(
    ("decided", "line", "fault"),
    [
        ([0, 1], "decided 2 of 3 records; answers by smart: quick 97%; 1 lost, 0 doubled", "without a decision: 1"),
        ([0, 1, 2, 2], "decided 3 of 3 records; answers by smart: quick 97%; 0 lost, 1 doubled", "beyond one .*: 1"),
        ([0, 1, 2, 9], "decided 3 of 3 records; answers by smart: quick 97%; 0 lost, 1 doubled", "beyond one .*: 1"),
    ],
    ids=["lost", "twice", "never sent"],
)
def test_summary_names_the_fault(decided: list[int], line: str, fault: str) -> None:
    summary = tally_of(*decided).summary([QUICK])
    assert summary.line == line
    (found,) = summary.faults
    assert re.search(fault, found)


def test_summary_names_the_shift_that_was_not_seen_and_what_was_rejected() -> None:
    tally = tally_of(0, 1, 2)
    tally.add_rejected(Rejected(reason=Reason.NO_POLICY).SerializeToString())
    summary = tally.summary([QUICK, Shift("slowed down", "fast", None), Shift("quick again", "smart", None)])
    assert "quick 97%, slowed down not seen, quick again not seen; 0 lost" in summary.line
    assert summary.faults == [
        "records rejected as NO_POLICY: 1",
        "slowed down: most answers were to be fast's, and were not",
    ]


def test_seconds_count_by_model_and_by_why_and_answers_after_the_deadline() -> None:
    tally = tally_of()
    tally.add_decision(decision(0, took_ms=10))
    tally.add_decision(decision(1, "fast", Why.DEADLINE, took_ms=52))
    for state, after_us in ((VoteState.ANSWERED, 650_000), (VoteState.ANSWERED, -1), (VoteState.EXPIRED, 650_000)):
        late = LateAnswer(
            vote=SpeculativeVote(state=state),
            decided_at_ms=7_500,
            after_decision_us=700_000,
            after_deadline_us=after_us,
        )
        tally.add_late(late.SerializeToString())
    assert tally.late == 1
    assert dict(tally.seconds[7].by) == {"smart": 1, "fast": 1}
    assert dict(tally.seconds[7].why) == {Why.BEST: 1, Why.DEADLINE: 1}
    assert [tally.seconds[7].quantile_ms(share) for share in (0.5, 0.99)] == [10, 52]
    assert [(tally.seconds[8].late, tally.seconds[8].quantile_ms(0.5))] == [(1, 0.0)]


def test_table_shows_the_seconds() -> None:
    tally = tally_of(0, 1)
    tally.add_decision(decision(2, "fast", Why.DEADLINE, took_ms=52))
    figures = Shares("2 of 3: smart is slowed down", 1003, 1000, 12, [(7, tally.seconds[7])], "http://127.0.0.1:1234/")
    terminal = Console(file=io.StringIO(), force_terminal=True, width=80, height=24)
    with LiveTable(terminal, "demo", lambda: 12.0) as table:
        table.update(figures)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.file.getvalue())  # type: ignore[attr-defined]
    assert re.search(r"page +http://127\.0\.0\.1:1234/", shown)
    assert re.search(r"phase +2 of 3: smart is slowed down", shown)
    assert re.search(r"decided +1,000 +of 1,003 records; 12 answers came too late", shown)
    assert re.search(r":07 +2 +1 +· +2 +1 +· +10 +52 +· ", shown)


def test_line_tells_the_last_second() -> None:
    tally = tally_of(0, 1, 2)
    figures = Shares("", 5, 3, 0, [(6, Second()), (7, tally.seconds[7])])
    assert figures.line == "sent 5, decided 3; last second: smart 3; best 3; p50 10 ms, p99 10 ms, late 0"
    assert Shares().line == ""


class Theatre:
    """Clients without Kafka and job: each record is decided at once; `by`: by whom, given the version of smart."""

    def __init__(self, by: Callable[[str], str]) -> None:
        self._by = by
        self._piece = slowdown.piece()
        self._decisions: list[bytes] = []
        self._now = 0.0
        self._smart = ""
        self.events: list[str] = []
        self.sent = 0

    def play(self) -> Account:
        """To the end."""
        stage = Stage(self, self, self, "", lambda: self._now)  # type: ignore[arg-type]
        play = self._piece.play(stage)
        while play.go_on():
            self._now += 0.05
        return play.account()

    def record(self, value: bytes, valid: bool) -> None:
        """A record is sent."""
        assert WineRecord.FromString(value).dataType == "wine"
        self._piece.confirmed((1, self.sent), valid)
        self._decisions.append(decision(self.sent, self._by(self._smart)))
        self.sent += 1

    def publish(self, topic: str, message: bytes) -> None:
        """A model or a policy is sent."""
        if topic == "models":
            model = ModelDescriptor.FromString(message)
            self._smart = model.version if model.name == "smart" else self._smart

    def poll(self, _timeout_ms: int) -> list[tuple[str, bytes]]:
        """What was decided."""
        found, self._decisions = self._decisions, []
        return [("decisions", value) for value in found]

    def event(self, text: str) -> None:
        """Something is shown."""
        self.events.append(text)

    def update(self, _figures: Shares) -> None:
        """Figures are shown."""


def test_play_goes_through_its_phases_as_the_answers_shift() -> None:
    theatre = Theatre(lambda version: "fast" if version == "2" else "smart")
    account = theatre.play()
    assert account.faults == []
    assert LINE.fullmatch(account.line)
    assert [text for text in theatre.events if text.startswith("phase ")] == [
        "phase 1 of 3: smart answers in time",
        "phase 2 of 3: smart is slowed down",
        "phase 3 of 3: smart is quick again",
    ]


def test_play_ends_with_a_fault_if_the_answers_do_not_shift() -> None:
    theatre = Theatre(lambda _version: "smart")
    account = theatre.play()
    assert account.faults == ["slowed down: most answers were to be fast's, and were not"]
    assert account.line.endswith("quick 100%, slowed down not seen, quick again not seen; 0 lost, 0 doubled")
    assert theatre.events[-1] == "fast: 0% of the last 1,000 answers, 120 s later: given up"

"""`modelserving demo`: run for real, stopped in the middle, and failing; and how it keeps its account."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from modelserving.cli.main import main
from modelserving.demo import messages
from modelserving.demo.progress import Lines, LiveTable, Progress
from modelserving.demo.stopping import Stopped, StopSignals
from modelserving.demo.swaps import SWAPS
from modelserving.demo.tally import RateMeter, Tally
from modelserving.demo.traffic import Pacer
from modelserving.errors import ConfigurationError
from modelserving.wire.serving_pb2 import LogPosition, Reason, Rejected, ServingResult
from tests.cli.conftest import Start, assert_nothing_is_left, processes_of
from tests.flink.jobs import ROOT
from tests.waiting import wait_until

RECORDS = 3000
BAD = 30
EXAMPLE = ROOT / "examples" / "winequality"


def test_small_demo_accounts_for_every_record_and_stays_up(start: Start, temporary: Path) -> None:
    demo = start("--join", "keyed", "--records", str(RECORDS), "--keep")
    assert demo.stdout is not None
    output = ""
    while "all stays up" not in output:
        line = demo.stdout.readline()
        assert line, output
        output += line
    (page,) = re.findall(r"watch it at (http://\S+)$", output, flags=re.M)
    with urllib.request.urlopen(f"{page}api/stats", timeout=10) as response:  # noqa: S310 - our own address
        assert sum(each["served"] for each in json.load(response)["stats"]) == RECORDS
    os.killpg(demo.pid, signal.SIGINT)
    rest, errors = demo.communicate()
    output += rest
    assert (demo.returncode, errors) == (0, "")
    lines = output.splitlines()
    assert lines[-1] == f"scored {RECORDS} of {RECORDS} records, {SWAPS} model swaps, {BAD} rejected, 0 lost"
    published = re.findall(r"s  (\S+ \d+ \(.+\)) published$", output, flags=re.M)
    serving = re.findall(r"s  (\S+ \d+ \(.+\)) serves, .* later$", output, flags=re.M)
    assert published == serving
    assert len(serving) == SWAPS + 1
    assert {re.sub(r".*\((.*)\)", r"\1", model) for model in serving} == {"PMML", "TensorFlow graph", "SavedModel"}
    assert_nothing_is_left(temporary)


def test_ctrl_c_in_the_middle_leaves_nothing(start: Start, temporary: Path) -> None:
    demo = start("--records", "100000")
    assert demo.stdout is not None
    seen = next(line for line in demo.stdout if "2 (PMML) published" in line)
    assert seen
    assert len(processes_of(temporary)) > 4  # else the test would see nothing
    os.killpg(demo.pid, signal.SIGINT)
    output, errors = demo.communicate()
    assert demo.returncode == 130
    assert errors == "stopped by SIGINT; the job and the broker are down\n"
    assert "lost" not in output
    assert_nothing_is_left(temporary)


def test_ctrl_c_while_the_broker_starts_leaves_nothing(start: Start, temporary: Path) -> None:
    demo = start()
    wait_until(lambda: list(temporary.glob("*/kafka/server.properties")))
    os.killpg(demo.pid, signal.SIGINT)
    _, errors = demo.communicate()
    assert demo.returncode == 130
    assert errors == "stopped by SIGINT; the job and the broker are down\n"
    assert_nothing_is_left(temporary)


def test_job_that_fails_shows_the_end_of_its_log(start: Start, temporary: Path) -> None:
    demo = start(JVM_ARGS="-Xmx1k")
    _, errors = demo.communicate()
    assert demo.returncode == 1
    assert errors.startswith("Error: the job ended by itself (exit code 1)\noutput.log ends:\n")
    assert "Java gateway process exited" in errors
    assert_nothing_is_left(temporary)


@pytest.mark.parametrize(
    ("variable", "message"),
    [("JAVA_HOME", "no java in JAVA_HOME .* install a JDK 17"), ("MODELSERVING_JARS", "no jars in .* `make setup`")],
    ids=["java", "jars"],
)
def test_what_is_missing_is_one_line(variable: str, message: str, tmp_path: Path, kafka_ready: None) -> None:  # noqa: ARG001
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(variable, str(tmp_path))
        done = CliRunner().invoke(main, ["demo"])
    assert done.exit_code == 1
    assert re.fullmatch(f"Error: {message}.*\n", done.stderr)


def test_first_signal_counts_and_does_not_interrupt() -> None:
    before = signal.getsignal(signal.SIGINT)
    with StopSignals() as signals:
        signals.check()
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        assert signals.received == signal.SIGTERM
        with pytest.raises(Stopped, match="SIGTERM"):
            signals.check()
    assert signal.getsignal(signal.SIGINT) == before


def result(offset: int, version: str = "1") -> bytes:
    return ServingResult(record=LogPosition(partition=1, offset=offset), model_version=version).SerializeToString()


def rejected(offset: int) -> bytes:
    return Rejected(reason=Reason.MALFORMED, position=LogPosition(partition=1, offset=offset)).SerializeToString()


def tally_of(scored: list[tuple[int, str]], turned_away: list[int]) -> Tally:
    """Of four records that were sent, the last of them bad."""
    tally = Tally()
    for offset in range(4):
        tally.add_sent((1, offset), offset < 3)
    for offset, version in scored:
        tally.add_result(result(offset, version))
    for offset in turned_away:
        tally.add_rejected(rejected(offset))
    return tally


def test_summary_of_a_run_without_fault() -> None:
    summary = tally_of([(0, "1"), (2, "2"), (1, "1")], [3]).summary()
    assert summary.line == "scored 3 of 3 records, 1 model swaps, 1 rejected, 0 lost"
    assert summary.faults == []


LOST = "records neither scored nor rejected: 1"
SURPLUS = "answers beyond one for each record: 1"
MISJUDGED = "valid records rejected, or bad ones scored: 1"


@pytest.mark.parametrize(
    ("scored", "turned_away", "line", "fault"),
    [
        ([0, 1], [3], "scored 2 of 3 records, 0 model swaps, 1 rejected, 1 lost", LOST),
        ([0, 1, 2], [], "scored 3 of 3 records, 0 model swaps, 0 rejected, 1 lost", LOST),
        ([0, 1, 2, 2], [3], "scored 3 of 3 records, 0 model swaps, 1 rejected, 0 lost", SURPLUS),
        ([0, 1, 2, 9], [3], "scored 3 of 3 records, 0 model swaps, 1 rejected, 0 lost", SURPLUS),
        ([0, 1], [2, 3], "scored 2 of 3 records, 0 model swaps, 2 rejected, 0 lost", MISJUDGED),
        ([0, 1, 2, 3], [], "scored 3 of 3 records, 0 model swaps, 0 rejected, 0 lost", MISJUDGED),
    ],
    ids=["valid lost", "bad lost", "scored twice", "never sent", "valid rejected", "bad scored"],
)
def test_summary_names_the_fault(scored: list[int], turned_away: list[int], line: str, fault: str) -> None:
    summary = tally_of([(offset, "1") for offset in scored], turned_away).summary()
    assert summary.line == line
    assert summary.faults == [fault]


@pytest.mark.parametrize("valid", [1, 99, 100, 101, 2000])
def test_records_hold_the_announced_number_of_bad_ones(valid: int) -> None:
    feed = list(messages.records(EXAMPLE, valid, lambda: 1_700_000_000_000))
    assert sum(is_valid for _, is_valid in feed) == valid
    assert len(feed) == valid + messages.bad_count(valid)
    assert feed[0][1]
    assert not feed[-1][1]


def test_checkout_without_the_example_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"tensorflow\.pb is missing"):
        messages.publications(tmp_path, 3)
    with pytest.raises(ConfigurationError, match=r"winequality_red\.csv is missing"):
        messages.records(tmp_path, 3, lambda: 0)


def test_pacer_keeps_the_rate_and_makes_up_for_nothing() -> None:
    pacer = Pacer(rate=128, now=0)
    assert pacer.due(0.0, 1000) == 1
    assert sum(pacer.due(step / 16, 1000) for step in range(1, 17)) == 128
    assert pacer.due(60.0, 1000) == 32  # after a pause: a quarter of a second's worth
    assert pacer.due(60.125, 4) == 4


def test_rate_is_that_of_the_last_seconds() -> None:
    meter = RateMeter()
    assert [meter.read(*reading) for reading in ((0, 0), (1, 100), (2, 300), (7, 300))] == [0, 100, 150, 0]


PROGRESS = Progress(1010, 700, 600, 6, {"MALFORMED": 6}, 123.4, "forest 2 (PMML)", 1, "http://127.0.0.1:1234/")


def test_live_table_shows_the_figures() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=100, height=40)
    with LiveTable(terminal, "demo", lambda: 12.0) as table:
        table.update(PROGRESS)
        table.event("forest 2 (PMML) serves")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.file.getvalue())  # type: ignore[attr-defined]
    for row in (r"sent +700 +of 1,010", r"scored +600", r"rejected +6 +6 MALFORMED", r"waiting +94", r"rate +123"):
        assert re.search(row, shown)
    assert re.search(r"swaps +1", shown)
    assert re.search(r"page +http://127\.0\.0\.1:1234/", shown)
    assert re.search(r"serving +forest 2 \(PMML\)", shown)
    assert re.search(r"0\.0 s +forest 2 \(PMML\) serves", shown)


def test_lines_show_the_figures_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 1.0, 3.5, 3.5, 4.0])
    with Lines("demo", lambda: next(times)) as lines:
        for _ in range(3):
            lines.update(PROGRESS)
    title, line = capsys.readouterr().out.splitlines()
    assert title == "demo"
    assert "sent 700 of 1010, scored 600, rejected 6, waiting 94; 123 records/s; forest 2 (PMML) serves" in line

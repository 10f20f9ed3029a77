"""The benchmark: what it makes of figures, and a short form of it, which holds ratios between pipelines."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from bench import (
    documents,
    external,
    java_peer,
    latency,
    machine,
    main,
    page,
    plot,
    scaling,
    swap_times,
    targets,
    throughput,
)
from bench.measurements import Measurements
from bench.models import NO_MODEL
from bench.parts import Choice, Figures, Key
from bench.pipelines import PIPELINES
from bench.rates import Span, measure
from bench.site import Site
from modelserving.local.broker import LocalBroker

DOCS = Path(__file__).resolve().parents[1] / "docs"
CHOICE = Choice(
    rounds=1,
    warm_up_s=2.0,
    seconds=3.0,
    most_records=150_000,
    backlog=400_000,
    parallelism=1,
    pipelines=("partitioned", "keyed", "java-peer", "per-record-python"),
    models=("tensorflow",),
)
ENSEMBLE = replace(CHOICE, pipelines=("partitioned", "java-peer"), models=("boosting-200",))
MACHINE = {
    "processor": "P",
    "cores": 2,
    "memory_gib": 24,
    "kernel": "Linux 6",
    "python": "3.11",
    "java": "17",
    "flink": "2.3.0",
    "tensorflow": "2.20.0",
}


def test_the_page_says_what_the_figures_say() -> None:
    assert page.found(DOCS) == page.block(documents.read(DOCS)), "run make bench, or take back what was changed by hand"


def test_the_plot_shows_what_the_figures_say(tmp_path: Path) -> None:
    plot.draw(tmp_path, documents.read(DOCS))
    drawn = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert drawn == {path.name: path.read_bytes() for path in DOCS.glob("benchmarks-*.svg")}


def rate(records_per_s: float, first_result_s: float = 5.0, **peak_mib: float) -> Figures:
    return {"records_per_s": records_per_s, "first_result_s": first_result_s, "peak_mib": peak_mib}


MEASURED: Sequence[tuple[Key, Figures]] = [
    (("1", "partitioned", "tree"), rate(300.4, 6.0, JVM=10.0)),
    (("1", "no-model", NO_MODEL), rate(400.0)),
    (("1", "java-peer", "tree"), rate(100.0)),
    (("2", "partitioned", "tree"), rate(100.0, 5.0, JVM=12.0)),
    (("3", "partitioned", "tree"), rate(200.0, 9.0, JVM=11.0, worker=1.0)),
]


def test_throughput_is_the_median_of_the_rounds_and_memory_the_most() -> None:
    assert throughput.summarise(MEASURED) == {
        "throughput": {
            "partitioned": {"tree": 200},
            "no-model": {NO_MODEL: 400, "tree": 400},
            "java-peer": {"tree": 100},
        },
        "startup": {"partitioned": {"tree": 6.0}, "no-model": {NO_MODEL: 5.0}, "java-peer": {"tree": 5.0}},
        "memory": {
            "partitioned": {"tree": {"JVM": 12.0, "worker": 1.0}},
            "no-model": {NO_MODEL: {}},
            "java-peer": {"tree": {}},
        },
    }


def test_latency_is_the_median_of_the_rounds_and_the_greatest_of_all() -> None:
    def figures(*quantiles: float) -> Figures:
        return {"records": 10, "latency_ms": dict(zip(latency.QUANTILES, quantiles, strict=True))}

    case = ("partitioned", "tensorflow", "default", "1000")
    measured = [
        (("1", *case), figures(1, 2, 3, 4)),
        (("2", *case), figures(3, 2, 3, 9)),
        (("3", *case), figures(2, 7, 3, 5)),
    ]
    assert latency.summarise(measured) == {
        "latency": {
            "partitioned": {"tensorflow": {"default": {"1000": {"p50": 2, "p99": 2, "p99.9": 3, "max": 9}}}},
        }
    }


def test_swap_is_the_median_of_all_swaps() -> None:
    measured = [(("1", "keyed", "pmml"), {"swap_ms": [1, 2, 9]}), (("2", "keyed", "pmml"), {"swap_ms": [8, 7]})]
    assert swap_times.summarise(measured) == {"swap": {"keyed": {"pmml": 7}}}


def test_one_instance_is_one_data_type() -> None:
    measured = [
        (("1", "keyed", "tree", "parallelism", "1"), rate(100.0)),
        (("1", "keyed", "tree", "parallelism", "2"), rate(150.0)),
        (("1", "keyed", "tree", "data-types", "10"), rate(90.0)),
    ]
    assert scaling.summarise(measured) == {
        "scaling": {"keyed": {"tree": {"parallelism": {"1": 100, "2": 150}, "data-types": {"1": 100, "10": 90}}}}
    }


def test_a_model_server_is_shown_by_its_callers_or_said_to_be_missing(tmp_path: Path) -> None:
    figures = {"records_per_s": 1234.5, "p50_ms": 2.0, "p99_ms": 3.0, "requests": 9, "client_cores": 0.5}
    shown = []
    for peers in ({"mlserver-rest": {"1": figures}}, {}):
        about = {"date": "2030-01-02", "machine": MACHINE, "command": "make bench", "parameters": {}}
        document = documents.merged({}, "external", external.PART, [(("1", "mlserver"), {"peers": peers})], about)
        page.rewrite(tmp_path, document)
        shown.append((tmp_path / page.FILE).read_text(encoding="utf-8"))
    assert "| mlserver-rest | 1 | 1,234.5 | 2.0 | 3.0 | 0.5 |" in shown[0]
    assert "could not be installed" in shown[1]


def test_what_was_aimed_at_is_judged_by_the_figures() -> None:
    rates = {
        "partitioned": {"tensorflow": 900, "saved-model": 890, "tree": 50},
        "java-peer": {"tensorflow": 100, "saved-model": 100, "tree": 100},
        "no-model": {"tensorflow": 1000, "saved-model": 1000, "tree": 1000},
    }
    profiles = {"default": {"10000": {"p50": 25.0, "p99": 46.0}}, "low-latency": {"1000": {"p50": 1.0, "p99": 2.0}}}
    document = {
        "throughput": rates,
        "latency": {"partitioned": {"tensorflow": profiles}},
        "swap": {"partitioned": {"pmml": 1000}},
    }
    *_, found = targets.targets(document)
    judged = [line.strip("| ").split(" | ")[-2:] for line in found.splitlines()[2:]]
    assert judged == [
        ["9.0, 8.9", "1 of 2 met; at best: missed"],
        ["0.50", "missed; at best: missed"],
        ["0.90, 0.89, 0.05", "2 of 3 met"],
        ["25, 46", "1 of 2 met"],
        ["1,000", "met"],
    ]


def test_a_part_replaces_its_own_figures_and_no_others() -> None:
    about = {"date": "2030-01-02", "machine": MACHINE, "command": "make bench", "parameters": {}}
    document = documents.merged({}, "throughput", throughput.PART, MEASURED, about)
    swaps = [(("1", "keyed", "pmml"), {"swap_ms": [5]})]
    document = documents.merged(document, "swap", swap_times.PART, swaps, {**about, "date": "2030-01-03"})
    document = documents.merged(document, "throughput", throughput.PART, MEASURED[:1], about)
    assert document["throughput"] == {"partitioned": {"tree": 300}}
    assert document["swap"] == {"keyed": {"pmml": 5}}
    assert {name: (run["date"], len(run["measured"])) for name, run in document["runs"].items()} == {
        "throughput": ("2030-01-02", 1),
        "swap": ("2030-01-03", 1),
    }
    assert list(document) == [name for name in documents.ORDER if name in document]


def test_the_page_keeps_what_was_written_by_hand(tmp_path: Path) -> None:
    about = {"date": "2030-01-02", "machine": MACHINE, "command": "make bench ROUNDS=1", "parameters": {}}
    document = documents.merged({}, "throughput", throughput.PART, MEASURED, about)
    (tmp_path / page.FILE).write_text(f"# Before\n\n{page.BEGIN}\nold\n{page.END}\n\nafter\n")
    page.rewrite(tmp_path, document)
    text = (tmp_path / page.FILE).read_text()
    assert text == f"# Before\n\n{page.block(document)}\n\nafter\n"
    assert "make bench ROUNDS=1" in text
    assert "| tree | 200 (100 to 300) | 100 (100 to 100) |" in text
    assert "| model | partitioned / java-peer | partitioned / no-model |" in text
    assert "| tree | 2.00 | 0.50 |" in text


def test_a_page_without_its_comments_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / page.FILE).write_text("by hand")
    with pytest.raises(ValueError, match="lacks the comment"):
        page.rewrite(tmp_path, {})


def test_a_run_that_was_cut_short_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "measurements.jsonl"
    kept = Measurements(path, resume=False, revision="1f")
    kept.add("throughput", ("1", "keyed", "tree"), CHOICE, {"records_per_s": 1.5})
    again = Measurements(path, resume=True, revision="1f")
    more = replace(CHOICE, rounds=9, models=("tree",))
    assert again.find("throughput", ("1", "keyed", "tree"), more) == {"records_per_s": 1.5}
    assert again.find("throughput", ("2", "keyed", "tree"), more) is None
    assert again.find("scaling", ("1", "keyed", "tree"), more) is None
    assert again.find("throughput", ("1", "keyed", "tree"), replace(CHOICE, seconds=9.0)) is None
    assert Measurements(path, resume=True, revision="2e").find("throughput", ("1", "keyed", "tree"), CHOICE) is None, (
        "of other code"
    )
    assert Measurements(path, resume=False, revision="1f").find("throughput", ("1", "keyed", "tree"), CHOICE) is None


def test_the_revision_is_of_the_code_and_not_of_the_figures(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        author = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", *author, *words], cwd=tmp_path, check=True, capture_output=True)

    assert machine.revision(tmp_path) == ""
    (tmp_path / "docs").mkdir()
    for name in ("code.py", "docs/figures.json"):
        (tmp_path / name).write_text("1")
    git("init")
    git("add", ".")
    git("commit", "-m", "all")
    committed = machine.revision(tmp_path)
    assert len(committed) >= 7
    (tmp_path / "docs" / "figures.json").write_text("2")
    assert machine.revision(tmp_path) == committed
    changed = set()
    for text in ("2", "3"):
        (tmp_path / "code.py").write_text(text)
        changed.add(machine.revision(tmp_path))
    assert len(changed) == 2
    assert all(each.startswith(f"{committed}+") for each in changed)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        ([], "make bench"),
        (["--parallelism", "1"], "make bench"),
        (
            ["--rounds", "1", "--warm-up", "2.5", "--models", "tree glm"],
            'make bench ROUNDS=1 WARM_UP=2.5 MODELS="tree glm"',
        ),
    ],
)
def test_the_command_that_makes_the_figures(
    arguments: list[str], command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    codes: list[dict[str, str]] = []
    monkeypatch.setattr(main, "run", lambda *given: codes.append(given[3]))
    monkeypatch.setattr(machine, "revision", lambda _: "1f")
    monkeypatch.setattr(main, "WORK", tmp_path)
    monkeypatch.setattr(java_peer, "build", lambda: None)
    result = CliRunner().invoke(main.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert codes == [{"command": command, "revision": "1f"}]


def test_what_there_is_not_is_not_measured() -> None:
    result = CliRunner().invoke(main.main, ["--pipelines", "partitioned other"])
    assert result.exit_code == 2
    assert "there is no 'other', but partitioned, keyed, java-peer" in " ".join(result.output.split())


class Process:
    """A job of which only the results count."""

    pid = os.getpid()
    started = 0.0

    def check(self) -> None:
        """It runs."""


def results(*counts: int) -> Callable[[], int]:
    """What is counted at one look after the other."""
    looks = iter(counts)
    return lambda: next(looks)


def test_records_are_counted_after_the_warm_up() -> None:
    job: Any = Process()
    # the warm-up ends early, when no more than the measured records are left
    found = measure(job, results(0, 100, 600, 700, 1_000), Span(warm_up_s=1e9, seconds=1e9, records=400, on_log=1_000))
    assert found.records == 400
    assert found.records_per_s == pytest.approx(400 / found.seconds)
    found = measure(job, results(0, 1, 50, 80), Span(warm_up_s=0.0, seconds=0.0, records=400, on_log=1_000))
    assert found.records == 30


def test_a_log_that_is_too_short_is_no_measurement() -> None:
    job: Any = Process()
    with pytest.raises(click.ClickException, match="too short"):
        measure(job, results(0, 1_000, 1_000, 1_000), Span(warm_up_s=1.0, seconds=1.0, records=400, on_log=1_000))


def test_without_a_model_nothing_is_evaluated() -> None:
    script = (
        "from bench.models import NO_MODEL, descriptor\n"
        "from modelserving.configuration import load_data_types\n"
        "from modelserving.loader import load\n"
        "servable = load(descriptor(NO_MODEL, 'wine'), load_data_types()['wine'])\n"
        "print(servable.engine, servable.inputs)\n"
    )
    environment = os.environ | dict(PIPELINES["no-model"].environment)
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout == "none ('fixed_acidity',)\n"


@pytest.fixture(scope="module")
def peer() -> None:
    """The Java peer, built; without Maven a test is skipped, but in CI it fails."""
    if shutil.which("mvn"):
        java_peer.build()
    elif os.environ.get("CI"):
        pytest.fail("mvn is missing: install Maven 3.6.3 or later")
    else:
        pytest.skip("without Maven there is no Java peer")


@pytest.mark.alone
@pytest.mark.usefixtures("peer", "flink_ready")
def test_ratios(broker: LocalBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Generous: a machine that does something else meanwhile is fair to none."""
    monkeypatch.delenv("JAVA_TOOL_OPTIONS", raising=False)  # speeds are compared as they are where jobs run
    site = Site(broker.bootstrap_servers, tmp_path)
    cases = [case for choice in (CHOICE, ENSEMBLE) for case in throughput.cases(site, choice)]
    rates = throughput.summarise([(case.key, case.measure()) for case in cases])["throughput"]
    ours, peers = rates["partitioned"], rates["java-peer"]
    assert ours["tensorflow"] >= 2 * peers["tensorflow"], rates
    assert rates["keyed"]["tensorflow"] >= 1.5 * peers["tensorflow"], rates
    assert ours["tensorflow"] >= 5 * rates["per-record-python"]["tensorflow"], rates
    assert ours["boosting-200"] >= peers["boosting-200"], rates

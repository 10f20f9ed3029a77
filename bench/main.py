"""The benchmark: what our pipelines achieve, beside others that do the same work in the same run, on this machine.

python -m bench.main --help
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from bench import documents, external, java_peer, latency, machine, page, plot, scaling, swap_times, throughput
from bench.measurements import Measurements
from bench.models import MODELS
from bench.parts import Choice, Figures, Key, Part
from bench.pipelines import PIPELINES, need_peer
from bench.site import Site
from modelserving.local.broker import LocalBroker, free_port

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / ".run" / "bench"
PARTS: Mapping[str, Part] = {
    "throughput": throughput.PART,
    "latency": latency.PART,
    "swap": swap_times.PART,
    "scaling": scaling.PART,
    "external": external.PART,
}
COMPARED = (
    "partitioned",
    "keyed",
    "java-peer",
    "java-peer-default-threads",
    "per-record-python",
    "identity",
    "no-model",
    "no-model-keyed",
    "no-model-java-peer",
)


def _names(known: tuple[str, ...]) -> Callable[[click.Context, click.Parameter, str], tuple[str, ...]]:
    def check(_context: click.Context, _parameter: click.Parameter, text: str) -> tuple[str, ...]:
        for name in text.split():
            if name not in known:
                raise click.BadParameter(f"there is no {name!r}, but {', '.join(known)}")
        return tuple(text.split())

    return check


@click.command(context_settings={"max_content_width": 120, "show_default": True})
@click.option("--parts", default=" ".join(PARTS), callback=_names(tuple(PARTS)), help="What to measure.")
@click.option("--rounds", default=3, type=click.IntRange(1), help="Of all pipelines, in turn.")
@click.option("--warm-up", "warm_up_s", default=20.0, help="Seconds from a job's first result on.")
@click.option("--seconds", default=60.0, help="Measured, after the warm-up.")
@click.option("--most-records", default=3_000_000, type=click.IntRange(1), help="Measured, whichever comes first.")
@click.option("--backlog", default=20_000_000, type=click.IntRange(1), help="Records on the log, warm-up included.")
@click.option("--parallelism", default=1, type=click.IntRange(1), help="Of every pipeline.")
@click.option("--pipelines", default=" ".join(COMPARED), callback=_names(tuple(PIPELINES)), help="What to compare.")
@click.option("--models", default=" ".join(MODELS), callback=_names(MODELS), help="What to score with.")
@click.option("--docs", default=ROOT / "docs", show_default="docs", type=click.Path(path_type=Path, file_okay=False))
@click.option("--resume", is_flag=True, help="Go on with a run that was cut short; options must be the same.")
@click.pass_context
def main(context: click.Context, /, *, parts: tuple[str, ...], docs: Path, resume: bool, **chosen: Any) -> None:
    """Measure, and write benchmarks.json and what benchmarks.md says of it to the folder of documents."""
    choice = Choice(**chosen)
    # TensorFlow, which makes models here, has all loggers speak.
    logging.getLogger("kafka").setLevel(logging.ERROR)
    # Told to end, it ends what it started, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    if need_peer(choice.pipelines):
        java_peer.build()
    # Before documents are written.
    code = {"command": _make_command(context), "revision": machine.revision(ROOT)}
    run(choice, parts, docs, code, Measurements(WORK / "measurements.jsonl", resume, code["revision"]))


def run(choice: Choice, parts: tuple[str, ...], docs: Path, code: Mapping[str, str], kept: Measurements) -> None:
    """Measure the parts, one after the other; the documents are written after each.

    Args:
        code: what is run: command and revision.
    """
    WORK.mkdir(parents=True, exist_ok=True)
    with (
        TemporaryDirectory(prefix="broker-", dir=WORK) as folder,
        LocalBroker(Path(folder) / "kafka", free_port()) as broker,
    ):
        site = Site(broker.bootstrap_servers, Path(folder))
        for name in parts:
            measured = _measure(site, name, choice, kept)
            about = {
                "date": datetime.now(UTC).date().isoformat(),
                "machine": machine.describe(),
                **code,
                "parameters": asdict(choice),
            }
            document = documents.merged(documents.read(docs), name, PARTS[name], measured, about)
            documents.write(docs, document)
            plot.draw(docs, document)
            page.rewrite(docs, document)


def _measure(site: Site, name: str, choice: Choice, kept: Measurements) -> list[tuple[Key, Figures]]:
    measured = []
    for case in PARTS[name].cases(site, choice):
        figures = kept.find(name, case.key, choice)
        if figures is None:
            figures = case.measure()
            kept.add(name, case.key, choice, figures)
        click.echo(f"{name}  {'  '.join(case.key)}  {_brief(figures)}")
        measured.append((case.key, figures))
    return measured


def _brief(figures: Figures) -> str:
    """Figures in a line, nested ones in brackets."""
    shown = []
    for name, value in figures.items():
        if isinstance(value, Mapping):
            shown.append(f"{name} ({_brief(value)})")
        else:
            numbers = value if isinstance(value, list) else [value]
            shown.append(f"{name} {' '.join(f'{number:,.6g}' for number in numbers)}")
    return ", ".join(shown)


def _make_command(context: click.Context) -> str:
    """What was chosen, as a command for make."""
    words = ["make bench"]
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in ("docs", "resume") or context.get_parameter_source(name) is click.core.ParameterSource.DEFAULT:
            continue
        value = context.params[name]
        if value != parameter.get_default(context):
            shown = f'"{" ".join(value)}"' if isinstance(value, tuple) else f"{value:.12g}"
            words.append(f"{name.removesuffix('_s').upper()}={shown}")
    return " ".join(words)


if __name__ == "__main__":
    main()

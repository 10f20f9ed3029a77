"""A model server instead of a stream job: MLServer, asked for the score of a record in a request.

python -m bench.model_server --help
"""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from bench.mlserver import environment
from bench.mlserver.figures import Figures
from bench.mlserver.messages import ADAPTIVE, ANSWERS, PLAIN, TREE, Load
from bench.mlserver.server import Server, serving

WARM_UP_S = 2.0
# For a client to start, and for the answers that are under way at the end.
GRACE_S = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of load."""

    peer: str
    """Its name among the figures."""
    protocol: str
    concurrency: int
    records: int = 1
    """In a request."""
    model: str = PLAIN


CASES = [
    Case(f"mlserver-{protocol}{suffix}", protocol, concurrency, records, model)
    for protocol in ("rest", "grpc")
    for suffix, records, model, concurrencies in (
        ("", 1, PLAIN, (1, 32)),
        # What a server makes of it where its callers wait for each other, or gather records: not a record in a request.
        ("-adaptive", 1, ADAPTIVE, (32,)),
        ("-256", 256, PLAIN, (1, 32)),
        # The cost of a request, whatever the model.
        ("-tree", 1, TREE, (1, 32)),
    )
    for concurrency in concurrencies
]


def measure(seconds: float, cases: Sequence[Case] = CASES) -> dict[str, dict[str, Figures]]:
    """Peer → callers at a time → its figures over so many seconds, after a warm-up; makes MLServer's environment.

    Raises `NotInstalled` if that cannot be made.
    """
    environment.make()
    measured: dict[str, dict[str, Figures]] = defaultdict(dict)
    with TemporaryDirectory() as folder:
        models = Path(folder)
        _run("bench.mlserver.train", str(models))
        with serving(models) as server:
            for case in cases:
                figures = _load(server, models, case, seconds)
                measured[case.peer][str(case.concurrency)] = figures
                click.echo(f"{case.peer:22} {case.concurrency:2} at a time: {_words(figures)}", err=True)
    return dict(measured)


def _load(server: Server, models: Path, case: Case, seconds: float) -> Figures:
    load = Load(
        protocol=case.protocol,
        port=server.rest if case.protocol == "rest" else server.grpc,
        model=case.model,
        answers=str(models / ANSWERS),
        records=case.records,
        concurrency=case.concurrency,
        warm_up_s=WARM_UP_S,
        seconds=seconds,
    )
    limit_s = WARM_UP_S + seconds + GRACE_S
    figures: Figures = json.loads(_run("bench.mlserver.load", json.dumps(asdict(load)), limit_s=limit_s))
    return figures


def _run(module: str, *arguments: str, limit_s: float = GRACE_S) -> str:
    """What `module` prints, in MLServer's environment."""
    command = [str(environment.PYTHON), "-m", module, *arguments]
    try:
        done = subprocess.run(
            command, cwd=environment.ROOT, check=False, capture_output=True, text=True, timeout=limit_s
        )
    except subprocess.TimeoutExpired as expired:
        raise click.ClickException(f"{module} has not ended after {limit_s:g} s") from expired
    if done.returncode:
        raise click.ClickException(f"{module} failed: {done.stderr[-3000:]}")
    return done.stdout


def _words(figures: Figures) -> str:
    return (
        f"{figures['records_per_s']:10,.0f} records/s, p50 {figures['p50_ms']:.1f} ms, p99 {figures['p99_ms']:.1f} ms, "
        f"client {figures['client_cores']:.2f} cores"
    )


@click.command()
@click.option("--seconds", type=float, default=10, show_default=True, help="Measured of each load, after a warm-up.")
def main(seconds: float) -> None:
    """Measure MLServer with the forest of 100 trees, and a tree, and print the figures as JSON."""
    click.echo(json.dumps(measure(seconds), indent=1))


if __name__ == "__main__":
    main()

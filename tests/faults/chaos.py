"""Rounds of random faults under load, for a given time and seed, with both joins and the speculative job in turn.

python -m tests.faults.chaos --minutes 10 --seed 1
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from random import Random

import click

from modelserving.flink.options import JOINS, SPECULATIVE
from tests.faults.injections import Fault, chance, faults_of
from tests.faults.rounds import Round, run_round
from tests.faults.site import Site

_COLUMNS = ("round", "fault", "join", "records", "seconds until RUNNING again", "lost", "doubled", "restarts")


@click.command()
@click.option("--minutes", type=click.FloatRange(0), default=10.0, show_default=True, help="A round begun is ended.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the faults and their order.")
@click.option(
    "--join",
    type=click.Choice((*JOINS, SPECULATIVE)),
    help="Of the serving job; or the speculative job.  [default: one after the other]",
)
@click.option("--rate", type=click.FloatRange(1), default=500.0, show_default=True, help="Records per second.")
def main(minutes: float, seed: int, join: str | None, rate: float) -> None:
    """Inject faults into a running job, check after each that nothing is lost or doubled, and print a table."""
    folder = Path(tempfile.mkdtemp(prefix="modelserving-chaos-"))
    rounds: list[Round] = []
    wrong: list[str] = []
    joins = (join,) if join else (*JOINS, SPECULATIVE)
    started = time.monotonic()
    click.echo(_row(_COLUMNS) + "\n" + _row("---" for _ in _COLUMNS))
    for number, each in enumerate(joins, start=1):
        if wrong:
            break
        faults = _in_turn(faults_of(each), chance(seed + number))
        deadline = started + minutes * 60 * number / len(joins)
        with Site(folder / each, each, rate) as site:
            while not wrong and time.monotonic() < deadline:
                name, fault, random = next(faults)
                try:
                    done = run_round(site, fault, random)
                except AssertionError as error:
                    wrong.append(f"{name}, {each}: {error}")
                else:
                    rounds.append(done)
                    wrong += [f"round {len(rounds)}: {fault}" for fault in done.faults]
                    click.echo(_row(_cells(len(rounds), name, each, done)))
    if wrong:
        click.echo("\n".join([*wrong, f"logs are in {folder}"]), err=True)
    else:
        shutil.rmtree(folder)
    lost, doubled = sum(done.lost for done in rounds), sum(done.doubled for done in rounds)
    click.echo(
        f"\n{len(rounds)} rounds, {sum(done.records for done in rounds)} records, {lost} lost, {doubled} doubled"
    )
    sys.exit(1 if wrong else 0)


def _in_turn(faults: Mapping[str, Fault], random: Random) -> Iterator[tuple[str, Fault, Random]]:
    """Faults, by name, in random order, none again before all others had their turn, each with chances of its own."""
    while True:
        for name in random.sample(list(faults), len(faults)):
            yield name, faults[name], chance(random.getrandbits(64))


def _cells(number: int, name: str, join: str, done: Round) -> list[str]:
    figures = (f"{done.records:,}", f"{done.seconds:.1f}", str(done.lost), str(done.doubled), str(done.restarts))
    return [str(number), name, join, *figures]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()

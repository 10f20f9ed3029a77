"""`modelserving demo`: the whole thing once, on this machine."""

from __future__ import annotations

import click
from click.core import ParameterSource

from modelserving.demo import slowdown, swaps
from modelserving.demo.progress import display
from modelserving.demo.run import run
from modelserving.demo.stopping import Stopped, StopSignals
from modelserving.errors import ModelServingError


@click.command()
@click.option(
    "--mode",
    type=click.Choice(["swaps", "speculative"]),
    default="swaps",
    show_default=True,
    help="What is shown: models that replace one another, or two of which a policy takes the better answer in time.",
)
@click.option(
    "--join",
    type=click.Choice(["keyed", "partitioned"]),
    default="partitioned",
    show_default=True,
    help="How models and records meet; of --mode swaps.",
)
@click.option(
    "--records",
    type=click.IntRange(min=1),
    default=50_000,
    show_default=True,
    help="Valid records to send; one bad one for every hundred of them comes on top; of --mode swaps.",
)
@click.option("--keep", is_flag=True, help="Leave everything up at the end, until Ctrl-C.")
@click.pass_context
def demo(context: click.Context, *, mode: str, join: str, records: int, keep: bool) -> None:
    """See models at work under load: a broker, a job and clients, started and ended here.

    Wine records flow while models of three types replace one another, or while a smart model is slowed down and a fast
    one steps in; at the end every record is accounted for. The address that it begins with is a page that shows it
    live.
    """
    for name in ("join", "records"):
        if mode != "swaps" and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name} is for --mode swaps; leave it out")
    with StopSignals() as signals:
        try:
            piece = swaps.piece(join, records) if mode == "swaps" else slowdown.piece()
            account, log = run(piece, display(piece.title), signals.check, keep=keep)
        except (Stopped, ModelServingError, OSError):
            # What fails after a signal may well fail because of it.
            if signals.received is None:
                raise
            click.echo(f"stopped by {signals.received.name}; the job and the broker are down", err=True)
            raise click.exceptions.Exit(128 + signals.received) from None
    for fault in account.faults:
        click.echo(f"Error: {fault}", err=True)
    if log:
        click.echo(log, err=True)
    click.echo(account.line)
    if account.faults:
        raise click.exceptions.Exit(1)

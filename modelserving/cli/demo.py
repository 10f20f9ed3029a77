"""`modelserving demo`: the whole thing once, on this machine."""

from __future__ import annotations

import click

from modelserving.demo.progress import display
from modelserving.demo.run import run
from modelserving.demo.stopping import Stopped, StopSignals
from modelserving.errors import ModelServingError


@click.command()
@click.option(
    "--join",
    type=click.Choice(["keyed", "partitioned"]),
    default="partitioned",
    show_default=True,
    help="How models and records meet.",
)
@click.option(
    "--records",
    type=click.IntRange(min=1),
    default=50_000,
    show_default=True,
    help="Valid records to send; one bad one for every hundred of them comes on top.",
)
@click.option("--keep", is_flag=True, help="Leave everything up at the end, until Ctrl-C.")
def demo(*, join: str, records: int, keep: bool) -> None:
    """See models swapped under load: a broker, the job and clients, started and ended here.

    Wine records flow while models of three types replace one another; at the end every record is accounted for. The
    address that it begins with is a page that shows it live.
    """
    with StopSignals() as signals:
        try:
            title = f"modelserving demo · {join} join"
            summary, log = run(join, records, display(title), signals.check, keep=keep)
        except (Stopped, ModelServingError, OSError):
            # What fails after a signal may well fail because of it.
            if signals.received is None:
                raise
            click.echo(f"stopped by {signals.received.name}; the job and the broker are down", err=True)
            raise click.exceptions.Exit(128 + signals.received) from None
    for fault in summary.faults:
        click.echo(f"Error: {fault}", err=True)
    if log:
        click.echo(log, err=True)
    click.echo(summary.line)
    if summary.faults:
        raise click.exceptions.Exit(1)

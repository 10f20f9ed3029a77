"""`modelserving stats`, `policies`, `models` and `events`: what the query service tells, in the terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import click
import orjson
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from modelserving.cli.fitting import FittingTable
from modelserving.cli.options import BOOTSTRAP_SERVERS, TOPICS
from modelserving.cli.policy_table import policies_table
from modelserving.cli.tables import events_table, models_table, stats_table
from modelserving.query.encoding import array, mapping
from modelserving.topics import Topics

LOOK_EVERY_S = 0.5
_WIDTH_OF_FILES = 250
"""Columns where nobody looks: whatever reads it wants whole rows."""
_WATCH = click.option("--watch", is_flag=True, help="Go on showing what is, until Ctrl-C.")
_JSON = click.option(
    "--json", "as_json", is_flag=True, help="JSON, as the query service answers; with --watch a line for each change."
)


@click.command()
@_WATCH
@_JSON
@BOOTSTRAP_SERVERS
@TOPICS
def stats(*, watch: bool, as_json: bool, bootstrap_servers: str, topics: Topics) -> None:
    """What was served: counts, rates, latencies and drift of each data type and model version."""
    _show(
        bootstrap_servers,
        topics,
        lambda view: view.stats.encoded(),
        "stats",
        lambda told: stats_table(told, _now_ms()),
        watch=watch,
        as_json=as_json,
    )


@click.command()
@_WATCH
@_JSON
@BOOTSTRAP_SERVERS
@TOPICS
def policies(*, watch: bool, as_json: bool, bootstrap_servers: str, topics: Topics) -> None:
    """What the policy of each data type decided, in speculative serving, and how its models vote."""
    _show(
        bootstrap_servers,
        topics,
        lambda view: view.policies.encoded(),
        "policies",
        lambda told: policies_table(told, _now_ms()),
        watch=watch,
        as_json=as_json,
    )


@click.command()
@_WATCH
@_JSON
@BOOTSTRAP_SERVERS
@TOPICS
def models(*, watch: bool, as_json: bool, bootstrap_servers: str, topics: Topics) -> None:
    """Every model version that was seen, and which one serves where since when."""
    _show(
        bootstrap_servers,
        topics,
        lambda view: view.models.all_encoded(),
        "data_types",
        models_table,
        watch=watch,
        as_json=as_json,
    )


@click.command()
@_WATCH
@_JSON
@click.option(
    "--limit", type=click.IntRange(1, 500), default=30, show_default=True, help="Events to show, the newest ones."
)
@BOOTSTRAP_SERVERS
@TOPICS
def events(*, watch: bool, as_json: bool, limit: int, bootstrap_servers: str, topics: Topics) -> None:
    """What happened to models, newest first."""
    _show(
        bootstrap_servers, topics, lambda view: view.events(limit), "events", events_table, watch=watch, as_json=as_json
    )


def _show(
    bootstrap_servers: str,
    topics: Topics,
    question: Callable[[Any], list[bytes]],
    name: str,
    table: Callable[[Any], Table | FittingTable],
    *,
    watch: bool,
    as_json: bool,
) -> None:
    # Only these commands need it: the others start sooner without.
    from modelserving.cli.following import following  # noqa: PLC0415

    def answer() -> list[bytes]:
        return followed.read(question)

    with suppress(KeyboardInterrupt), following(bootstrap_servers, topics) as followed:
        items = answer()
        if as_json:
            _print_json(name, items)
            fault = None
            while watch:
                time.sleep(LOOK_EVERY_S)
                fault = _tell(fault, followed.fault)
                before, items = items, answer()
                if items != before:
                    _print_json(name, items)
        elif watch:
            with Live(table(_parsed(items)), console=_console(), refresh_per_second=1 / LOOK_EVERY_S) as live:
                while True:
                    time.sleep(LOOK_EVERY_S)
                    shown = table(_parsed(answer()))
                    fault = followed.fault
                    shown.caption = Text(fault) if fault else None
                    live.update(shown)
        else:
            _console().print(table(_parsed(items)))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_WIDTH_OF_FILES)


def _tell(before: str | None, fault: str | None) -> str | None:
    """Say once that something is in the way."""
    if fault and not before:
        click.echo(fault, err=True)
    return fault


def _print_json(name: str, items: list[bytes]) -> None:
    click.echo(mapping(**{name: array(items)}))


def _parsed(items: list[bytes]) -> list[Any]:
    return [orjson.loads(item) for item in items]

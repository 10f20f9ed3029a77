"""Shows a demonstration while it runs: a live table on a terminal, else a line now and then."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

LINE_EVERY_S = 3.0
EVENTS_SHOWN = 7
BAR_WIDTH = 40


class Figures(Protocol):
    """Where a demonstration stands."""

    @property
    def line(self) -> str:
        """In a line; empty while there is nothing to tell."""
        ...

    def __rich__(self) -> RenderableType:
        """In a table."""
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """Where the demonstration of swaps stands."""

    total: int
    """Records that will be sent."""
    sent: int = 0
    scored: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    rate: float = 0.0
    """Answers per second."""
    serving: str = "none yet"
    """Name, version and type of the newest model version seen in the results."""
    swaps: int = 0
    page: str = ""
    """The address of the page that shows it live."""

    @property
    def waiting(self) -> int:
        """Records sent that have no answer yet."""
        return max(0, self.sent - self.scored - self.rejected)

    @property
    def line(self) -> str:
        """See `Figures`."""
        if not self.scored:
            return ""
        return (
            f"sent {self.sent} of {self.total}, scored {self.scored}, rejected {self.rejected}, "
            f"waiting {self.waiting}; {self.rate:.0f} records/s; {self.serving} serves, swaps {self.swaps}"
        )

    def __rich__(self) -> RenderableType:
        """See `Figures`."""
        table = grid()
        bar = ProgressBar(max(1, self.total), self.scored + self.rejected, BAR_WIDTH)
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(self.reasons.items()))
        if self.page:
            table.add_row("page", "", Text(self.page, style="bold"))
        table.add_row("records sent", f"{self.sent:,}", f"of {self.total:,}")
        table.add_row("scored", f"{self.scored:,}", bar)
        table.add_row("rejected", f"{self.rejected:,}", Text(reasons, style="dim"))
        table.add_row("waiting", f"{self.waiting:,}", Text("sent, not answered yet", style="dim"))
        table.add_row("rate", f"{self.rate:,.0f}", "records/s")
        table.add_row("model swaps", f"{self.swaps}", "")
        table.add_row("serving", "", Text(self.serving, style="bold green"))
        return table


class Display(Protocol):
    """What shows the progress; a context manager."""

    def __enter__(self) -> Display:
        """Begin to show."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last state in view."""
        ...

    def event(self, text: str) -> None:
        """Something happened, once."""
        ...

    def update(self, figures: Figures) -> None:
        """The figures changed."""
        ...


def display(title: str, clock: Callable[[], float] = time.monotonic) -> Display:
    """The live table if stdout is a terminal that can show it, else lines; `clock` tells seconds."""
    console = Console()
    return LiveTable(console, title, clock) if console.is_interactive else Lines(title, clock)


class Lines:
    """A line for each event, and one with the figures every `LINE_EVERY_S` seconds."""

    def __init__(self, title: str, clock: Callable[[], float]) -> None:
        self._title = title
        self._clock = clock
        self._start = self._shown = clock()

    def __enter__(self) -> Lines:
        click.echo(self._title)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def event(self, text: str) -> None:
        """Print it."""
        click.echo(f"{self._clock() - self._start:5.1f} s  {text}")

    def update(self, figures: Figures) -> None:
        """Print the figures if it is time to."""
        now = self._clock()
        if figures.line and now - self._shown >= LINE_EVERY_S:
            self._shown = now
            self.event(figures.line)


class LiveTable:
    """A table that is drawn anew in place, a few times a second, by a thread of its own."""

    def __init__(self, console: Console, title: str, clock: Callable[[], float]) -> None:
        self._title = title
        self._clock = clock
        self._start = clock()
        self._figures: Figures | str = ""
        self._events: deque[tuple[float, str]] = deque(maxlen=EVENTS_SHOWN)
        self._live = Live(console=console, get_renderable=self._table, refresh_per_second=5)

    def __enter__(self) -> LiveTable:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def event(self, text: str) -> None:
        """Add it to the latest events."""
        self._events.append((self._clock() - self._start, text))

    def update(self, figures: Figures) -> None:
        """Draw these figures from now on."""
        self._figures = figures

    def _table(self) -> RenderableType:
        table = grid(label_width=6, number_width=7)
        events = list(self._events)
        for number, (at, text) in enumerate(events):
            table.add_row("events" if number == 0 else "", f"{at:.1f} s", Text(text))
        for _ in range(EVENTS_SHOWN - len(events)):
            table.add_row()
        whole = Group(self._figures, "", table)
        return Panel(whole, title=f"{self._title} · {self._clock() - self._start:.0f} s", title_align="left")


def grid(label_width: int = 12, number_width: int = 10) -> Table:
    """A table without lines: what it is, a number, and text."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True, min_width=label_width)
    table.add_column(justify="right", no_wrap=True, min_width=number_width)
    table.add_column(no_wrap=True)
    return table

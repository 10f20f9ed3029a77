"""Shows whose answers the records get, second by second."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from modelserving.demo.decisions import Second, why_text
from modelserving.demo.progress import grid
from modelserving.wire.speculative_pb2 import Why

SECONDS_SHOWN = 6
_SHOWN_WHY = (Why.ALL_IN, Why.BEST, Why.DEADLINE)


@dataclass(frozen=True, slots=True)
class Shares:
    """Where the demonstration of speculative serving stands."""

    phase: str = "starting"
    sent: int = 0
    decided: int = 0
    late: int = 0
    """Answers that came after the deadline."""
    seconds: Sequence[tuple[int, Second]] = ()
    """The last ones that are over, by epoch second; the newest last."""
    page: str = ""
    """The address of the page that shows it live."""

    @property
    def line(self) -> str:
        """See `Figures`."""
        if not self.seconds:
            return ""
        _, second = self.seconds[-1]
        by = ", ".join(f"{name or 'nobody'} {count}" for name, count in second.by.most_common())
        why = ", ".join(f"{why_text(each)} {count}" for each, count in second.why.most_common())
        return (
            f"sent {self.sent}, decided {self.decided}; last second: {by}; {why}; "
            f"p50 {second.quantile_ms(0.5):.0f} ms, p99 {second.quantile_ms(0.99):.0f} ms, late {second.late}"
        )

    def __rich__(self) -> RenderableType:
        """See `Figures`."""
        figures = grid()
        figures.add_row("page", "", Text(self.page, style="bold"))
        figures.add_row("phase", "", Text(self.phase, style="bold"))
        figures.add_row(
            "decided", f"{self.decided:,}", f"of {self.sent:,} records; {self.late:,} answers came too late"
        )
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("second", no_wrap=True)
        table.add_column("smart", style="bold green", justify="right", min_width=5)
        table.add_column("fast", style="bold cyan", justify="right", min_width=5)
        for name in ("all in", "best", "deadline", "other", "p50 ms", "p99 ms", "late"):
            table.add_column(name, justify="right", no_wrap=True)
        for at, second in self.seconds:
            shown = [second.why[why] for why in _SHOWN_WHY]
            counts = [second.by["smart"], second.by["fast"], *shown, second.why.total() - sum(shown)]
            times = [f"{second.quantile_ms(share):.0f}" for share in (0.5, 0.99)]
            clock = time.strftime("%H:%M:%S", time.localtime(at))
            table.add_row(clock, *(_count(count) for count in counts), *times, _count(second.late))
        for _ in range(SECONDS_SHOWN - len(self.seconds)):
            table.add_row()
        return Group(figures, "", table)


def _count(count: int) -> str:
    return f"{count:,}" if count else "·"

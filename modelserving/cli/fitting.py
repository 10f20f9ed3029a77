"""Tables that fit into the terminal: where it is narrow, dates lose their year, and the least important columns go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from modelserving.cli.text import printable

_GAP = 2
_FOLDED = 16
"""Characters that a column of texts needs at least."""
_YEAR = len("2023-")


@dataclass(frozen=True, slots=True)
class Column:
    """A column.

    Attributes:
        rank: the greater, the sooner it is left out; columns without content go before all others.
        kind: `text`, which may be folded, or `number` or `date`, which may not.
    """

    title: str
    rank: int
    kind: Literal["text", "number", "date"] = "text"


class FittingTable:
    """A table, to be printed by rich.

    Attributes:
        caption: stands below it, in place of what was left out.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self.caption: Text | None = None
        self._columns = columns
        self._rows: list[tuple[str, ...]] = []

    def add_row(self, *cells: str) -> None:
        """Add a cell for each column; they may come from anywhere."""
        self._rows.append(tuple(map(printable, cells)))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        """What rich prints."""
        yield self._table(options.max_width)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """How wide it is."""
        return Measurement.get(console, options, self._table(options.max_width))

    def _table(self, width: int) -> Table:
        rows = self._rows
        every = range(len(self._columns))
        if self._width(rows, every) > width:
            rows = [tuple(map(self._shortened, self._columns, row)) for row in rows]
        filled = {at for at in every if any(row[at] for row in rows)}
        shown: list[int] = []
        for at in sorted(every, key=lambda each: (each not in filled, self._columns[each].rank)):
            if not shown or self._width(rows, [*shown, at]) <= width:
                shown.append(at)
        shown.sort()
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, _GAP, 0, 0))
        for at in shown:
            column = self._columns[at]
            table.add_column(
                column.title,
                justify="right" if column.kind == "number" else "left",
                overflow="fold",
                min_width=self._least(rows, at),
            )
        for row in rows:
            table.add_row(*(Text(row[at]) for at in shown))  # as text, which knows no markup
        left_out = [self._columns[at].title for at in sorted(filled - set(shown))]
        told = f"not shown, for want of width: {', '.join(left_out)}" if left_out else ""
        table.caption = self.caption or (Text(told, "dim", overflow="fold") if told else None)
        table.caption_justify = "left"
        return table

    def _width(self, rows: Sequence[tuple[str, ...]], shown: Sequence[int]) -> int:
        return sum(self._least(rows, at) for at in shown) + _GAP * (len(shown) - 1)

    def _least(self, rows: Sequence[tuple[str, ...]], at: int) -> int:
        column = self._columns[at]
        natural = max(map(cell_len, (column.title, *(row[at] for row in rows))))
        return min(natural, max(_FOLDED, cell_len(column.title))) if column.kind == "text" else natural

    @staticmethod
    def _shortened(column: Column, cell: str) -> str:
        return cell[_YEAR:] if column.kind == "date" else cell

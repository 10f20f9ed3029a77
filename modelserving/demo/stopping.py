"""Ctrl-C and other requests to end, taken note of where nothing is left half done."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):  # noqa: N818 - no fault
    """A signal asked to end."""


class StopSignals:
    """While the context lasts, a signal to end is noted; `check` then raises.

    Raised at once, as Python does for Ctrl-C, it could cut in between the start of a process and the note of its id,
    or a second one into the cleaning up after the first.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        """The first one; None if there was none."""

    def __enter__(self) -> StopSignals:
        # Under nohup the end of the terminal is to be ignored.
        kept = [number for number in _SIGNALS if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN]
        self._before: dict[signal.Signals, Any] = {number: signal.signal(number, self._note) for number in kept}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise if a signal has come.

        Raises:
            Stopped: one has.
        """
        if self.received is not None:
            raise Stopped(self.received.name)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received = self.received or signal.Signals(number)

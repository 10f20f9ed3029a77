"""How far the reader of the topics has come."""

from __future__ import annotations

from dataclasses import dataclass

AWAY_S = 30.0
"""So long without a word from the broker, and what is shown is no longer what is."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of the reader; its times are seconds of a clock that only grows."""

    caught_up: bool = False
    """All is read that was there at the start."""
    left: int = 0
    """Messages to read until then."""
    lag: int = 0
    """Messages that were there at the last look and had not been read."""
    heard_s: float | None = None
    """When the broker answered last."""
    fault: str = ""
    """What went wrong since."""
    ended: bool = False
    """It will not go on: a bug."""

    def not_ready(self, now_s: float) -> str | None:
        """Why answers may not tell what is; None if they do."""
        if self.ended:
            return f"the reader of the topics has ended: {self.fault}"
        if not self.caught_up:
            reading = (
                f"{self.left} messages are still to be read" if self.heard_s is not None else "nothing is read yet"
            )
            return f"{reading}: {self.fault}" if self.fault else reading
        away_s = now_s - (self.heard_s or 0.0)
        if away_s > AWAY_S:
            return f"the broker has not answered for {away_s:.0f} s" + (f": {self.fault}" if self.fault else "")
        return None

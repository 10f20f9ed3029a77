"""How far the reader of the topics has come."""

from __future__ import annotations

from dataclasses import dataclass

AWAY_S = 30.0
"""So long without a word from the broker about each partition, and what is shown is no longer what is."""
BEHIND_S = 30.0
"""The same, where a message that the broker has is so long not read. Of messages nobody can say how many are too many:
a job with thousands of models tells thousands a second."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment of the reader; its times are seconds of a clock that only grows."""

    caught_up: bool = False
    """All is read that was there at the start."""
    left: int = 0
    """Messages to read until then."""
    lag: int = 0
    """Messages that were there at the last look and had not been read."""
    behind: str = ""
    """The partition, as `TOPIC-NUMBER`, whose messages wait longest to be read; empty: all were read that were there
    at the look before the last."""
    behind_since_s: float = 0.0
    """Since when they wait, at least; without meaning if `behind` is empty."""
    heard_s: float | None = None
    """When the broker last said how far each of the partitions goes."""
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
        behind_s = now_s - self.behind_since_s
        if self.behind and behind_s > BEHIND_S:
            waiting = f"messages of {self.behind} are not read for {behind_s:.0f} s, {self.lag} in all"
            return f"{waiting}: {self.fault}" if self.fault else waiting
        return None

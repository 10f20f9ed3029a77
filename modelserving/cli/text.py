"""What others wrote, for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text without the power to move the cursor or forge a line."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)

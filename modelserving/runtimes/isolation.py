"""One bad record never takes its batch with it: find the rows that make a model fail by halving the batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.intp]
Answer = TypeVar("Answer")


def isolate(
    rows: Rows, score: Callable[[Rows], Answer], errors: tuple[type[BaseException], ...]
) -> Iterator[tuple[Rows, Answer | BaseException]]:
    """Score `rows` in as few calls as possible.

    Yields parts of `rows` in order: with their answer, or, for a single row on which `score` raised one of
    `errors`, with that error.
    """
    if not len(rows):
        return
    try:
        answer = score(rows)
    except errors as error:
        if len(rows) == 1:
            yield rows, error
            return
    else:
        yield rows, answer
        return
    middle = len(rows) // 2
    yield from isolate(rows[:middle], score, errors)
    yield from isolate(rows[middle:], score, errors)

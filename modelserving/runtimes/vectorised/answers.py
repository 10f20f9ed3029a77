"""What a compiled model answers to a batch, and what a model is to those around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from modelserving.runtimes.vectorised.columns import Frame, Numbers

Labels = NDArray[np.int32]

T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Answer:
    """Answers to n rows: of a regression `numbers`, of a classification with k classes, or a
    clustering with k clusters, the others."""

    numbers: Numbers | None = None
    """(n,) NaN for none."""
    labels: Labels | None = None
    """(n,) index of the class, -1 for none."""
    probabilities: Numbers | None = None
    """(n, k) NaN for none; None where the model has none."""
    affinities: Numbers | None = None
    """(n, k) of a clustering: how far, or how similar, each cluster is; NaN for none."""
    order: tuple[int, ...] = ()
    """In which order the model names the classes; of equally probable ones the first wins."""


def joined(parts: Sequence[Answer]) -> Answer:
    """The answers to some rows after the others."""
    if len(parts) == 1:
        return parts[0]
    return Answer(
        _joined([part.numbers for part in parts]),
        _joined([part.labels for part in parts]),
        _joined([part.probabilities for part in parts]),
        _joined([part.affinities for part in parts]),
        parts[0].order,
    )


def _joined(parts: Sequence[NDArray[T] | None]) -> NDArray[T] | None:
    given = [part for part in parts if part is not None]
    return np.concatenate(given) if given else None


@dataclass(frozen=True, slots=True)
class Model:
    """A compiled model, on its own or in a segment."""

    key: str
    """Unique in the document."""
    evaluate: Callable[[Frame], Answer]

    def answer(self, frame: Frame) -> Answer:
        """The answers to the rows of `frame`, computed at the first call."""
        found: Answer | None = frame.answers.get(self.key)
        if found is None:
            found = frame.answers[self.key] = self.evaluate(frame)
        return found


@dataclass(frozen=True, slots=True)
class Target:
    """What a model predicts."""

    name: str | None
    """The field, if the model says so."""
    data_type: str
    """The type of a number."""
    classes: tuple[str, ...]
    """The names of the k classes, in the order of `Answer.probabilities`; empty for a regression."""
    ordinal: bool = False
    """Whether the classes have an order."""


def chosen(probabilities: Numbers, order: tuple[int, ...], classes: int) -> Answer:
    """The most probable class.

    Args:
        probabilities: (n, m) of the classes `order`; a row with NaN has no answer.
        order: (m,) indices of classes; the first of equally probable ones wins.
        classes: the number k of classes.
    """
    with np.errstate(invalid="ignore"):
        labels = np.array(order, dtype=np.int32)[probabilities.argmax(axis=1)]
    unknown = np.isnan(probabilities).any(axis=1)
    labels[unknown] = -1
    if order == tuple(range(classes)):
        return Answer(labels=labels, probabilities=probabilities, order=order)
    every = np.zeros((len(probabilities), classes))
    every[:, list(order)] = probabilities
    every[unknown] = np.nan
    return Answer(labels=labels, probabilities=every, order=order)

"""The values of a batch, field by field, and the fields that a model can name."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from modelserving.runtimes.vectorised.coverage import NotCovered

Numbers = NDArray[np.float64]
Mask = NDArray[np.bool_]

UNKNOWN = -1
"""The code of a category that the document nowhere names."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of n categories, with each different one kept once."""

    values: NDArray[np.object_]
    """(m,) strings."""
    rows: NDArray[np.signedinteger[Any]]
    """(n,) which of them each row has; a missing value's means nothing."""

    def each(self) -> NDArray[np.object_]:
        """(n,) the text of each row."""
        texts: NDArray[np.object_] = self.values[self.rows]
        return texts


@dataclass(frozen=True, slots=True)
class Column:
    """The values of one field."""

    values: NDArray[Any]
    """(n,) float64, or int32 codes of categories; a missing value's element means nothing."""
    missing: Mask | None = None
    """(n,) which are missing; None where none is."""
    texts: Texts | None = None
    """Of categories: their texts, where some are `UNKNOWN` so that codes do not tell."""

    def numbers(self) -> Numbers:
        """(n,) the numbers, NaN for a missing one."""
        if self.missing is None:
            return self.values
        return np.where(self.missing, np.nan, self.values)


@dataclass(slots=True)
class Frame:
    """A batch while it is scored: what is known of it by key, computed once each."""

    rows: int
    columns: dict[str, Column] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Field:
    """A field that predicates and terms may read."""

    name: str
    key: str
    """Unique in the document; names are not, since nested models may use one again."""
    data_type: str
    compute: Callable[[Frame], Column] | None = None
    """Makes the column of a derived field."""

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers."""
        return self.data_type in ("double", "float", "integer")

    def column(self, frame: Frame) -> Column:
        """The field's values in `frame`, computed at the first call."""
        found = frame.columns.get(self.key)
        if found is None:
            if self.compute is None:
                raise KeyError(self.key)
            found = frame.columns[self.key] = self.compute(frame)
        return found

    def number(self, text: str) -> float:
        """A constant that the field is compared with, as its type has it.

        Raises:
            NotCovered: not a number.
        """
        return typed_number(text, self.data_type, f"field {self.name!r}")


def typed_number(text: str, data_type: str, what: str) -> float:
    """A constant as its type has it: a float is rounded to 32 bits.

    Raises:
        NotCovered: not a number.
    """
    try:
        value = float(text)
    except ValueError as error:
        raise NotCovered(f"value {text!r} for {what} of type {data_type}") from error
    if math.isnan(value):
        raise NotCovered(f"value {text!r} for {what}")
    if data_type != "float":
        return value
    with np.errstate(over="ignore"):
        return float(np.float32(value))


class Vocabulary:
    """Numbers the categories that a document names."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._codes)

    def add(self, category: str) -> int:
        """The category's code."""
        return self._codes.setdefault(category, len(self._codes))

    def code(self, category: str) -> int:
        """The category's code, `UNKNOWN` if it was never added."""
        return self._codes.get(category, UNKNOWN)

    def words(self) -> NDArray[np.object_]:
        """(m + 1,) the categories by code; the last, which is `UNKNOWN`'s as Python counts, is empty."""
        return np.array([*self._codes, ""], dtype=object)


class Scope:
    """The fields visible to a model: its own, and those of the models around it."""

    def __init__(self, vocabulary: Vocabulary, outer: Scope | None = None) -> None:
        self.vocabulary = vocabulary
        self._outer = outer
        self._fields: dict[str, Field | NotCovered] = {}
        self._made: list[int] = [0] if outer is None else outer._made

    def inner(self) -> Scope:
        """A scope within this one."""
        return Scope(self.vocabulary, self)

    def unique(self, name: str) -> str:
        """A key that no other call returns."""
        self._made[0] += 1
        return f"{name}#{self._made[0]}"

    def define(self, name: str, data_type: str, compute: Callable[[Frame], Column] | None = None) -> Field:
        """Make a field visible here and in scopes within."""
        made = Field(name, self.unique(name), data_type, compute)
        self._fields[name] = made
        return made

    def refuse(self, name: str, construct: str) -> None:
        """Have whoever reads the field refused, because of how it is made; a field that nobody reads does no harm."""
        self._fields[name] = NotCovered(construct)

    def resolve(self, name: str) -> Field:
        """The field of that name.

        Raises:
            NotCovered: there is none, or it is made in a way that is not covered.
        """
        found = self._fields.get(name)
        if isinstance(found, NotCovered):
            raise NotCovered(found.construct)
        if found is not None:
            return found
        if self._outer is None:
            raise NotCovered(f"field {name!r}, which is neither an input nor derived")
        return self._outer.resolve(name)

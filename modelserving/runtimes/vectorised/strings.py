"""Functions of categories: https://dmg.org/pmml/v4-4-1/BuiltinFunctions.html.

They work on each different text once. What comes out has the code of the category of that text, if the document names
it, and carries the text along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from itertools import product

import numpy as np

from modelserving.runtimes.vectorised.columns import Column, Frame, Mask, Scope, Texts, Vocabulary
from modelserving.runtimes.vectorised.coverage import NotCovered
from modelserving.runtimes.vectorised.typed import Expression, constant_number, either

_MOST_TEXTS = 1024
"""Of a concatenation, that are spelled out when it is compiled."""

_BLANKS = "".join(map(chr, range(33)))
"""What Java trims."""

_UNARY: Mapping[str, Callable[[str], str]] = {
    "uppercase": str.upper,
    "lowercase": str.lower,
    "trimBlanks": lambda text: text.strip(_BLANKS),
}


def of_categories(name: str, given: Sequence[Expression], scope: Scope, *, strict: bool) -> Expression:
    """Compile a function of which some argument is a category.

    Args:
        name: of the function.
        given: its arguments.
        scope: where it is.
        strict: whether the value is missing wherever that of an argument is, for each function.

    Raises:
        NotCovered
    """
    types = [each.data_type for each in given]
    if name in ("equal", "notEqual") and len(given) == 2:
        return _comparison(name == "equal", given, scope)
    if name in _UNARY and len(given) == 1:
        return _mapped(_UNARY[name], given[0], scope)
    if name == "substring" and types == ["string", "integer", "integer"]:
        return _substring(given, scope)
    if name == "concat" and len(given) >= 2 and set(types) == {"string"}:
        return _concatenation(given, scope, strict)
    raise NotCovered(f"function {name} of categories")


def spelled(column: Column, vocabulary: Vocabulary) -> Texts:
    """The texts of a column of categories."""
    return Texts(vocabulary.words(), column.values) if column.texts is None else column.texts


def coded(texts: Texts, missing: Mask | None, vocabulary: Vocabulary) -> Column:
    """The column of categories with these texts."""
    codes = np.array([vocabulary.code(text) for text in texts.values], dtype=np.int32)
    return Column(codes[texts.rows], missing, texts)


def _mapped(function: Callable[[str], str], given: Expression, scope: Scope) -> Expression:
    vocabulary = scope.vocabulary

    def column(frame: Frame) -> Column:
        own = given.column(frame)
        texts = spelled(own, vocabulary)
        values = np.array([function(text) for text in texts.values], dtype=object)
        return coded(Texts(values, texts.rows), own.missing, vocabulary)

    return Expression("string", column, texts=None if given.texts is None else tuple(map(function, given.texts)))


def _substring(given: Sequence[Expression], scope: Scope) -> Expression:
    if given[1].constant is None or given[2].constant is None:
        raise NotCovered("substring whose position or length is no Constant")
    start, length = (
        int(constant_number(text, "integer", "substring")) for text in (given[1].constant, given[2].constant)
    )
    if start < 1 or length < 0:
        raise NotCovered(f"substring of length {length} from position {start}")
    return _mapped(lambda text: text[start - 1 : start - 1 + length], given[0], scope)


def _concatenation(given: Sequence[Expression], scope: Scope, strict: bool) -> Expression:
    """A missing text counts as an empty one, as in JPMML."""

    def column(frame: Frame) -> Column:
        columns = [each.column(frame) for each in given]
        texts = reduce(_joined, (_without_missing(each, scope.vocabulary) for each in columns))
        missing = reduce(either, (each.missing for each in columns)) if strict else None
        return coded(texts, missing, scope.vocabulary)

    parts = [each.texts for each in given if each.texts is not None]
    closed = len(parts) == len(given) and np.prod([len(each) + 1 for each in parts]) <= _MOST_TEXTS
    texts = tuple(dict.fromkeys("".join(each) for each in product(*(("", *part) for part in parts))))
    return Expression("string", column, texts=texts if closed else None)


def _without_missing(column: Column, vocabulary: Vocabulary) -> Texts:
    texts = spelled(column, vocabulary)
    if column.missing is None:
        return texts
    values = np.append(texts.values, np.array([""], dtype=object))
    return Texts(values, np.where(column.missing, len(texts.values), texts.rows))


def _joined(one: Texts, other: Texts) -> Texts:
    # rows may count from the end
    pairs = (one.rows % len(one.values)).astype(np.int64) * len(other.values) + other.rows % len(other.values)
    different, rows = np.unique(pairs, return_inverse=True)
    lefts, rights = one.values[different // len(other.values)], other.values[different % len(other.values)]
    return Texts(np.array([left + right for left, right in zip(lefts, rights, strict=True)], dtype=object), rows)


def _comparison(wanted: bool, given: Sequence[Expression], scope: Scope) -> Expression:
    constants = [each.constant for each in given if each.constant is not None]
    fields = [each for each in given if each.constant is None]
    if not fields or any(each.data_type != "string" for each in fields):
        raise NotCovered("a comparison of a category with a number")
    if constants:
        return among(fields[0], constants, scope, wanted=wanted)

    def column(frame: Frame) -> Column:
        one, other = (each.column(frame) for each in fields)
        same = spelled(one, scope.vocabulary).each() == spelled(other, scope.vocabulary).each()
        return Column((same == wanted).astype(np.float64), either(one.missing, other.missing))

    return Expression("boolean", column)


def among(given: Expression, constants: Sequence[str], scope: Scope, *, wanted: bool) -> Expression:
    """Whether categories are among the constants, or with `wanted` false, are not."""
    codes = np.array([scope.vocabulary.add(text) for text in constants], dtype=np.int32)

    def column(frame: Frame) -> Column:
        own = given.column(frame)
        inside = own.values == codes[0] if len(codes) == 1 else np.isin(own.values, codes)
        return Column((inside == wanted).astype(np.float64), own.missing)

    return Expression("boolean", column)


def choice(true: Mask, one: Column, other: Column, missing: Mask | None, vocabulary: Vocabulary) -> Column:
    """The categories of one column where `true` is, those of the other elsewhere."""
    values = np.where(true, one.values, other.values)
    if one.texts is None and other.texts is None:
        return Column(values, missing)
    left, right = spelled(one, vocabulary), spelled(other, vocabulary)
    # rows may count from the end
    rows = np.where(true, left.rows % len(left.values), len(left.values) + right.rows % len(right.values))
    return Column(values, missing, Texts(np.concatenate([left.values, right.values]), rows))

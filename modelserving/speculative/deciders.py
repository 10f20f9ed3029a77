"""Deciders: what decides on one record, by the votes that are in. One's own takes the place of a rule."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from modelserving.errors import ConfigurationError
from modelserving.speculative.ballot import Vote
from modelserving.speculative.policy import Answer, Policy
from modelserving.wire.speculative_pb2 import Why


@dataclass(frozen=True, slots=True)
class Choice:
    """What a decider decides."""

    answer: Answer | None
    """None: the policy's default, or no answer if it has none."""
    counted: tuple[str, ...] = ()
    """The models whose answer it is, or of whose answers it is made."""
    detail: str = ""
    why: Why = Why.OWN_DECIDER


class Decider(Protocol):
    """Decides on one record. It is asked each time that votes come in, and at the deadline, until it has decided."""

    def __call__(
        self, policy: Policy, votes: Sequence[Vote], outstanding: Sequence[str], at_deadline: bool, /
    ) -> Choice | None:
        """Decide, or return None to wait for more.

        It has to decide at the deadline, and when nothing is outstanding; else the record gets the default. It should
        be a function of its arguments: after a crash the same votes may be shown to it again.

        Args:
            policy: with the models in the order of trust.
            votes: those that are in, in order of arrival, with those that are no answer; none of the shadow.
            outstanding: the models that have not voted, the most trusted first.
            at_deadline: whether the time is over; the job says so up to 5 ms before the deadline.
        """
        ...


def load_deciders(paths: Iterable[str]) -> Mapping[str, Decider]:
    """The deciders at import paths, by path; see `load_decider`."""
    return {path: load_decider(path) for path in paths}


def load_decider(path: str) -> Decider:
    """Import the decider at "package.module:attribute".

    Raises:
        ConfigurationError: there is none.
    """
    module_name, colon, attribute = path.partition(":")
    if not (module_name and colon and attribute):
        raise ConfigurationError(f"decider: {path!r} is no import path; write package.module:attribute")
    try:
        found: object = import_module(module_name)
    except Exception as error:  # a module may raise anything
        raise ConfigurationError(
            f"decider: module {module_name!r} cannot be imported ({type(error).__name__}: {error}); "
            "install it where the deciders run, or correct the path"
        ) from error
    for name in attribute.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise ConfigurationError(f"decider: {module_name!r} has no {attribute!r}; correct the path") from None
    if not callable(found) or isinstance(found, type):
        raise ConfigurationError(f"decider: {path!r} is no function and no callable object; name one that is")
    decider: Decider = found
    return decider


def missing(path: str) -> Decider:
    """In place of the decider at an import path that is there no more: it fails on each record, and says why."""

    def fail(*_: object) -> Choice:
        raise ConfigurationError(f"decider: {path!r} is none that this was started with; start it with that one too")

    return fail


def ask(
    decider: Decider, policy: Policy, votes: Sequence[Vote], outstanding: Sequence[str], at_deadline: bool
) -> Choice | None:
    """What one's own decider says; if it fails, or does not decide when it has to, a choice that says so."""
    try:
        choice = decider(policy, votes, outstanding, at_deadline)
        if choice is not None:
            return _checked(choice)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - it may raise anything, and must not end what asks it
        return Choice(None, detail=f"{type(error).__name__}: {error}", why=Why.DECIDER_FAILED)
    if at_deadline or not outstanding:
        when = "the deadline has passed" if at_deadline else "all votes are in"
        return Choice(None, detail=f"it did not decide, though {when}", why=Why.DECIDER_FAILED)
    return None


def check_answer(answer: object) -> Answer:
    """`answer`, if it is one.

    Raises:
        TypeError: it is neither a number, nor a label, nor a vector.
        ValueError: it is not finite, or empty.
    """
    if isinstance(answer, str):
        return answer
    if isinstance(answer, tuple):
        vector = tuple(_number(each) for each in answer)
        if not vector:
            raise ValueError("a vector of no numbers is no answer")
        return vector
    return _number(answer)


def _number(value: object) -> float:
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise TypeError(f"an answer is a float, a str or a tuple of floats, not {type(value).__name__}")
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("an answer must be finite")
    return number


def _checked(choice: object) -> Choice:
    if not isinstance(choice, Choice):
        raise TypeError(f"a decider returns a Choice or None, not {type(choice).__name__}")
    answer = None if choice.answer is None else check_answer(choice.answer)
    return Choice(answer, tuple(choice.counted), str(choice.detail))

"""What the vectorised evaluator does not cover, said at compile time."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

from modelserving.errors import ModelServingError


class NotCovered(ModelServingError):  # noqa: N818 - says what a document holds, not that something went wrong
    """A document holds a construct that the vectorised evaluator leaves to another engine.

    Attributes:
        construct: the construct, in a few words.
    """

    def __init__(self, construct: str) -> None:
        super().__init__(construct)
        self.construct = construct

    def __str__(self) -> str:
        return f"not covered: {self.construct}"


def number(element: ET.Element, attribute: str, default: float | None = None) -> float:
    """The attribute as a number.

    Raises:
        NotCovered: it is absent and has no default, or it is no number.
    """
    text = element.get(attribute)
    if text is None and default is not None:
        return default
    try:
        value = float(text or "")
    except ValueError as error:
        raise NotCovered(f"{element.tag} with {attribute}={text!r}") from error
    if math.isnan(value):
        raise NotCovered(f"{element.tag} with {attribute}={text!r}")
    return value


def only(element: ET.Element, attribute: str, *accepted: str | None) -> None:
    """Refuse the element if the attribute has another value than those accepted (None: it is absent).

    Raises:
        NotCovered
    """
    if element.get(attribute) not in accepted:
        raise NotCovered(f"{element.tag} with {attribute}={element.get(attribute)!r}")


def child(element: ET.Element, tag: str) -> ET.Element:
    """The first child of that tag.

    Raises:
        NotCovered: there is none.
    """
    found = element.find(tag)
    if found is None:
        raise NotCovered(f"{element.tag} without {tag}")
    return found

"""Bins for what a Discretize gives its default to: https://dmg.org/pmml/v4-4-1/Transformations.html, "Discretization".

PMML4S takes a number that is in no bin for a missing one, and knows no default.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from modelserving.errors import ModelRejected
from modelserving.wire.serving_pb2 import Reason

_Cut = tuple[float, bool]
"""A place between two numbers: below one or, if true, above it."""

_LEAST, _GREATEST = (-math.inf, False), (math.inf, True)


def complete_bins(discretize: ET.Element) -> None:
    """Have the default, if there is one, in bins of its own: between those that there are, below them and above.

    Raises:
        ModelRejected: UNLOADABLE: a margin that is not a number.
    """
    default = discretize.get("defaultValue")
    if default is None:
        return
    ends = [_ends(interval) for interval in discretize.iterfind("DiscretizeBin/Interval")]
    # one like (1, 1] holds nothing
    for start, end in _gaps(sorted(each for each in ends if each[0] < each[1])):
        own = ET.SubElement(discretize, "DiscretizeBin", binValue=default)
        left = "closed" if start > _LEAST and not start[1] else "open"
        interval = ET.SubElement(own, "Interval", closure=f"{left}{'Closed' if end[1] and end < _GREATEST else 'Open'}")
        if start > _LEAST:
            interval.set("leftMargin", repr(start[0]))
        if end < _GREATEST:
            interval.set("rightMargin", repr(end[0]))


def _gaps(given: list[tuple[_Cut, _Cut]]) -> Iterator[tuple[_Cut, _Cut]]:
    if not given:
        return
    covered = _LEAST
    for start, end in [*given, (_GREATEST, _GREATEST)]:
        if start > covered:
            yield covered, start
        covered = max(covered, end)


def _ends(interval: ET.Element) -> tuple[_Cut, _Cut]:
    closure = interval.get("closure", "")
    left, right = _margin(interval, "leftMargin"), _margin(interval, "rightMargin")
    start = _LEAST if left is None else (left, closure.startswith("open"))
    return start, _GREATEST if right is None else (right, closure.endswith("Closed"))


def _margin(interval: ET.Element, attribute: str) -> float | None:
    text = interval.get(attribute)
    if text is None:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise ModelRejected(
            Reason.UNLOADABLE, f"{attribute} of an Interval is {text!r}, which is not a number"
        ) from error

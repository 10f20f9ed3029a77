"""The bins that stand for the default of a Discretize hold what no other bin does, and nothing else."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving.errors import ModelRejected
from modelserving.runtimes.pmml_bins import complete_bins
from modelserving.wire.serving_pb2 import Reason

CLOSURES = ("openOpen", "openClosed", "closedOpen", "closedClosed")
MARGINS = (-1.5, 0.0, 0.1, 2.0)
NUMBERS = sorted(
    {each for margin in MARGINS for each in (margin, math.nextafter(margin, -9), math.nextafter(margin, 9))}
    | {-9e99, 9e99}
)

Bin = tuple[float | None, float | None, str]


def discretize(bins: list[Bin], default: str | None = "other") -> ET.Element:
    element = ET.Element("Discretize", field="a")
    if default is not None:
        element.set("defaultValue", default)
    for left, right, closure in bins:
        interval = ET.SubElement(ET.SubElement(element, "DiscretizeBin", binValue="own"), "Interval", closure=closure)
        if left is not None:
            interval.set("leftMargin", repr(left))
        if right is not None:
            interval.set("rightMargin", repr(right))
    return element


def holding(element: ET.Element, number: float) -> list[str]:
    """The values of the bins that hold the number."""
    found = []
    for each in element.findall("DiscretizeBin"):
        interval = each.find("Interval")
        assert interval is not None
        left, right = (float(interval.get(name, "nan")) for name in ("leftMargin", "rightMargin"))
        closure = interval.get("closure", "")
        above = math.isnan(left) or number > left or (closure.startswith("closed") and number == left)
        below = math.isnan(right) or number < right or (closure.endswith("Closed") and number == right)
        if above and below:
            found.append(each.get("binValue", ""))
    return found


MARGIN = st.one_of(st.none(), st.sampled_from(MARGINS))


@given(st.lists(st.tuples(MARGIN, MARGIN, st.sampled_from(CLOSURES)), min_size=1, max_size=4))
def test_each_number_is_in_a_bin_of_the_document_or_in_one_of_the_default(bins: list[Bin]) -> None:
    bins = [each for each in bins if each[0] is None or each[1] is None or each[0] <= each[1]]
    some = any(each[0] is None or each[0] != each[1] or each[2] == "closedClosed" for each in bins)
    before, after = discretize(bins), discretize(bins)
    complete_bins(after)
    for number in NUMBERS:
        own = holding(before, number)
        assert holding(after, number) == (own or ["other"] * some)
    for interval in after.iterfind("DiscretizeBin[@binValue='other']/Interval"):
        assert interval.keys() != ["closure"]


def test_without_a_default_there_is_nothing_to_add() -> None:
    element = discretize([(0.0, 1.0, "openClosed")], default=None)
    complete_bins(element)
    assert len(element) == 1


def test_a_margin_that_is_no_number() -> None:
    element = discretize([(0.0, 1.0, "openClosed")])
    element[0][0].set("leftMargin", "low")
    with pytest.raises(ModelRejected, match="'low'") as caught:
        complete_bins(element)
    assert caught.value.reason == Reason.UNLOADABLE

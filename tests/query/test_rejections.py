"""The sample of rejections: bounded, and of each kind."""

from __future__ import annotations

import pytest

from modelserving.query import rejections
from modelserving.query.rejections import Rejections


def test_a_flood_does_not_drive_out_what_is_rare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejections, "MOST_OF_EACH", 3)
    kept = Rejections()
    kept.add("record", "wine", "MODEL_FAILED", (0, 0, 0), b"rare reason")
    kept.add("record", "beer", "MALFORMED", (1, 0, 1), b"rare type")
    kept.add("model", "wine", "MALFORMED", (2, 0, 2), b"model")
    for number in range(10, 20):
        kept.add("record", "wine", "MALFORMED", (number, 0, number), b"%d" % number)
    assert kept.newest(100) == [b"19", b"18", b"17", b"model", b"rare type", b"rare reason"]
    assert kept.newest(100, "wine") == [b"19", b"18", b"17", b"model", b"rare reason"]
    assert (kept.newest(1, "beer"), kept.newest(1, "tea")) == ([b"rare type"], [])


def test_all_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejections, "MOST_OF_EACH", 2)
    monkeypatch.setattr(rejections, "MOST", 4)
    kept = Rejections()
    for at, data_type in enumerate("aabbac"):
        kept.add("record", data_type, "MALFORMED", (at, 0, at), b"%s%d" % (data_type.encode(), at))
    assert kept.newest(100) == [b"c5", b"a4", b"a1"], "of b nothing was heard for longest"

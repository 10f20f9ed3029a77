"""A model whose bytes come in pieces."""

from __future__ import annotations

from collections import Counter

import pytest

from modelserving.errors import ModelServingError
from modelserving.pieces import PIECE_BYTES, split
from modelserving.wire.state_pb2 import ModelPiece
from tests.core.join_instance import Instance, MemoryStore, decision
from tests.core.loads import Loads, admitted

SIZE = 2 * PIECE_BYTES + 1


def pieces(store: MemoryStore) -> set[int]:
    """Offsets of the models of which the state has pieces; each has all of them."""
    offsets = Counter(ModelPiece.FromString(value).offset for name, value in store.states.items() if name != "wine")
    assert set(offsets.values()) <= {3}
    return set(offsets)


def test_it_serves_once_all_have_come_and_been_decided_about() -> None:
    instance = Instance()
    instance.decide(3)
    *first, last = split(decision(5, SIZE))
    assert len(first) == 3
    for piece in first:
        assert piece.ByteSize() < PIECE_BYTES + 100
        instance.take_in(piece)
        assert instance.serving() == "wine-3"
    instance.take_in(last)
    instance.wait_for("wine-5")
    assert instance.loads.data["wine-5"] == admitted(5, size=SIZE).descriptor.data
    assert len(instance.store.states["wine"]) < 1000


def test_the_state_has_all_of_the_serving_and_the_last_good_and_of_no_other() -> None:
    instance = Instance()
    for offset, kept in ((3, {3}), (5, {3, 5}), (6, {5, 6})):
        instance.decide(offset, SIZE)
        assert pieces(instance.store) == kept
    instance.decide(7)
    assert pieces(instance.store) == {6}
    instance.decide(8)
    assert pieces(instance.store) == set()


def test_after_a_restore_it_is_made_of_the_state() -> None:
    first = Instance()
    first.decide(3, SIZE)
    first.decide(5, SIZE + 1)
    for failing, version in ((set(), "wine-5"), ({"wine-5"}, "wine-3")):
        restored = Instance(store=first.store, loads=Loads(failing=failing))
        assert restored.serving() == version
        assert restored.loads.data["wine-5"] == admitted(5, size=SIZE + 1).descriptor.data
    assert restored.loads.data["wine-3"] == admitted(3, size=SIZE).descriptor.data


def test_pieces_and_decision_that_come_again_change_nothing() -> None:
    instance = Instance()
    instance.decide(3, SIZE)
    instance.decide(5, SIZE)
    instance.wait_for("wine-5")
    before = dict(instance.store.states)
    for offset in (5, 3):
        instance.decide(offset, SIZE)
        assert instance.store.states == before
    instance.decide(1, SIZE)  # older than all that the state knows
    assert instance.store.states == before
    assert instance.serving() == "wine-5"


def test_retired_it_leaves_none() -> None:
    instance = Instance()
    instance.decide(3, SIZE)
    instance.decide(5, SIZE)
    instance.retire(7, 3, "wine-5")
    instance.wait_for("wine-3")
    assert pieces(instance.store) == {3}
    instance.retire(8, -1)
    instance.check_no_model()
    assert pieces(instance.store) == set()


def test_a_piece_that_the_state_lacks_is_told() -> None:
    instance = Instance()
    _, *others, last = split(decision(3, SIZE))
    for piece in others:
        instance.take_in(piece)
    with pytest.raises(ModelServingError, match="lacks piece 0 of 3 of the model of 'wine' at offset 3"):
        instance.take_in(last)

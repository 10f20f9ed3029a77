"""The bounded cache of live models."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from modelserving.live_models import BASE_BYTES, BYTES_PER_BYTE, LiveModel, LiveModels, live_model, memory_bytes
from modelserving.servable import ModelVersion
from tests.core.cases import FakeServable
from tests.core.loads import admitted


def live(offset: int, data_type: str, size: int = 0) -> LiveModel:
    return live_model(admitted(offset, data_type, size), FakeServable(()))


def test_what_a_model_is_estimated_to_take() -> None:
    assert memory_bytes(admitted(0, size=1000).descriptor) == BASE_BYTES + 1000 * BYTES_PER_BYTE


def test_a_live_model_keeps_no_bytes() -> None:
    model = live(7, "wine", 1000)
    assert model.version == ModelVersion("m", "wine-7", "ab")
    assert (model.offset, model.descriptor.dataType, model.descriptor.data) == (7, "wine", b"")


def test_the_least_recently_used_leaves() -> None:
    models = LiveModels(3 * BASE_BYTES)
    for offset, data_type in enumerate(("a", "b", "c")):
        assert models.put(data_type, live(offset, data_type)) == []
    assert models.get("a") is not None
    assert [gone.offset for gone in models.put("d", live(3, "d"))] == [1]
    assert models.get("b") is None
    assert [gone.offset for gone in models.put("e", live(4, "e"))] == [2]
    assert sorted(model.offset for model in models.pop_all()) == [0, 3, 4]
    assert models.pop_all() == []


def test_one_that_is_too_large_by_itself_stays_alone() -> None:
    models = LiveModels(2 * BASE_BYTES)
    models.put("a", live(0, "a"))
    assert [gone.offset for gone in models.put("b", live(1, "b", BASE_BYTES))] == [0]
    assert models.get("b") is not None
    assert [gone.offset for gone in models.put("a", live(2, "a"))] == [1]


def test_room() -> None:
    models = LiveModels(2 * BASE_BYTES)
    assert models.has_room(admitted(0, size=0).descriptor)
    assert not models.has_room(admitted(0, size=BASE_BYTES).descriptor)
    models.put("a", live(0, "a"))
    assert models.has_room(admitted(0, size=0).descriptor)
    assert not models.has_room(admitted(0, size=BASE_BYTES // BYTES_PER_BYTE + 1).descriptor)
    models.pop("a")
    models.pop("a")
    assert models.has_room(admitted(0, size=BASE_BYTES // BYTES_PER_BYTE).descriptor)


DATA_TYPES = st.sampled_from("abcdef")


@given(
    limit=st.integers(0, 8),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("put"), DATA_TYPES, st.integers(0, 4)),
            st.tuples(st.sampled_from(["get", "pop"]), DATA_TYPES),
        ),
        max_size=60,
    ),
)
def test_never_above_the_limit_but_for_one_and_evicted_in_order_of_use(
    limit: int, steps: list[tuple[str, str, int] | tuple[str, str]]
) -> None:
    models = LiveModels(limit * BASE_BYTES)
    expected: list[LiveModel] = []  # the one used last is last
    for offset, step in enumerate(steps):
        data_type = step[1]
        there = [model for model in expected if model.descriptor.dataType == data_type]
        others = [model for model in expected if model.descriptor.dataType != data_type]
        match step:
            case ("get", _):
                assert models.get(data_type) is (there[0] if there else None)
                expected = others + there
            case ("pop", _):
                assert models.pop(data_type) is (there[0] if there else None)
                expected = others
            case ("put", _, weight):
                model = live(offset, data_type, weight * BASE_BYTES // BYTES_PER_BYTE)
                expected = [*others, model]
                evicted = []
                while len(expected) > 1 and sum(each.weight for each in expected) > limit * BASE_BYTES:
                    evicted.append(expected.pop(0))
                assert models.put(data_type, model) == evicted
        left = limit * BASE_BYTES - sum(each.weight for each in expected)
        assert models.has_room(admitted(0, size=0).descriptor) == (left >= BASE_BYTES)
    assert models.pop_all() == expected

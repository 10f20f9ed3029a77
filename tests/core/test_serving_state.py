"""What a join keeps of a data type, and how a decision changes it; also states of release 0.1.0."""

from __future__ import annotations

import pytest

from modelserving import serving_state
from modelserving.errors import ModelServingError
from modelserving.wire.state_pb2 import AdmittedModel, Decision, Retirement, ServingState
from tests.core.loads import admitted

NONE = -1


def kept(state: ServingState) -> tuple[int | None, int | None]:
    """Offsets of the serving and the last good model."""
    return (
        state.serving.offset if state.HasField("serving") else None,
        state.last_good.offset if state.HasField("last_good") else None,
    )


def serve(offset: int, decided: int | None = None) -> Decision:
    where = offset if decided is None else decided
    return Decision(schema=2, data_type="wine", offset=where, admitted=admitted(offset))


def retire(
    offset: int, serving: int, *, version: str = "", name: str = "m", again: AdmittedModel | None = None
) -> Decision:
    retired = Retirement(name=name, version=version, serving=serving)
    return Decision(schema=2, data_type="wine", offset=offset, retired=retired, admitted=again)


def after(*decisions: Decision) -> ServingState:
    state = None
    for decision in decisions:
        state = serving_state.after(state, decision)
    assert state is not None
    assert (state.schema, state.decided) == (serving_state.STATE_SCHEMA, decisions[-1].offset)
    return state


class TestDecode:
    """States as they were written."""

    def test_none(self) -> None:
        assert serving_state.decode(None) is None

    def test_todays(self) -> None:
        state = after(serve(3), serve(5))
        assert serving_state.decode(state.SerializeToString()) == state

    @pytest.mark.parametrize("last_good", [None, admitted(3)], ids=["alone", "with a last good one"])
    def test_of_release_0_1_0(self, last_good: AdmittedModel | None) -> None:
        old = ServingState(schema=1, serving=admitted(5), last_good=last_good)
        state = serving_state.decode(old.SerializeToString())
        assert state == ServingState(schema=2, serving=admitted(5), last_good=last_good, decided=5)

    def test_of_a_later_release(self) -> None:
        later = ServingState(schema=serving_state.STATE_SCHEMA + 1).SerializeToString()
        with pytest.raises(ModelServingError, match="newer release"):
            serving_state.decode(later)


class TestServe:
    """Decisions that a model serves."""

    def test_the_first(self) -> None:
        assert kept(after(serve(3))) == (3, None)

    def test_the_one_before_is_the_last_good_one(self) -> None:
        state = after(serve(3), serve(5))
        assert kept(state) == (5, 3)
        assert (state.serving, state.last_good) == (admitted(5), admitted(3))

    def test_a_scheduled_one_has_an_earlier_offset_than_its_decision(self) -> None:
        state = after(serve(5), serve(3, decided=8))
        assert kept(state) == (3, 5)

    def test_taken_in_again(self) -> None:
        assert kept(after(serve(3), serve(5), serve(5))) == (5, 3)
        assert kept(after(serve(3), serve(3))) == (3, None)


class TestRetire:
    """Decisions that a model is retired."""

    def test_the_last_good_takes_over(self) -> None:
        state = after(serve(3), serve(5), retire(7, 3, version="wine-5"))
        assert kept(state) == (3, None)
        assert state.serving == admitted(3)

    def test_nothing_takes_over(self) -> None:
        assert kept(after(serve(3), serve(5), retire(7, NONE))) == (None, None)

    def test_one_from_the_log_takes_over(self) -> None:
        state = after(serve(5), retire(7, 3, version="wine-5", again=admitted(3)))
        assert kept(state) == (3, None)
        assert state.serving == admitted(3)

    @pytest.mark.parametrize(
        ("version", "last_good"), [("wine-3", None), ("wine-1", 3)], ids=["the last good one", "an older one"]
    )
    def test_what_does_not_serve(self, version: str, last_good: int | None) -> None:
        assert kept(after(serve(3), serve(5), retire(7, 5, version=version))) == (5, last_good)

    def test_of_another_name(self) -> None:
        assert kept(after(serve(3), serve(5), retire(7, 5, name="other"))) == (5, 3)

    def test_taken_in_again(self) -> None:
        retired = retire(7, 3, version="wine-5")
        assert kept(after(serve(3), serve(5), retired, retired)) == (3, None)

    def test_where_nothing_is_kept(self) -> None:
        assert kept(after(retire(7, NONE))) == (None, None)

    def test_a_model_of_release_0_1_0_whose_offset_admission_does_not_know(self) -> None:
        assert kept(after(serve(3), serve(5), retire(7, 4, version="wine-5"))) == (3, None)

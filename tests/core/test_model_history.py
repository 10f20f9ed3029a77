"""What serves by the log alone: the cases that its size and its models at locations make; see test_lifecycle too."""

from __future__ import annotations

from modelserving.descriptors import ModelSources, complete
from modelserving.model_history import ModelHistory
from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.state_pb2 import AdmittedModel
from tests.core.model_logs import model, retirement


class History:
    """A log that is read at a time after all of its messages; those with an offset in `bad` do not pass."""

    def __init__(self, *messages: bytes, bad: frozenset[int] = frozenset()) -> None:
        self.tried: list[int] = []
        self._messages = messages
        self._bad = bad
        self._history = ModelHistory()
        for offset, message in enumerate(messages):
            self._history.add(ModelDescriptor.FromString(message), offset, offset * 10)

    def serving(self, now_ms: int = 1_000_000) -> int | None:
        newest = self._history.newest(self._admit, now_ms)
        assert newest.decided == len(self._messages) - 1
        return None if newest.model is None else newest.model.offset

    def _admit(self, offset: int) -> AdmittedModel | None:
        self.tried.append(offset)
        descriptor = ModelDescriptor.FromString(self._messages[offset])
        if offset in self._bad:
            return None
        if descriptor.location:
            descriptor.data = descriptor.location.encode()
        return AdmittedModel(offset=offset, descriptor=complete(descriptor, ModelSources()))


def located(location: str, **fields: object) -> bytes:
    return model(b"", location=location, **fields)  # type: ignore[arg-type]


def test_the_newest_that_passes() -> None:
    history = History(model(b"0"), model(b"1"), model(b"2"), bad=frozenset({2}))
    assert (history.serving(), history.tried) == (1, [2, 1])


def test_none_passes() -> None:
    assert History(model(b"0"), model(b"1"), bad=frozenset({0, 1})).serving() is None


def test_a_descriptor_sent_again_is_the_first() -> None:
    assert History(model(b"0"), model(b"0"), model(b"0", created_at_ms=5)).serving() == 0


def test_nothing_but_a_retirement() -> None:
    history = History(retirement())
    assert (history.serving(), history.tried) == (None, [])


def test_a_retired_model_is_not_tried() -> None:
    history = History(model(b"0", version="1"), model(b"1", version="2"), retirement(version="2"))
    assert (history.serving(), history.tried) == (0, [0])


def test_a_conflict_with_a_model_that_passes() -> None:
    history = History(model(b"0", version="1"), model(b"1", version="1"))
    assert (history.serving(), set(history.tried)) == (0, {0})


def test_a_conflict_with_one_that_does_not() -> None:
    assert History(model(b"0", version="1"), model(b"1", version="1"), bad=frozenset({0})).serving() == 1
    messages = (model(b"0", version="1"), model(b"1", version="2"), model(b"2", version="1"))
    assert History(*messages).serving() == 1
    assert History(*messages, bad=frozenset({0})).serving() == 2


def test_a_scheduled_model_and_the_time_of_reading() -> None:
    history = History(model(b"0"), model(b"1", activation_ms=500))
    assert [history.serving(now_ms) for now_ms in (499, 500)] == [0, 1]


def test_a_scheduled_model_that_a_retired_one_put_out_of_the_plan() -> None:
    messages = (model(b"0"), model(b"1", activation_ms=500), model(b"2", version="2"), retirement(version="2"))
    assert History(*messages).serving() == 0
    assert History(*messages, bad=frozenset({2})).serving() == 1


def test_a_retired_model_is_no_bar_to_an_earlier_activation_time() -> None:
    assert History(model(b"0"), retirement(), model(b"1", activation_ms=5)).serving() == 2
    assert History(model(b"0"), model(b"1", activation_ms=5), bad=frozenset({0})).serving() == 1


def test_models_at_locations_are_not_fetched_for_nothing() -> None:
    history = History(*(located(f"s3://{number}", version=str(number)) for number in range(5)))
    assert (history.serving(), history.tried) == (4, [4])
    history = History(*(located(f"s3://{number}") for number in range(5)))
    assert (history.serving(), history.tried) == (4, [4])


def test_models_at_locations_that_are_the_same_version() -> None:
    history = History(located("s3://0", version="1"), located("s3://1", version="1"))
    assert history.serving() == 0
    history = History(located("s3://0", version="1"), located("s3://1", version="1"), bad=frozenset({0}))
    assert history.serving() == 1


def test_a_version_that_only_its_location_tells() -> None:
    told = complete(ModelDescriptor(data=b"s3://0"), ModelSources()).version
    assert History(located("s3://0"), retirement(version=told)).serving() is None
    assert History(located("s3://0"), retirement(version="other")).serving() == 0
    assert History(located("s3://0"), retirement(version="other"), bad=frozenset({0})).serving() is None

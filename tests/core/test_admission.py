"""Admission: each message of the model log is judged once, and rejected, admitted or neither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving import loader
from modelserving.admission import LONGEST_DETAIL, Admission, Verdict, data_type_of
from modelserving.configuration import load_data_types
from modelserving.data_types import DataType, DataTypes, Feature
from modelserving.descriptors import ModelSources
from modelserving.errors import ModelRejected
from modelserving.wire.model_pb2 import Answer, ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import LogPosition, Reason, Rejected
from modelserving.wire.state_pb2 import AdmissionState
from tests.core.cases import FakeServable
from tests.flink.messages import example_model
from tests.model_cases import GOOD, LINEAR, MALFORMED, UNLOADABLE, changed

BEER = DataType("beer", (Feature("alcohol"),))
NOW_MS = 1_700_000_000_123


def admission(roots: tuple[Path, ...] = ()) -> Admission:
    return Admission(DataTypes((*load_data_types(), BEER)), ModelSources(roots), lambda: NOW_MS)


@dataclass
class Log:
    """A model log that is judged message by message, with a state for each data type, as the operator does."""

    judge: Admission = field(default_factory=admission)
    messages: list[bytes | None] = field(default_factory=list)
    states: dict[str, AdmissionState] = field(default_factory=dict)

    def send(self, message: bytes | None) -> Verdict:
        self.messages.append(message)
        return self.deliver(len(self.messages) - 1)

    def deliver(self, offset: int) -> Verdict:
        message = self.messages[offset]
        state = self.states.setdefault(data_type_of(message), AdmissionState())
        return self.judge.judge(message, LogPosition(topic="models", offset=offset, timestamp_ms=offset * 10), state)


class FakeLoader:
    """Loads any model but those whose bytes begin with `bad`."""

    def __init__(self) -> None:
        self.loaded: list[bytes] = []
        self.open = 0

    def __call__(self, descriptor: ModelDescriptor, _: DataType) -> FakeServable:
        self.loaded.append(descriptor.data)
        if descriptor.data.startswith(b"bad"):
            raise ModelRejected(Reason.UNLOADABLE, "this one is bad")
        if descriptor.data.startswith(b"odd"):
            raise AttributeError("a library's fault on odd bytes")
        self.open += 1
        servable = FakeServable(())
        servable.close = self._closed  # type: ignore[method-assign]
        return servable

    def _closed(self) -> None:
        self.open -= 1


@pytest.fixture
def fake_loader(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeLoader]:
    fake = FakeLoader()
    monkeypatch.setattr(loader, "load", fake)
    yield fake
    assert fake.open == 0, "a model loaded on trial was not closed"


def message(data: bytes, data_type: str = "wine", version: str = "") -> bytes:
    return changed(dataType=data_type, data=data, version=version)


def rejected(verdict: Verdict) -> Rejected:
    assert verdict.decision is None
    assert verdict.rejected is not None
    return Rejected.FromString(verdict.rejected)


def check_rejected(verdict: Verdict, message: bytes | None, offset: int, reason: Reason) -> Rejected:
    one = rejected(verdict)
    assert Reason.Name(one.reason) == Reason.Name(reason)
    assert (one.original if one.HasField("original") else None) == message
    assert one.position == LogPosition(topic="models", offset=offset, timestamp_ms=offset * 10)
    assert one.rejected_at_ms == NOW_MS
    assert 0 < len(one.detail) <= LONGEST_DETAIL
    return one


@pytest.mark.parametrize("bad", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(bad: bytes | None, fake_loader: FakeLoader) -> None:
    log = Log()
    assert log.send(message(b"first")).decision is not None
    one = check_rejected(log.send(bad), bad, 1, Reason.MALFORMED)
    assert one.data_type == ""
    assert log.send(message(b"first")) == Verdict()
    assert fake_loader.loaded == [b"first"]


@pytest.mark.parametrize("bad", UNLOADABLE.values(), ids=UNLOADABLE.keys())
def test_unloadable(bad: bytes) -> None:
    log = Log()
    assert log.send(GOOD).decision is not None
    one = check_rejected(log.send(bad), bad, 1, Reason.UNLOADABLE)
    assert one.data_type == "wine"
    assert one.model_name == ModelDescriptor.FromString(bad).name
    assert log.send(GOOD) == Verdict()


@pytest.mark.parametrize("file", ["tree.pmml", "tensorflow.pb", "saved-model.zip"])
def test_a_good_model_is_admitted_complete(file: str) -> None:
    decision = Log().send(example_model(file)).decision
    assert decision is not None
    assert (decision.data_type, decision.admitted.offset) == ("wine", 0)
    descriptor = decision.admitted.descriptor
    assert descriptor.data == ModelDescriptor.FromString(example_model(file)).data
    assert descriptor.version == descriptor.sha256[:12]


def test_the_serving_descriptor_sent_again_is_counted_and_no_more(fake_loader: FakeLoader) -> None:
    log = Log()
    log.send(message(b"first", version="1"))
    assert [log.send(message(b"first", version="1")) for _ in range(3)] == [Verdict()] * 3
    assert fake_loader.loaded == [b"first"]
    assert (log.states["wine"].repeated, log.states["wine"].applied_offset) == (3, 3)


@pytest.mark.parametrize(
    "settings",
    [
        {"answer": Answer.VECTOR},
        {"output_tensor": "other"},
        {"modeltype": ModelType.TENSORFLOW},
        {"description": "other"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_other_settings_for_the_same_bytes_are_no_repetition(
    settings: dict[str, object], fake_loader: FakeLoader
) -> None:
    log = Log()
    log.send(message(b"first"))
    assert log.send(changed(data=b"first", **settings)).decision is not None
    assert fake_loader.loaded == [b"first"] * 2


def test_publishing_the_serving_model_later_is_a_repetition(fake_loader: FakeLoader) -> None:
    log = Log()
    log.send(changed(data=b"first", created_at_ms=1))
    assert log.send(changed(data=b"first", created_at_ms=2)) == Verdict()
    assert fake_loader.loaded == [b"first"]


def test_going_back_to_an_older_model_is_no_repetition(fake_loader: FakeLoader) -> None:
    log = Log()
    decisions = [log.send(message(data)).decision for data in (b"first", b"second", b"first")]
    assert [decision and decision.admitted.offset for decision in decisions] == [0, 1, 2]
    assert fake_loader.loaded == [b"first", b"second", b"first"]


def test_the_serving_model_is_remembered_over_a_bad_one(fake_loader: FakeLoader) -> None:
    log = Log()
    log.send(message(b"first"))
    check_rejected(log.send(message(b"bad")), message(b"bad"), 1, Reason.UNLOADABLE)
    assert log.send(message(b"first")) == Verdict()
    assert fake_loader.loaded == [b"first", b"bad"]


def test_data_types_are_judged_apart(fake_loader: FakeLoader) -> None:
    log = Log()
    log.send(message(b"first"))
    assert log.send(message(b"first", "beer")).decision is not None
    assert log.send(message(b"first")) == Verdict()
    assert fake_loader.loaded == [b"first", b"first"]


def test_at_or_below_the_applied_offset_nothing_happens(fake_loader: FakeLoader) -> None:
    log = Log()
    for data in (b"first", b"bad", b"second"):
        log.send(message(data))
    log.send(None)
    state = log.states["wine"].SerializeToString()
    assert [log.deliver(offset) for offset in (0, 1, 2, 3)] == [Verdict()] * 4
    assert log.states["wine"].SerializeToString() == state
    assert fake_loader.loaded == [b"first", b"bad", b"second"]


def test_unknown_data_type(fake_loader: FakeLoader) -> None:
    stranger = message(b"first", "stranger")
    one = check_rejected(Log().send(stranger), stranger, 0, Reason.UNKNOWN_DATA_TYPE)
    assert one.data_type == "stranger"
    assert "wine, beer" in one.detail
    assert fake_loader.loaded == []


def test_whatever_a_loader_raises_on_a_model_rejects_the_model(fake_loader: FakeLoader) -> None:
    one = check_rejected(Log().send(message(b"odd")), message(b"odd"), 0, Reason.UNLOADABLE)
    assert "AttributeError" in one.detail
    assert fake_loader.loaded == [b"odd"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(changed(sha256="é" * 1_000_000), Reason.CONFLICT, id="sha256"),
        pytest.param(changed(location="/" + "é" * 1_000_000), Reason.LOCATION, id="location"),
    ],
)
def test_the_detail_stays_short_whatever_it_quotes(bad: bytes, reason: Reason, fake_loader: FakeLoader) -> None:
    check_rejected(Log().send(bad), bad, 0, reason)
    assert fake_loader.loaded == []


def test_location(tmp_path: Path, fake_loader: FakeLoader) -> None:
    (tmp_path / "model").write_bytes(LINEAR)
    sent = changed(location=str(tmp_path / "model"))
    check_rejected(Log().send(sent), sent, 0, Reason.LOCATION)
    decision = Log(admission((tmp_path,))).send(sent).decision
    assert decision is not None
    assert decision.admitted.descriptor.data == LINEAR
    assert fake_loader.loaded == [LINEAR]


def test_the_state_survives_its_encoding(fake_loader: FakeLoader) -> None:
    log = Log()
    log.send(message(b"first"))
    log.states["wine"] = AdmissionState.FromString(log.states["wine"].SerializeToString())
    assert log.deliver(0) == Verdict()
    assert log.send(message(b"first")) == Verdict()
    assert fake_loader.loaded == [b"first"]


GOOD_DATA = [b"good 1", b"good 2", b"good 3"]
MESSAGES = [
    *(message(data, data_type) for data in [*GOOD_DATA, b"bad 1", b"bad 2"] for data_type in ("wine", "beer")),
    message(b"good 1", "stranger"),
    *(MALFORMED[name] for name in ("tombstone", "random bytes", "missing name", "unknown model type")),
]


@given(
    steps=st.lists(
        st.one_of(st.sampled_from(MESSAGES), st.integers(1, 5)),  # a number: so many messages are delivered again
        max_size=40,
    )
)
def test_any_sequence_of_messages(steps: list[bytes | int | None]) -> None:
    fake = FakeLoader()
    log = Log()
    verdicts: list[Verdict] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "load", fake)
        for step in steps:
            if isinstance(step, int):
                verdicts += [log.deliver(offset) for offset in range(len(log.messages))[-step:]]
            else:
                verdicts.append(log.send(step))
    bad = [
        offset
        for offset, sent in enumerate(log.messages)
        if data_type_of(sent) not in ("wine", "beer") or b"bad" in (sent or b"")
    ]
    turned_away = [Rejected.FromString(verdict.rejected) for verdict in verdicts if verdict.rejected is not None]
    assert [one.position.offset for one in turned_away] == bad
    assert [one.original if one.HasField("original") else None for one in turned_away] == [
        log.messages[offset] for offset in bad
    ]
    for name in ("wine", "beer"):
        decisions = [v.decision.admitted for v in verdicts if v.decision is not None and v.decision.data_type == name]
        admitted = [decision.offset for decision in decisions]
        assert admitted == sorted(set(admitted))
        good = [offset for offset, sent in enumerate(log.messages) if data_type_of(sent) == name and offset not in bad]
        data = [ModelDescriptor.FromString(log.messages[offset] or b"").data for offset in good]
        changes = [each for each, before in zip(data, [None, *data], strict=False) if each != before]
        assert [decision.descriptor.data for decision in decisions] == changes
        assert log.states.get(name, AdmissionState()).repeated == len(good) - len(changes)
    assert fake.open == 0

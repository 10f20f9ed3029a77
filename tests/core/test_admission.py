"""Admission: each message of the model log is judged once, and rejected, admitted, scheduled or none of these."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelserving import gate
from modelserving.admission import Admission, Verdict, data_type_of
from modelserving.errors import ModelRejected
from modelserving.events import ADMISSION, LONGEST_DETAIL
from modelserving.gate import GateLimits
from modelserving.wire.model_pb2 import Answer, ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import EventKind, LogPosition, Reason, Rejected
from modelserving.wire.state_pb2 import AdmissionState, Engine
from tests.core.model_logs import DATA_TYPES, START_MS, FakeGate, Log, kinds, model, retirement
from tests.flink.messages import example_model
from tests.model_cases import GOOD, LINEAR, MALFORMED, UNLOADABLE, changed


def check_rejected(log: Log, verdict: Verdict, reason: Reason) -> Rejected:
    """The newest message of the log was rejected for this reason, and nothing else came of it."""
    assert verdict.rejected is not None
    assert (verdict.decision, verdict.scheduled) == (None, None)
    one = Rejected.FromString(verdict.rejected)
    assert Reason.Name(one.reason) == Reason.Name(verdict.reason) == Reason.Name(reason)
    assert (one.original if one.HasField("original") else None) == log.messages[-1]
    assert one.position == log.position(len(log.messages) - 1)
    assert one.rejected_at_ms == log.now_ms
    assert 0 < len(one.detail) <= LONGEST_DETAIL
    (event,) = verdict.events
    assert (event.kind, event.reason, event.detail) == (EventKind.REJECTED, reason, one.detail)
    assert (event.instance, event.position, event.at_ms) == (ADMISSION, one.position, log.now_ms)
    return one


@pytest.mark.parametrize("bad", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(bad: bytes | None) -> None:
    log = Log()
    assert log.send(model(b"first")).decision is not None
    one = check_rejected(log, log.send(bad), Reason.MALFORMED)
    assert one.data_type == ""
    assert log.send(model(b"first")) == Verdict()
    assert log.gate.checked == [b"first"]
    assert log.serving() == b"first"


class InProcess(FakeGate):
    """The gate without its sandbox."""

    def check(self, complete: ModelDescriptor) -> Engine:
        return gate.check(complete, DATA_TYPES[complete.dataType], GateLimits())


@pytest.mark.parametrize("bad", UNLOADABLE.values(), ids=UNLOADABLE.keys())
def test_unloadable(bad: bytes) -> None:
    log = Log(InProcess())
    assert log.send(GOOD).decision is not None
    one = check_rejected(log, log.send(bad), Reason.UNLOADABLE)
    assert one.data_type == "wine"
    assert one.model_name == ModelDescriptor.FromString(bad).name
    assert log.send(GOOD) == Verdict()
    assert log.serving() == LINEAR


@pytest.mark.parametrize("file", ["tree.pmml", "tensorflow.pb", "saved-model.zip"])
def test_a_good_model_is_admitted_complete(file: str) -> None:
    log = Log()
    verdict = log.send(example_model(file))
    decision = verdict.decision
    assert decision is not None
    assert (decision.data_type, decision.offset, decision.admitted.offset) == ("wine", 0, 0)
    descriptor = decision.admitted.descriptor
    assert descriptor.data == ModelDescriptor.FromString(example_model(file)).data
    assert descriptor.version == descriptor.sha256[:12] != ""
    (event,) = verdict.events
    assert (event.kind, event.instance, event.at_ms) == (EventKind.ADMITTED, ADMISSION, log.now_ms)
    assert (event.data_type, event.model_version, event.model_sha256, event.position) == (
        "wine",
        descriptor.version,
        descriptor.sha256,
        log.position(0),
    )


def test_noop_the_descriptor_now_serving_sent_again() -> None:
    log = Log()
    log.send(model(b"first", version="1"))
    assert [log.send(model(b"first", version="1")) for _ in range(3)] == [Verdict()] * 3
    assert log.gate.checked == [b"first"]
    assert (log.states["wine"].no_ops, log.states["wine"].applied_offset) == (3, 3)


@pytest.mark.parametrize(
    "settings",
    [
        {"answer": Answer.VECTOR},
        {"output_tensor": "other"},
        {"modeltype": ModelType.TENSORFLOW},
        {"description": "other"},
        {"name": "other"},
        {"version": "other"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_other_settings_for_the_same_bytes_are_no_repetition(settings: dict[str, object]) -> None:
    log = Log()
    log.send(model(b"first"))
    assert log.send(changed(data=b"first", **settings)).decision is not None
    assert log.gate.checked == [b"first"] * 2


def test_publishing_the_serving_model_later_is_a_repetition() -> None:
    log = Log()
    log.send(model(b"first", created_at_ms=1))
    assert log.send(model(b"first", created_at_ms=2)) == Verdict()
    assert log.gate.checked == [b"first"]


def test_the_serving_model_is_remembered_over_a_bad_one() -> None:
    log = Log()
    log.send(model(b"first"))
    check_rejected(log, log.send(model(b"bad")), Reason.UNLOADABLE)
    assert log.send(model(b"first")) == Verdict()
    assert log.gate.checked == [b"first", b"bad"]


def test_data_types_are_judged_apart() -> None:
    log = Log()
    log.send(model(b"first"))
    assert log.send(model(b"first", "beer")).decision is not None
    assert log.send(model(b"first")) == Verdict()
    assert log.gate.checked == [b"first", b"first"]


@pytest.mark.parametrize("stranger", [model(b"first", "stranger"), retirement(data_type="stranger")], ids=["model", ""])
def test_unknown_data_type(stranger: bytes) -> None:
    log = Log()
    one = check_rejected(log, log.send(stranger), Reason.UNKNOWN_DATA_TYPE)
    assert one.data_type == "stranger"
    assert "wine, beer" in one.detail
    assert log.gate.checked == []


class TestConflict:
    """CONFLICT rows: what would rewrite history; the version before goes on serving."""

    @pytest.mark.parametrize("between", [[], [b"other"]], ids=["the serving one", "an earlier one"])
    def test_same_name_and_version_with_other_bytes(self, between: list[bytes]) -> None:
        log = Log()
        log.send(model(b"first", version="1"))
        for data in between:
            log.send(model(data, version="2"))
        before = log.serving()
        one = check_rejected(log, log.send(model(b"forged", version="1")), Reason.CONFLICT)
        assert (one.model_name, one.model_version) == ("good", "1")
        assert (log.serving(), b"forged" in log.gate.checked) == (before, False)

    def test_same_name_and_version_with_other_bytes_after_a_retirement(self) -> None:
        log = Log()
        log.send(model(b"first", version="1"))
        log.send(retirement(version="1"))
        check_rejected(log, log.send(model(b"forged", version="1")), Reason.CONFLICT)
        assert log.serving() is None

    def test_same_name_and_version_with_other_bytes_while_scheduled(self) -> None:
        log = Log()
        log.send(model(b"first", version="1", activation_ms=START_MS + 60_000))
        check_rejected(log, log.send(model(b"forged", version="1")), Reason.CONFLICT)

    def test_the_version_of_a_model_that_never_passed_is_free(self) -> None:
        log = Log()
        check_rejected(log, log.send(model(b"bad", version="1")), Reason.UNLOADABLE)
        assert log.send(model(b"mended", version="1")).decision is not None

    def test_the_same_version_of_another_name_or_data_type(self) -> None:
        log = Log()
        log.send(model(b"first", version="1"))
        assert log.send(model(b"second", version="1", name="other")).decision is not None
        assert log.send(model(b"third", "beer", version="1")).decision is not None

    def test_sha256_that_doesnt_match(self) -> None:
        log = Log()
        log.send(model(b"first"))
        check_rejected(log, log.send(model(b"second", sha256="ab" * 32)), Reason.CONFLICT)
        assert (log.serving(), log.gate.checked) == (b"first", [b"first"])

    def test_an_activation_time_before_the_serving_versions(self) -> None:
        log = Log()
        log.send(model(b"first", activation_ms=START_MS + 500))
        one = check_rejected(log, log.send(model(b"second", activation_ms=START_MS + 499)), Reason.CONFLICT)
        assert str(START_MS + 499) in one.detail
        assert log.serving() == b"first"

    def test_an_activation_time_before_that_of_a_version_that_serves_since_it_came(self) -> None:
        log = Log()
        log.send(model(b"first"))
        check_rejected(log, log.send(model(b"second", activation_ms=log.now_ms - 1)), Reason.CONFLICT)
        assert log.serving() == b"first"

    def test_the_same_activation_time_is_none(self) -> None:
        log = Log()
        log.send(model(b"first", activation_ms=START_MS + 500))
        assert log.send(model(b"second", activation_ms=START_MS + 500)).decision is not None


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(changed(sha256="é" * 1_000_000), Reason.MALFORMED, id="sha256"),
        pytest.param(changed(location="/" + "é" * 1_000_000), Reason.LOCATION, id="location"),
    ],
)
def test_the_detail_stays_short_whatever_it_quotes(bad: bytes, reason: Reason) -> None:
    log = Log()
    check_rejected(log, log.send(bad), reason)
    assert log.gate.checked == []


def test_a_model_by_location_is_fetched_and_then_checked() -> None:
    log = Log(FakeGate({"s3://models/linear": LINEAR}))
    check_rejected(log, log.send(changed(location="s3://models/other")), Reason.LOCATION)
    decision = log.send(changed(location="s3://models/linear")).decision
    assert decision is not None
    assert decision.admitted.descriptor.data == LINEAR
    assert log.gate.checked == [LINEAR]


def test_a_location_whose_model_is_another_now_is_no_repetition() -> None:
    log = Log(FakeGate({"s3://models/newest": b"first"}))
    log.send(changed(location="s3://models/newest"))
    assert log.send(changed(location="s3://models/newest")) == Verdict()
    log.gate.locations["s3://models/newest"] = b"second"
    assert log.send(changed(location="s3://models/newest")).decision is not None
    assert log.serving() == b"second"


class TestReceived:
    """The event that a message came."""

    JUDGE = Admission(DATA_TYPES, FakeGate(), lambda _: None, lambda: START_MS)
    POSITION = LogPosition(topic="models", offset=7, timestamp_ms=3)

    def test_a_model(self) -> None:
        event = self.JUDGE.received(model(b"first", version="1"), self.POSITION)
        assert event is not None
        assert (kinds((event,)), event.model_version, event.position.offset) == (["RECEIVED"], "1", 7)

    @pytest.mark.parametrize("bad", MALFORMED.values(), ids=MALFORMED.keys())
    def test_what_is_malformed_names_no_model(self, bad: bytes | None) -> None:
        assert self.JUDGE.received(bad, self.POSITION) is None


def test_admit_judges_without_history() -> None:
    log = Log()
    admitted = log.judge.admit(ModelDescriptor.FromString(model(b"first")), 7)
    assert (admitted.offset, admitted.engine.name) == (7, "fake")
    complete = admitted.descriptor
    assert (complete.data, complete.version) == (b"first", complete.sha256[:12])
    with pytest.raises(ModelRejected, match="bad"):
        log.judge.admit(ModelDescriptor.FromString(model(b"bad")), 7)
    with pytest.raises(ModelRejected, match="not configured"):
        log.judge.admit(ModelDescriptor.FromString(model(b"first", "stranger")), 7)


def test_a_fault_of_the_gate_itself_is_not_hidden() -> None:
    class Broken(FakeGate):
        def check(self, complete: ModelDescriptor) -> Engine:
            raise ZeroDivisionError(complete.name)

    with pytest.raises(ZeroDivisionError):
        Log(Broken()).send(model(b"first"))


GOOD_DATA = [b"good 1", b"good 2", b"good 3"]
MESSAGES = [
    *(model(data, data_type) for data in [*GOOD_DATA, b"bad 1", b"bad 2"] for data_type in ("wine", "beer")),
    model(b"good 1", "stranger"),
    *(MALFORMED[name] for name in ("tombstone", "random bytes", "missing name", "unknown model type")),
]


@given(messages=st.lists(st.sampled_from(MESSAGES), max_size=40))
def test_any_sequence_of_models(messages: list[bytes | None]) -> None:
    log = Log()
    verdicts = [log.send(message) for message in messages]
    bad = [
        offset
        for offset, sent in enumerate(messages)
        if data_type_of(sent) not in ("wine", "beer") or ModelDescriptor.FromString(sent or b"").data.startswith(b"bad")
    ]
    assert [offset for offset, verdict in enumerate(verdicts) if verdict.rejected is not None] == bad
    for name in ("wine", "beer"):
        decisions = [v.decision.admitted for v in verdicts if v.decision is not None and v.decision.data_type == name]
        admitted = [decision.offset for decision in decisions]
        assert admitted == sorted(set(admitted))
        good = [offset for offset, sent in enumerate(messages) if data_type_of(sent) == name and offset not in bad]
        data = [ModelDescriptor.FromString(messages[offset] or b"").data for offset in good]
        changes = [each for each, before in zip(data, [None, *data], strict=False) if each != before]
        assert [decision.descriptor.data for decision in decisions] == changes
        assert log.states.get(name, AdmissionState()).no_ops == len(good) - len(changes)

"""The versions of a data type as functions of admission's state; and the state of release 0.1.0."""

from __future__ import annotations

import pytest

from modelserving import versions
from modelserving.admission import Verdict
from modelserving.errors import ModelRejected, ModelServingError
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import LogPosition, Reason
from modelserving.wire.state_pb2 import AdmissionState, KnownVersion
from tests.core.model_logs import Log, model, retirement


def version(offset: int, name: str = "a", activation_ms: int = 0, sha256: str = "x", number: str = "") -> KnownVersion:
    return KnownVersion(
        offset=offset,
        name=name,
        version=number or str(offset),
        sha256=sha256,
        fingerprint=f"{name} {number or offset} {sha256} {activation_ms}",
        activation_ms=activation_ms,
    )


def state_of(*activated: KnownVersion) -> AdmissionState:
    state = AdmissionState()
    versions.upgrade(state)
    for each in activated:
        versions.activate(state, each)
    return state


def offsets(known: object) -> list[int]:
    return [each.offset for each in known]  # type: ignore[attr-defined]


def complete(**fields: object) -> ModelDescriptor:
    settings = {"name": "a", "dataType": "wine", "version": "1", "sha256": "ab", "data": b"model", **fields}
    return ModelDescriptor(**settings)  # type: ignore[arg-type]


class TestKnownVersion:
    """What is remembered of a descriptor."""

    POSITION = LogPosition(offset=7, timestamp_ms=50)

    def test_its_names_and_its_place(self) -> None:
        known = versions.known_version(complete(), self.POSITION)
        assert (known.offset, known.name, known.version, known.sha256) == (7, "a", "1", "ab")

    @pytest.mark.parametrize(("told", "expected"), [(0, 50), (40, 40), (60, 60)], ids=["none", "past", "future"])
    def test_from_when_on_it_serves(self, told: int, expected: int) -> None:
        assert versions.known_version(complete(activation_ms=told), self.POSITION).activation_ms == expected

    @pytest.mark.parametrize(
        "fields",
        [
            {"description": "b"},
            {"modeltype": ModelType.PMML},
            {"metrics": {"auc": 1.0}},
            {"inputs": ["pH"]},
            {"labels": ["good"]},
            {"activation_ms": 1},
        ],
        ids=lambda fields: next(iter(fields)),
    )
    def test_the_fingerprint_tells_other_settings(self, fields: dict[str, object]) -> None:
        plain, other = (versions.known_version(complete(**each), self.POSITION) for each in ({}, fields))
        assert plain.fingerprint != other.fingerprint

    def test_the_fingerprint_does_not_tell_when_it_was_made_nor_whence_it_came(self) -> None:
        plain = versions.known_version(complete(), self.POSITION)
        later = versions.known_version(complete(created_at_ms=9), LogPosition(offset=9, timestamp_ms=90))
        located = complete(location="s3://a")
        assert plain.fingerprint == later.fingerprint
        assert plain.fingerprint == versions.known_version(located, self.POSITION).fingerprint

    def test_the_order_of_metrics_makes_no_difference(self) -> None:
        names = [f"m{number}" for number in range(20)]
        one, other = (complete(metrics=dict.fromkeys(order, 1.0)) for order in (names, names[::-1]))
        assert versions.known_version(one, self.POSITION) == versions.known_version(other, self.POSITION)


class TestUpgrade:
    """States of release 0.1.0 (schema 1), and fresh ones."""

    SERVING = ModelDescriptor(name="good", dataType="wine", version="1", sha256="ab", modeltype=ModelType.PMML)

    def old(self, offset: int = 7) -> AdmissionState:
        return AdmissionState(schema=1, applied_offset=offset, serving=self.SERVING, no_ops=3)

    def test_a_fresh_state(self) -> None:
        state = AdmissionState()
        versions.upgrade(state)
        assert state == AdmissionState(schema=2, last_good_offset=-1)
        assert versions.serving(state) is None

    def test_what_served_serves(self) -> None:
        state = self.old()
        versions.upgrade(state)
        assert (state.schema, state.applied_offset, state.no_ops, state.last_good_offset) == (2, 7, 3, -1)
        assert not state.HasField("serving")
        known = versions.serving(state)
        assert known is not None
        assert (known.name, known.version, known.sha256) == ("good", "1", "ab")

    def test_a_state_in_which_nothing_serves(self) -> None:
        state = AdmissionState(schema=1, applied_offset=7)
        versions.upgrade(state)
        assert state == AdmissionState(schema=2, applied_offset=7, last_good_offset=-1)

    def test_a_second_time_changes_nothing(self) -> None:
        state = self.old()
        versions.upgrade(state)
        versions.activate(state, version(9))
        before = state.SerializeToString(deterministic=True)
        versions.upgrade(state)
        assert state.SerializeToString(deterministic=True) == before

    def test_the_descriptor_that_served_then_is_a_no_op_now(self) -> None:
        log = Log()
        log.send(model(b"first", version="1"))
        served = ModelDescriptor.FromString(model(b"first", version="1"))
        known = versions.serving(log.states["wine"])
        assert known is not None
        served.ClearField("model")
        served.sha256 = known.sha256
        log.states["wine"] = AdmissionState(schema=1, applied_offset=0, serving=served)
        assert log.send(model(b"first", version="1")) == Verdict()
        assert log.states["wine"].no_ops == 1

    @pytest.mark.parametrize("noise", [0, 2], ids=["judged last", "judged before others"])
    def test_a_model_of_then_takes_over_again_when_its_successor_is_retired(self, noise: int) -> None:
        log = Log()
        log.send(model(b"first", version="1"))
        for _ in range(noise):
            log.send(model(b"bad"))
        log.states["wine"] = self.old(offset=len(log.messages) - 1)
        log.send(model(b"second", version="2"))
        log.send(retirement(version="2"))
        assert log.serving() == b"first"


def test_decode() -> None:
    assert versions.decode(None) == AdmissionState()
    old = AdmissionState(schema=1, applied_offset=3)
    assert versions.decode(old.SerializeToString()) == old
    with pytest.raises(ModelServingError, match="schema 3, this release knows 2"):
        versions.decode(AdmissionState(schema=3).SerializeToString())


def test_repeats_looks_at_the_newest() -> None:
    state = state_of(version(0), version(1))
    assert not versions.repeats(state, version(0))
    assert versions.repeats(state, version(1))
    versions.schedule(state, version(2, activation_ms=100))
    assert not versions.repeats(state, version(1))
    assert versions.repeats(state, version(2, activation_ms=100))


def test_sent_again_a_version_serves_as_of_then() -> None:
    state = state_of(version(0, activation_ms=10))
    again = version(5)
    again.fingerprint = state.versions[0].fingerprint
    again.activation_ms = 50
    assert versions.repeats(state, again)
    assert (state.versions[0].offset, state.versions[0].activation_ms) == (0, 50)


def test_check_conflict_names_the_fault() -> None:
    state = state_of(version(0, activation_ms=10))
    versions.check_conflict(state, version(0), activation_ms=0)
    versions.check_conflict(state, version(1), activation_ms=10)
    with pytest.raises(ModelRejected, match=r"known with sha256 x, not y: give .* a version of its own") as caught:
        versions.check_conflict(state, version(0, sha256="y"), activation_ms=0)
    assert caught.value.reason == Reason.CONFLICT
    with pytest.raises(ModelRejected, match=r"activation time 9 is before 10, .* version '0' of 'a' serves") as caught:
        versions.check_conflict(state, version(1), activation_ms=9)
    assert caught.value.reason == Reason.CONFLICT


def test_only_so_many_versions_are_remembered() -> None:
    state = state_of(*(version(offset) for offset in range(versions.MAX_VERSIONS + 10)))
    assert offsets(state.versions) == list(range(10, versions.MAX_VERSIONS + 10))
    versions.check_conflict(state, version(9, sha256="y"), activation_ms=0)
    with pytest.raises(ModelRejected):
        versions.check_conflict(state, version(10, sha256="y"), activation_ms=0)


def test_a_version_that_serves_again_is_the_newest() -> None:
    state = state_of(version(0, number="1"), version(1, number="2"), version(2, number="1"))
    assert offsets(state.versions) == [1, 2]
    assert state.last_good_offset == 1


def test_scheduled_ones_stay_in_the_order_of_their_times() -> None:
    state = state_of()
    for offset, activation_ms in ((0, 30), (1, 50), (2, 70)):
        assert versions.schedule(state, version(offset, activation_ms=activation_ms)) == []
    assert offsets(versions.schedule(state, version(3, activation_ms=50))) == [1, 2]
    assert offsets(state.scheduled) == [0, 3]
    assert versions.due(state, 29) is None
    first = versions.due(state, 30)
    assert first is not None
    assert (first.offset, offsets(state.scheduled)) == (0, [3])
    assert versions.activate(state, first) == []
    assert offsets(versions.activate(state, version(4))) == [3]
    assert versions.due(state, 1000) is None


@pytest.mark.parametrize(
    ("name", "number", "left", "planned", "last_good"),
    [
        ("a", "1", 3, [4], 1),
        ("a", "2", 3, [4], -1),
        ("a", "3", 1, [4], 1),
        ("a", "", 2, [], -1),
        ("b", "", 3, [4], 1),
        ("a", "4", 3, [], 1),
    ],
    ids=["an old one", "the last good one", "the serving one", "all of a name", "another name", "a scheduled one"],
)
def test_retire(name: str, number: str, left: int, planned: list[int], last_good: int) -> None:
    state = state_of(version(0, number="1"), version(2, name="b", number="1"), version(1, number="2"))
    versions.activate(state, version(3, number="3"))
    versions.schedule(state, version(4, number="4", activation_ms=100))
    assert versions.retire(state, name, number)
    serving = versions.serving(state)
    assert serving is not None
    assert (serving.offset, offsets(state.scheduled), state.last_good_offset) == (left, planned, last_good)
    assert not versions.retire(state, name, number), "it is gone"


@pytest.mark.parametrize(("name", "number"), [("c", ""), ("a", "9"), ("", "")])
def test_retire_what_isnt_there(name: str, number: str) -> None:
    state = state_of(version(0, number="1"))
    before = state.SerializeToString(deterministic=True)
    assert not versions.retire(state, name, number)
    assert state.SerializeToString(deterministic=True) == before

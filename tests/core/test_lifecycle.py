"""The life of models from message to serving: admission, the joins and a cold start agree, whatever is on the log."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from modelserving import descriptors, serving_state, versions
from modelserving.admission import Verdict, data_type_of
from modelserving.errors import ModelRejected
from modelserving.model_history import ModelHistory
from modelserving.wire.serving_pb2 import Reason
from modelserving.wire.state_pb2 import AdmittedModel
from tests.core.model_logs import STEP_MS, Log, kinds, model, retirement

BAD = b"bad"


@dataclass
class Version:
    """A version that passed, in the rules told plainly."""

    name: str
    version: str
    data: bytes
    told_ms: int
    """The activation time in its message; 0 if there is none."""
    from_ms: int
    """From when on it serves."""
    retired: bool = False


@dataclass
class Rules:
    """What must serve, told plainly: all that ever served, in order, and what waits for its time."""

    served: list[Version] = field(default_factory=list)
    waiting: list[Version] = field(default_factory=list)

    @property
    def serving(self) -> Version | None:
        left = [version for version in self.served if not version.retired]
        return left[-1] if left else None

    def pass_time(self, now_ms: int) -> None:
        for version in sorted(self.waiting, key=lambda one: one.from_ms):
            if version.from_ms <= now_ms:
                self.waiting.remove(version)
                self.served.append(version)

    def retire(self, name: str, version: str) -> None:
        for one in [*self.served, *self.waiting]:
            one.retired |= one.name == name and version in ("", one.version)
        self.waiting = [one for one in self.waiting if not one.retired]

    def publish(self, new: Version, now_ms: int) -> None:
        newest = self.waiting[-1] if self.waiting else self.serving
        if newest and (newest.name, newest.version, newest.data, newest.told_ms) == (
            new.name,
            new.version,
            new.data,
            new.told_ms,
        ):
            newest.from_ms = new.from_ms
            return
        for known in [*self.served, *self.waiting]:
            if (known.name, known.version) == (new.name, new.version) and known.data != new.data:
                return
        if new.told_ms and self.serving and new.told_ms < self.serving.from_ms:
            return
        if new.data == BAD:
            return
        # The last message wins: what was to serve at the same time or later does not.
        self.waiting = [one for one in self.waiting if one.from_ms < new.from_ms]
        (self.waiting if new.told_ms > now_ms else self.served).append(new)


@dataclass(frozen=True)
class Publish:
    name: str
    version: str
    data: bytes
    active_after_ms: int | None
    """From the message's time; None: no activation time is told."""
    by_location: bool


@dataclass(frozen=True)
class Retire:
    name: str
    version: str


@dataclass(frozen=True)
class Other:
    """A message that is none, or for another data type."""

    message: bytes | None


Step = tuple[Publish | Retire | Other | None, int]
"""A message, or None, and how long after the one before."""

NAMES = st.sampled_from(["a", "b"])
ACTIVE_AFTER = st.sampled_from([-3_000, -1_500, -500, 0, 500, 1_500, 3_000])
PUBLISHED = st.builds(
    Publish,
    NAMES,
    st.sampled_from(["1", "2"]),
    st.sampled_from([b"x", b"y", BAD]),
    st.one_of(st.none(), ACTIVE_AFTER),
    st.booleans(),
)
RETIRED = st.builds(Retire, NAMES, st.sampled_from(["", "1", "2", "2"]))
OTHERS = st.sampled_from([Other(b""), Other(None), Other(b"\xff"), Other(model(b"x", "beer"))])
STEPS = st.lists(
    st.tuples(st.one_of(PUBLISHED, PUBLISHED, RETIRED, OTHERS, st.none()), st.sampled_from([0, 1_000, 1_000, 2_000])),
    max_size=14,
)


def log_and_rules(steps: list[Step]) -> tuple[Log, Rules]:
    """A log, and the rules beside it; after each step they agree."""
    log, rules = Log(), Rules()
    log.gate.locations = {f"s3://{data.decode()}": data for data in (b"x", b"y", BAD)}
    for message, pause_ms in steps:
        now_ms = log.now_ms + pause_ms
        rules.pass_time(now_ms)
        verdict = Verdict()
        match message:
            case None:
                log.advance(pause_ms)
            case Other(other):
                log.send(other, pause_ms)
            case Retire(name, version):
                rules.retire(name, version)
                verdict = log.send(retirement(name, version), pause_ms)
            case Publish(name, version, data, active_after_ms, by_location):
                told_ms = 0 if active_after_ms is None else now_ms + active_after_ms
                rules.publish(Version(name, version, data, told_ms, told_ms or now_ms), now_ms)
                where = {"location": f"s3://{data.decode()}"} if by_location else {}
                sent = model(data, version=version, name=name, activation_ms=told_ms, **where)
                verdict = log.send(sent, pause_ms)
        assert bool(verdict.rejected) == (verdict.reason != Reason.REASON_UNSPECIFIED)
        check(log, rules)
    return log, rules


def check(log: Log, rules: Rules) -> None:
    """Admission and the join agree with the rules on what serves, and the join keeps what admission counts on."""
    state, join = log.states.get("wine"), log.joins.get("wine")
    known = None if state is None else versions.serving(state)
    expected = rules.serving
    if expected is None:
        assert known is None
        assert join is None or not join.HasField("serving")
    else:
        assert known is not None
        assert join is not None
        serving = join.serving.descriptor
        assert (known.name, known.version) == (expected.name, expected.version)
        assert (serving.name, serving.version, serving.data) == (expected.name, expected.version, expected.data)
        assert (join.serving.offset, serving.sha256) == (known.offset, known.sha256)
    if state is not None and state.schema:
        scheduled = [(one.name, one.version, one.activation_ms) for one in state.scheduled]
        assert scheduled == [(one.name, one.version, one.from_ms) for one in rules.waiting]
        assert all(log.scheduled[one.offset].descriptor.sha256 == one.sha256 for one in state.scheduled)
        if state.last_good_offset >= 0:
            assert join is not None
            assert join.last_good.offset == state.last_good_offset


def cold_start(log: Log, tried: list[int] | None = None) -> AdmittedModel | None:
    """What serves by the log alone; `tried` gets the offsets of the models that were put to the gate."""
    history = ModelHistory()
    for offset, message in enumerate(log.messages):
        try:
            descriptor = descriptors.parse(message)
        except ModelRejected:
            continue
        if descriptor.dataType == "wine":
            history.add(descriptor, offset, log.timestamps[offset])

    def admit(offset: int) -> AdmittedModel | None:
        if tried is not None:
            tried.append(offset)
        try:
            return log.judge.admit(descriptors.parse(log.messages[offset]), offset)
        except ModelRejected:
            return None

    if "wine" not in {data_type_of(message) for message in log.messages}:
        return None
    return history.newest(admit, log.now_ms).model


@settings(max_examples=400)
@given(steps=STEPS)
def test_what_serves_follows_the_rules_after_every_message(steps: list[Step]) -> None:
    log_and_rules(steps)


@settings(max_examples=400)
@given(steps=STEPS)
def test_a_cold_start_agrees_with_what_was_judged_message_by_message(steps: list[Step]) -> None:
    log, rules = log_and_rules(steps)
    model = cold_start(log)
    expected = rules.serving
    assert (model is None) == (expected is None)
    if model is not None and expected is not None:
        found = model.descriptor
        assert (found.name, found.version, found.data) == (expected.name, expected.version, expected.data)
        assert found.sha256 == log.joins["wine"].serving.descriptor.sha256


@settings(max_examples=200)
@given(steps=STEPS)
def test_a_decision_taken_in_twice_is_as_one(steps: list[Step]) -> None:
    log, _ = log_and_rules(steps)
    joins: dict[str, bytes] = {}
    for decision in (verdict.decision for verdict in log.verdicts if verdict.decision is not None):
        before = serving_state.decode(joins.get(decision.data_type))
        once = serving_state.after(before, decision)
        assert serving_state.after(once, decision) == once
        joins[decision.data_type] = once.SerializeToString()


@settings(max_examples=200)
@given(steps=STEPS)
def test_the_last_good_model_takes_over_also_when_the_log_is_gone(steps: list[Step]) -> None:
    log, rules = log_and_rules(steps)
    log.deleted = set(range(len(log.messages)))
    serving = rules.serving
    if serving is None:
        return
    last_good = log.joins["wine"].last_good.descriptor
    counts_on = log.states["wine"].last_good_offset >= 0
    same = (last_good.name, last_good.version) == (serving.name, serving.version)
    log.send(retirement(serving.name, serving.version), 0)
    if counts_on and not same:
        assert log.serving() == last_good.data
    assert (log.serving() is None) == (versions.serving(log.states["wine"]) is None)


def test_rollback_by_publishing_an_earlier_version_again() -> None:
    log = Log()
    for version in ("1", "2", "1"):
        log.send(model(b"model %s" % version.encode(), version=version))
    assert (log.serving(), log.last_good()) == (b"model 1", b"model 2")
    assert log.joins["wine"].serving.offset == 2


def test_retired_while_it_serves_the_last_good_takes_over() -> None:
    log = Log()
    log.send(model(b"first", version="1"))
    log.send(model(b"second", version="2"))
    verdict = log.send(retirement(version="2"))
    assert kinds(verdict.events) == ["RETIRED"]
    assert verdict.decision is not None
    assert not verdict.decision.HasField("admitted"), "the joins have its bytes"
    assert (log.serving(), log.last_good()) == (b"first", None)


def test_retired_one_after_the_other_back_to_the_first_and_to_none() -> None:
    log = Log()
    for version in ("1", "2", "3"):
        log.send(model(b"model %s" % version.encode(), version=version))
    expected = [b"model 2", b"model 1", None]
    for version, left in zip(("3", "2", "1"), expected, strict=True):
        log.send(retirement(version=version))
        assert log.serving() == left
    assert log.gate.checked == [b"model 1", b"model 2", b"model 3", b"model 1"], "what no join keeps is tried anew"


def test_a_retired_version_does_not_take_over() -> None:
    log = Log()
    for version in ("1", "2", "3"):
        log.send(model(b"model %s" % version.encode(), version=version))
    log.send(retirement(version="2"))
    assert (log.serving(), log.last_good()) == (b"model 3", None)
    log.send(retirement(version="3"))
    assert log.serving() == b"model 1"


def test_all_versions_of_a_name_retired() -> None:
    log = Log()
    log.send(model(b"other", name="other"))
    log.send(model(b"first", version="1"))
    log.send(model(b"second", version="2"))
    log.send(retirement())
    assert log.serving() == b"other"


def test_noop_retirement_of_a_model_that_isnt_there() -> None:
    log = Log()
    assert log.send(retirement()) == Verdict()
    log.send(model(b"first", version="1"))
    absent = [retirement("absent"), retirement(version="2")]
    assert [log.send(message) for message in absent] == [Verdict()] * 2
    log.send(retirement(version="1"))
    assert log.send(retirement(version="1")) == Verdict()
    assert log.states["wine"].no_ops == 4
    assert log.serving() is None


def test_a_retired_model_published_again_serves() -> None:
    log = Log()
    log.send(model(b"first"))
    log.send(retirement())
    assert log.send(model(b"first")).decision is not None
    assert log.serving() == b"first"


def test_a_successor_that_is_on_the_log_no_more_is_passed_over() -> None:
    log = Log()
    for version in ("1", "2", "3", "4"):
        log.send(model(b"model %s" % version.encode(), version=version))
    log.deleted = {1}
    log.send(retirement(version="4"))
    assert log.serving() == b"model 3"
    log.send(retirement(version="3"))
    assert log.serving() == b"model 1"


def test_a_successor_whose_location_holds_another_model_now_is_passed_over() -> None:
    log = Log()
    log.gate.locations = {"s3://a": b"model 1"}
    log.send(model(b"", location="s3://a", version="1"))
    for version in ("2", "3"):
        log.send(model(b"model %s" % version.encode(), version=version))
    log.gate.locations = {"s3://a": b"another"}
    log.send(retirement(version="3"))
    log.send(retirement(version="2"))
    assert log.serving() is None


def test_a_successor_whose_store_was_away_takes_over_at_the_next_retirement() -> None:
    log = Log()
    log.send(model(b"model 1", version="1"))
    log.gate.locations = {"s3://a": b"model 2"}
    log.send(model(b"", location="s3://a", version="2"))
    for version in ("3", "4"):
        log.send(model(b"model %s" % version.encode(), version=version))
    log.gate.locations = {}
    log.send(retirement(version="4"))
    log.send(retirement(version="3"))
    assert log.serving() == b"model 1"
    log.gate.locations = {"s3://a": b"model 2"}
    verdict = log.send(retirement(version="1"))
    assert log.serving() == b"model 2"
    assert verdict.decision is not None
    assert verdict.decision.admitted.engine.name == "fake"
    log.gate.locations = {}
    log.send(retirement(version="2"))
    assert log.serving() is None


class TestScheduled:
    """Activation times."""

    def test_it_serves_from_its_time_on(self) -> None:
        log = Log()
        log.send(model(b"first"))
        activation_ms = log.now_ms + 10 * STEP_MS
        verdict = log.send(model(b"second", activation_ms=activation_ms))
        assert (verdict.decision, kinds(verdict.events)) == (None, ["SCHEDULED"])
        log.advance(activation_ms - log.now_ms - 1)
        assert log.serving() == b"first"
        (activated,) = log.advance(1)
        assert kinds(activated.events) == ["ADMITTED"]
        assert (log.serving(), log.last_good()) == (b"second", b"first")

    def test_a_time_that_has_come_is_none(self) -> None:
        log = Log()
        assert log.send(model(b"first", activation_ms=log.now_ms + STEP_MS)).decision is not None

    def test_its_decision_is_behind_all_that_was_judged_meanwhile(self) -> None:
        log = Log()
        log.send(model(b"first", activation_ms=log.now_ms + 10 * STEP_MS))
        log.send(model(b"bad"))
        log.send(retirement("absent"))
        (activated,) = log.advance(10 * STEP_MS)
        assert activated.decision is not None
        assert (activated.decision.offset, activated.decision.admitted.offset) == (2, 0)

    def test_sent_again_it_is_a_counted_no_op(self) -> None:
        log = Log()
        planned = model(b"first", activation_ms=log.now_ms + 10 * STEP_MS)
        log.send(planned)
        assert log.send(planned) == Verdict()
        assert log.states["wine"].no_ops == 1

    def test_a_model_that_serves_at_once_puts_it_out_of_the_plan(self) -> None:
        log = Log()
        log.send(model(b"first", activation_ms=log.now_ms + 10 * STEP_MS))
        verdict = log.send(model(b"second"))
        assert kinds(verdict.events) == ["ADMITTED", "RETIRED"]
        assert log.advance(20 * STEP_MS) == []
        assert log.serving() == b"second"

    def test_one_with_an_earlier_time_puts_it_out_of_the_plan(self) -> None:
        log = Log()
        log.send(model(b"first", activation_ms=log.now_ms + 10 * STEP_MS))
        verdict = log.send(model(b"second", activation_ms=log.now_ms + 5 * STEP_MS))
        assert kinds(verdict.events) == ["SCHEDULED", "RETIRED"]
        assert len(log.advance(20 * STEP_MS)) == 1
        assert log.serving() == b"second"

    def test_several_in_a_row(self) -> None:
        log = Log()
        start_ms = log.now_ms
        for number in (3, 5, 7):
            log.send(model(b"model %d" % number, activation_ms=start_ms + number * STEP_MS), 0)
        assert [log.advance(STEP_MS) and log.serving() for _ in range(7)] == [
            [], [], b"model 3", [], b"model 5", [], b"model 7",
        ]  # fmt: skip

    def test_several_that_came_due_in_a_pause(self) -> None:
        log = Log()
        start_ms = log.now_ms
        for number in (3, 5):
            log.send(model(b"model %d" % number, activation_ms=start_ms + number * STEP_MS), 0)
        assert len(log.advance(10 * STEP_MS)) == 2
        assert (log.serving(), log.last_good()) == (b"model 5", b"model 3")

    def test_retired_before_its_time_it_never_serves(self) -> None:
        log = Log()
        log.send(model(b"first", version="1"))
        log.send(model(b"second", version="2", activation_ms=log.now_ms + 10 * STEP_MS))
        assert kinds(log.send(retirement(version="2")).events) == ["RETIRED"]
        assert log.advance(20 * STEP_MS) == []
        assert log.serving() == b"first"


class TestColdStart:
    """What a cold start tries, and what it need not."""

    def test_only_the_newest_model_is_tried(self) -> None:
        log, tried = Log(), list[int]()
        for number in range(10):
            log.send(model(b"model %d" % number))
        newest = cold_start(log, tried)
        assert newest is not None
        assert (newest.descriptor.data, tried) == (b"model 9", [9])

    def test_bad_ones_are_tried_until_one_passes(self) -> None:
        log, tried = Log(), list[int]()
        for data in (b"first", b"second", b"bad 1", b"bad 2"):
            log.send(model(data))
        newest = cold_start(log, tried)
        assert newest is not None
        assert (newest.descriptor.data, tried) == (b"second", [3, 2, 1])

    def test_a_version_is_free_where_the_one_before_was_bad(self) -> None:
        log = Log()
        log.send(model(b"bad", version="1"))
        log.send(model(b"mended", version="1"))
        newest = cold_start(log)
        assert newest is not None
        assert newest.descriptor.data == b"mended"

    def test_a_retirement_names_the_version_that_a_location_turned_out_to_hold(self) -> None:
        log = Log()
        log.gate.locations = {"s3://a": b"first"}
        log.send(model(b"", location="s3://a"))
        version = log.joins["wine"].serving.descriptor.version
        log.send(retirement(version=version))
        assert (log.serving(), cold_start(log)) == (None, None)

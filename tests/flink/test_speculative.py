"""The speculative job: every record is decided once, by its deadline, whatever the models do."""

from __future__ import annotations

from modelserving.wire.model_pb2 import ModelDescriptor
from modelserving.wire.serving_pb2 import EventKind, Reason
from modelserving.wire.speculative_pb2 import (
    LateAnswer,
    RolloutAction,
    RolloutLimits,
    Rule,
    SpeculativeControl,
    SpeculativeDecision,
    VoteState,
    Why,
)
from tests.flink.jobs import rest
from tests.flink.speculation import Speculation, vote
from tests.kafka_client import produce
from tests.waiting import wait_until

RECORDS = 2_000
SMART, FAST, ODD = 1.0, 2.0, 3.0


def answers(decision: SpeculativeDecision) -> list[str]:
    """The models that had answered."""
    return [each.model for each in decision.votes if each.state == VoteState.ANSWERED]


def completed_checkpoints(url: str, job: str) -> int:
    """How many the job has completed."""
    return int(rest(f"{url}/jobs/{job}/checkpoints")["counts"]["completed"])


def publish_all(site: Speculation) -> None:
    script = site.script
    site.publish(script.model("smart", SMART), script.model("fast", FAST), script.model("odd", ODD))


def answered_late(site: Speculation) -> list[LateAnswer]:
    """Answers of the smart model that came when the deadline had had its way."""
    smart = (late for late in site.late() if late.vote.model == "smart" and late.why == Why.DEADLINE)
    return [late for late in smart if late.vote.state == VoteState.ANSWERED]


def test_the_smart_model_in_time_else_the_fast_one(site: Speculation) -> None:
    """Late answers follow; the slow model is slowed down and comes back while the job runs, and the policy changes."""
    publish_all(site)
    site.policy("smart", "fast", tmout=500)
    with site.job() as job:
        for decision in site.flow_until_answered_by("smart"):
            assert decision.number == SMART
            assert decision.why in (Why.ALL_IN, Why.BEST)
        site.script.tell("smart", wait_ms=2_000)
        for decision in site.flow_until_answered_by("fast"):
            assert (decision.number, decision.why, decision.at_deadline) == (FAST, Why.DEADLINE, True)
            assert vote(decision, "smart").state in (VoteState.OUTSTANDING, VoteState.EXPIRED, VoteState.SHED)
            assert decision.latency_us >= 495_000
        site.wait(site.send(RECORDS))
        wait_until(lambda: answered_late(site))
        for late in answered_late(site):
            assert (late.vote.number, late.agrees) == (SMART, False)
            assert late.after_deadline_us > 0
        site.script.tell("smart", wait_ms=0)
        site.flow_until_answered_by("smart")
        changed = len(site.events(EventKind.POLICY_CHANGED))
        site.policy("fast", "odd", "smart", rule=Rule.CONSENSUS, quorum=2, tolerance=1.0, tmout=2_000)
        assert len(site.wait_for_event(EventKind.POLICY_CHANGED, changed + 1)) == changed + 1
        newest = site.flow_until(lambda found: all(each.why == Why.QUORUM for each in found))
        assert {each.rule for each in newest} == {Rule.CONSENSUS}
        assert {each.number for each in newest} <= {(FAST + ODD) / 2, (FAST + SMART) / 2, FAST}
        assert job.restarts() == 0
    assert site.rejected() == []


def test_models_that_never_return_stall_nothing(site: Speculation) -> None:
    """One waits for ever, one keeps Python's lock for ever: checkpoints go on, and so do decisions."""
    publish_all(site)
    site.policy("smart", "odd", "fast", tmout=200)
    with site.job("--answer-limit", "5") as job:
        site.flow_until(lambda found: all(len(answers(each)) == 3 for each in found))
        site.script.tell("smart", never=True)
        site.script.tell("odd", hold=True)
        site.flow_until_answered_by("fast")
        before = completed_checkpoints(job.url, job.job)
        site.wait(site.send(RECORDS))
        wait_until(lambda: completed_checkpoints(job.url, job.job) > before + 2)
        newest = site.wait(site.send(20))
        assert {each.number for each in newest} == {FAST}
        # Given up, they are started anew, and answer once they do again.
        site.script.tell("smart", wait_ms=0)
        site.script.tell("odd", wait_ms=0)
        site.flow_until_answered_by("smart")
        failed = [late for late in site.late() if late.vote.state == VoteState.FAILED]
        assert {late.vote.model for late in failed} == {"smart", "odd"}
        assert all("did not answer within 5 s" in late.vote.detail for late in failed)
        assert job.restarts() == 0


def test_without_a_policy_without_a_model_and_with_bad_messages(site: Speculation) -> None:
    site.publish(site.script.model("fast", FAST))
    with site.job() as job:
        produce(site.servers, site.topics.records, [(b"bad", b"\xff\xff")])
        lost = site.send(3)
        wait_until(lambda: len(site.rejected()) >= len(lost) + 1, describe=lambda: f"{site.rejected()}")
        rejected = {record.reason: record.detail for record in site.rejected()}
        assert set(rejected) == {Reason.MALFORMED, Reason.NO_POLICY}
        assert rejected[Reason.NO_POLICY].endswith(f"has no policy; send one to {site.topics.speculative_control}")
        site.control(b"\xff\xff")
        site.policy("fast", quorum=3)
        site.control(SpeculativeControl(datatype="cider", tmout=50, models=["fast"]))
        refused = site.wait_for_event(EventKind.POLICY_REFUSED, 3)
        assert [event.data_type for event in sorted(refused, key=lambda event: event.position.offset)] == [
            "",
            "wine",
            "cider",
        ]
        assert all(event.detail for event in refused)
        site.policy("absent", "fast", tmout=3_000)
        site.wait_for_event(EventKind.POLICY_CHANGED)
        for decision in site.wait(site.send(20)):
            assert vote(decision, "absent").state == VoteState.NO_SUCH_MODEL
        for decision in site.flow_until_answered_by("fast"):
            absent = vote(decision, "absent")
            assert absent.state == VoteState.NO_SUCH_MODEL
            assert "no model 'absent' of data type 'wine'" in absent.detail
        assert job.restarts() == 0


def test_backlog_of_everything(site: Speculation) -> None:
    """Nothing orders a policy before the records that it is for: they wait for it, and none is turned away."""
    publish_all(site)
    site.control(b"\xff\xff")
    site.policy("odd", tmout=50)
    site.policy("smart", "fast", tmout=60_000, default_number=9.0, rule=Rule.COMBINED, quorum=2)
    sent = site.send(RECORDS)
    with site.job(parallelism=2) as job:
        decided = site.wait(sent)
        assert {each.rule for each in decided} == {Rule.COMBINED}
        assert site.rejected() == []
        site.flow_until_answered_by("smart")
        assert job.restarts() == 0


def test_models_are_swapped_retired_and_kept_apart_by_name(site: Speculation) -> None:
    script = site.script
    publish_all(site)
    site.policy("smart", "fast", tmout=2_000)
    with site.job() as job:
        site.flow_until_answered_by("smart")
        site.publish(b"\xff\xff", script.model("smart", 11.0, version="2"))
        newest = site.flow_until(lambda found: {each.number for each in found} == {11.0})
        assert {vote(each, "smart").model_version for each in newest} == {"2"}
        assert {vote(each, "fast").model_version for each in newest} <= {"1", ""}
        versions = {each.number for each in site.wait()}
        assert versions <= {SMART, FAST, 11.0, 0.0}
        replaced = [(event.model_name, event.model_version) for event in site.wait_for_event(EventKind.REPLACED)]
        assert replaced == [("smart", "1")]
        retirement = ModelDescriptor(name="smart", dataType="wine", retire=True)
        site.publish(retirement.SerializeToString())
        for decision in site.flow_until_answered_by("fast"):
            assert vote(decision, "smart").state == VoteState.NO_SUCH_MODEL
        assert job.restarts() == 0


def test_a_challenger_is_promoted_by_hand_and_another_rolled_back_by_itself(site: Speculation) -> None:
    publish_all(site)
    site.policy("smart", challengers=["fast"], shadow=1.0, tmout=2_000)
    with site.job() as job:
        newest = site.flow_until_answered_by("smart")
        assert all(vote(each, "fast").shadow for each in newest)
        site.control(SpeculativeControl(datatype="wine", action=RolloutAction.PROMOTE))
        site.wait_for_event(EventKind.PROMOTED)
        site.flow_until_answered_by("fast")
        limits = RolloutLimits(window_ms=60_000, least_records=50, disagreement=0.1, roll_back=True)
        site.policy("fast", challengers=["odd"], shadow=1.0, tmout=2_000, limits=limits)
        changed = site.wait_for_event(EventKind.POLICY_CHANGED, 2)
        site.flow_until(lambda _: bool(site.events(EventKind.ROLLED_BACK)))
        (judged,) = site.events(EventKind.ROLLOUT_JUDGED)
        assert judged.detail.startswith("ROLL_BACK of odd: disagreement: ")
        (rolled_back,) = site.events(EventKind.ROLLED_BACK)
        assert rolled_back.model_name == "fast"
        assert rolled_back.position.offset > max(event.position.offset for event in changed)
        for decision in site.flow_until_answered_by("fast"):
            assert [each.model for each in decision.votes] == ["fast"]
        assert site.events(EventKind.POLICY_REFUSED) == []
        assert job.restarts() == 0

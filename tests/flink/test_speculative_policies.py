"""What policies and options of the speculative job can ask for, through the job; its parts have tests of their own."""

from __future__ import annotations

from contextlib import suppress

import psutil

from modelserving.speculative import model_process
from modelserving.wire.serving_pb2 import EventKind
from modelserving.wire.speculative_pb2 import QualityBy, RolloutLimits, Rule, Why
from tests.flink.jobs import MiniClusterJob, rest
from tests.flink.speculation import Speculation, vote
from tests.flink.test_speculative import FAST, ODD, RECORDS, SMART, answered_late, publish_all
from tests.waiting import wait_until

KEYS = 200


def model_processes(job: MiniClusterJob) -> int:
    """How many processes the job has for models."""
    found = 0
    for process in psutil.Process(job.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it ended meanwhile
            found += model_process.__name__ in process.cmdline()
    return found


def have_answered(job: MiniClusterJob, lane: str) -> bool:
    """Whether both instances of a lane have answered tasks, as far as Flink tells."""
    vertices = f"{job.url}/jobs/{job.job}/vertices"
    ids = {vertex["name"]: vertex["id"] for vertex in rest(f"{job.url}/jobs/{job.job}")["vertices"]}
    instances = [f"{vertices}/{ids[lane]}/subtasks/{number}/metrics" for number in range(2)]
    told = [rest(f"{metrics}?get={lane}.tasks_answered") for metrics in instances]
    return all(found and float(found[0]["value"]) > 0 for found in told)


def test_own_decider_quality_and_canary(site: Speculation) -> None:
    script, decider = site.script, "tests.speculative.own:least_of_all"
    publish_all(site)
    site.policy("smart", "fast", "odd", decider=decider, tmout=1_000)
    with site.job("--models-in", "process", "--decider", decider) as job:
        for decision in site.flow_until(lambda found: {each.detail for each in found} == {"of 3"}):
            assert (decision.number, decision.why, decision.decider) == (SMART, Why.OWN_DECIDER, decider)
            assert not decision.at_deadline
        assert model_processes(job) == 3
        script.tell("smart", wait_ms=3_000)
        for decision in site.flow_until_answered_by("fast"):
            assert (decision.number, decision.why) == (FAST, Why.OWN_DECIDER)
            assert (decision.detail, decision.at_deadline) == ("of 2", True)
        script.tell("smart", wait_ms=0)

        # By a figure of each version; a new one may have a better one, and one without has none.
        site.publish(script.model("fast", FAST, "2", accuracy=0.8), script.model("odd", ODD, "2", accuracy=0.7))
        site.policy(
            "smart", "fast", "odd", rule=Rule.QUALITY, quality_by=QualityBy.METRIC, metric="accuracy", tmout=10_000
        )
        newest = site.flow_until(lambda found: {(each.number, each.rule) for each in found} == {(FAST, Rule.QUALITY)})
        for decision in newest:
            assert vote(decision, "fast").quality == 0.8
            assert not vote(decision, "smart").HasField("quality")
        site.publish(script.model("smart", SMART, "2", accuracy=0.9))
        for decision in site.flow_until_answered_by("smart"):
            assert (vote(decision, "smart").quality, decision.why) == (0.9, Why.ALL_IN)

        # By what each model says of its own answer; a number says nothing.
        script.tell("smart", label="good", confidence=0.6)
        script.tell("fast", label="poor", confidence=0.9)
        site.policy("odd", "smart", "fast", rule=Rule.QUALITY, quality_by=QualityBy.CONFIDENCE, tmout=10_000)
        for decision in site.flow_until(lambda found: {each.label for each in found} == {"poor"}):
            assert vote(decision, "fast").confidence == 0.9
            assert not vote(decision, "odd").HasField("confidence")
        script.tell("fast", label="poor", confidence=0.3)
        site.flow_until(lambda found: {each.label for each in found} == {"good"})

        def canary(share: float, tmout: int) -> list[str]:
            """Which model answered each of the same keys under a policy, known by its deadline."""
            site.policy("smart", challengers=["fast"], canary=share, tmout=tmout)
            site.flow_until(lambda found: {each.timeout_ms for each in found} == {tmout})
            first, again = (site.wait(site.send(KEYS, first=0)) for _ in range(2))
            assert [[each.model for each in decision.votes] for decision in first] == [
                [each.model_name] for each in first
            ]
            assert [each.model_name for each in again] == [each.model_name for each in first]
            return [each.model_name for each in first]

        few, more = canary(0.3, 10_001), canary(0.6, 10_002)
        assert set(few) == set(more) == {"smart", "fast"}
        assert 0.2 * KEYS < few.count("fast") < 0.4 * KEYS < more.count("fast") < 0.7 * KEYS
        # Who was on the canary's side has stayed there.
        assert all(model == "fast" for model, before in zip(more, few, strict=True) if before == "fast")
        assert site.events(EventKind.POLICY_REFUSED) == []
        assert job.restarts() == 0


def test_models_in_threads_of_lanes_with_two_instances(site: Speculation) -> None:
    """A slow one costs its vote, each is swapped in all instances; a challenger that keeps its limits is promoted."""
    publish_all(site)
    site.policy("smart", "fast", tmout=500)
    with site.job("--models-in", "thread", "--lane-parallelism", "2") as job:
        site.flow_until_answered_by("smart")
        site.wait(site.send(RECORDS))
        wait_until(lambda: have_answered(job, "lane-1") and have_answered(job, "lane-2"))
        instances = {("smart", "lane-1 1/2"), ("smart", "lane-1 2/2"), ("fast", "lane-2 1/2"), ("fast", "lane-2 2/2")}
        wait_until(
            lambda: {(event.model_name, event.instance) for event in site.events(EventKind.SERVING)} >= instances
        )
        assert model_processes(job) == 0
        site.script.tell("smart", wait_ms=2_000)
        for decision in site.flow_until_answered_by("fast"):
            assert (decision.number, decision.why, decision.at_deadline) == (FAST, Why.DEADLINE, True)
        wait_until(lambda: answered_late(site))
        site.script.tell("smart", wait_ms=0)
        site.flow_until_answered_by("smart")
        site.publish(site.script.model("smart", 11.0, version="2"))
        site.flow_until(lambda found: {each.number for each in found} == {11.0})
        limits = RolloutLimits(window_ms=5_000, least_records=20, disagreement=0.1, promote=True)
        site.policy("fast", challengers=["odd"], shadow=1.0, tolerance=1.0, tmout=2_000, limits=limits)
        site.flow_until(lambda _: bool(site.events(EventKind.PROMOTED)))
        (judged,) = site.events(EventKind.ROLLOUT_JUDGED)
        assert judged.detail.startswith("PROMOTE of odd: disagreement: 0 of ")
        (promoted,) = site.events(EventKind.PROMOTED)
        assert promoted.model_name == "odd"
        for decision in site.flow_until_answered_by("odd"):
            assert [each.model for each in decision.votes] == ["odd"]
        assert job.restarts() == 0
    assert site.rejected() == []

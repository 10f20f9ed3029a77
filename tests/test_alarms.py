"""The alarms, as Prometheus evaluates them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

RULES = Path(__file__).parents[1] / "deploy" / "alarms.yml"
VERSION = {"data_type": "wine", "model": "tree", "version": "1"}
SERVES = VERSION | {"sha256": "1f", "instance": "partitioned-join 1/1"}


@pytest.fixture
def promtool() -> str:
    """Prometheus' tool for rules."""
    found = shutil.which("promtool")
    if found is None:
        missing = "promtool is not installed (Debian's package prometheus), so alarms are not evaluated"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(missing)
    return found


def series(name: str, labels: dict[str, str], values: str) -> dict[str, str]:
    """A value a minute, from 1970 on, in promtool's notation: `0x3 5` is 0 four times, then 5."""
    named = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return {"series": f"{name}{{{named}}}", "values": values}


DRIFT = ("Drift", VERSION, "tree 1: wine is not what it was")


def check(
    promtool: str,
    folder: Path,
    told: list[dict[str, str]],
    fires: dict[int, bool],
    alarm: tuple[str, dict[str, str], str] = DRIFT,
) -> None:
    """Whether an alarm (name, labels, summary) fires at these minutes."""
    name, labels, summary = alarm
    raised = {"exp_labels": labels, "exp_annotations": {"summary": summary}}
    expected: list[dict[str, Any]] = [
        {"eval_time": f"{minute}m", "alertname": name, "exp_alerts": [raised] if whether else []}
        for minute, whether in fires.items()
    ]
    test = {"interval": "1m", "input_series": told, "alert_rule_test": expected}
    (folder / "test.yml").write_text(
        yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]})
    )
    done = subprocess.run([promtool, "test", "rules", folder / "test.yml"], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_deadlines_that_are_missed(promtool: str, tmp_path: Path) -> None:
    scraped = {"data_type": "wine", "instance": "query:9000", "job": "query"}
    told = [
        series("modelserving_decisions_total", scraped, "0+1000x60"),
        series("modelserving_decisions_at_deadline_total", scraped, "0+40x20 800+60x40"),
    ]
    summary = "more than one in twenty records of wine wait until the deadline"
    missed = ("DeadlinesMissed", {"data_type": "wine"}, summary)
    check(promtool, tmp_path, told, {19: False, 40: True}, missed)


def test_prometheus_takes_the_rules(promtool: str) -> None:
    done = subprocess.run([promtool, "check", "rules", RULES], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_drift_is_raised_once_it_has_lasted(promtool: str, tmp_path: Path) -> None:
    told = [
        series("modelserving_drifted", VERSION, "0x19 1x20 0x20"),
        series("modelserving_drift_changed_timestamp_seconds", VERSION, "0x60"),
        series("modelserving_serving_info", SERVES, "1x60"),
    ]
    check(promtool, tmp_path, told, {19: False, 22: False, 26: True, 40: True, 42: False})


def test_a_change_that_the_detector_found_is_raised_for_five_minutes(promtool: str, tmp_path: Path) -> None:
    told = [
        series("modelserving_drifted", VERSION, "0x60"),
        series("modelserving_drift_changed_timestamp_seconds", VERSION, f"0x19 {20 * 60}x40"),
        series("modelserving_serving_info", SERVES, "1x60"),
    ]
    check(promtool, tmp_path, told, {19: False, 20: True, 24: True, 25: False, 40: False})


def test_a_version_that_does_not_serve_raises_none(promtool: str, tmp_path: Path) -> None:
    told = [
        series("modelserving_drifted", VERSION, "1x60"),
        series("modelserving_drift_changed_timestamp_seconds", VERSION, f"0x19 {20 * 60}x40"),
        series("modelserving_serving_info", SERVES | {"version": "2"}, "1x60"),
    ]
    check(promtool, tmp_path, told, {21: False, 40: False})


REJECTED = {"reason": "FAILED_GATE"}
MODEL_REJECTED = ("ModelRejected", REJECTED, "FAILED_GATE: a published model does not serve")


def test_the_first_model_that_is_rejected_raises_it_and_so_does_the_next(promtool: str, tmp_path: Path) -> None:
    told = [series("modelserving_rejected_models_total", REJECTED, "0x19 1x40 2x40")]
    check(promtool, tmp_path, told, {18: False, 20: True, 33: True, 40: False, 62: True, 80: False}, MODEL_REJECTED)


@pytest.mark.parametrize("count", [0, 7])
def test_a_service_that_starts_raises_no_rejection(count: int, promtool: str, tmp_path: Path) -> None:
    told = [series("modelserving_rejected_models_total", REJECTED, f"_x19 {count}x40 _x5 {count}x40")]
    check(promtool, tmp_path, told, {18: False, 20: False, 33: False, 62: False, 70: False, 80: False}, MODEL_REJECTED)


def test_the_first_failure_of_admission_raises_it(promtool: str, tmp_path: Path) -> None:
    told = [series("flink_taskmanager_job_task_operator_judgements_failed", {"host": "a"}, "_x19 1x40")]
    alarm = "ModelsNotJudged", {"host": "a"}, "new models are not judged; what serves goes on"
    check(promtool, tmp_path, told, {18: False, 20: True, 30: False}, alarm)

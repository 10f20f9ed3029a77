"""The examples of the documentation: they run, and do what it says."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from modelserving.speculative.ballot import Vote
from modelserving.speculative.control import policy_of
from modelserving.speculative.deciders import Choice, load_decider
from modelserving.speculative.policy_file import read_policy_file
from modelserving.wire.speculative_pb2 import VoteState, Why
from tests.speculative.models import Model
from tests.speculative.serving import LONG_MS, score

TEXT = (Path(__file__).parents[2] / "docs" / "speculative-serving.md").read_text(encoding="utf-8")
LIBRARY, DECIDER = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
(POLICY,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
SLOWER = 60


def test_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    """With all times as many times as long, so that a busy machine makes no difference."""
    times = r"(timeout_ms=|time\.sleep\()([\d.]+)"
    slow, found = re.subn(times, rf"\1\2 * {SLOWER}", LIBRARY)
    assert found == 2
    exec(compile(slow, "speculative-serving.md", "exec"), {"__name__": "__main__"})  # noqa: S102 - it is our own
    (printed,) = re.findall(r"```\n(5\.6 .*?)```", TEXT, re.DOTALL)
    assert capsys.readouterr().out == printed


def test_the_decider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "policy.toml"
    file.write_text(POLICY)
    control = read_policy_file(file)
    assert re.findall(r"--decider (\S+)$", TEXT, re.MULTILINE) == [control.decider]
    module, _ = control.decider.split(":")
    assert f"`{module}.py`" in TEXT
    (tmp_path / f"{module}.py").write_text(DECIDER)
    monkeypatch.syspath_prepend(tmp_path)
    decider = load_decider(control.decider)
    policy = policy_of(control, [control.decider])

    linear, glm = Vote("linear", 6.0), Vote("glm", 5.0)
    assert decider(policy, [linear], ["glm"], False) is None
    assert decider(policy, [linear], ["glm"], True) == Choice(6.0, ("linear",), "the lowest of 1")
    assert decider(policy, [linear, glm], [], False) == Choice(5.0, ("glm",), "the lowest of 2")
    failed = [Vote(model, state=VoteState.FAILED) for model in policy.models]
    assert decider(policy, failed, [], False) == Choice(None, (), "no model answered")

    models = {"linear": Model(plus=6.0), "glm": Model(plus=5.0)}
    (decision,) = score(replace(policy, timeout_ms=LONG_MS), models)
    assert (decision.answer, decision.counted, decision.why) == (5.0, ("glm",), Why.OWN_DECIDER)
    assert decision.detail == "the lowest of 2"

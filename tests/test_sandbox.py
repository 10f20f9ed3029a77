"""The sandbox: models that hang, eat memory or end their process do so elsewhere, and harm nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from modelserving import sandbox as sandbox_module
from modelserving.archive import pack_folder
from modelserving.configuration import load_data_types
from modelserving.errors import ModelRejected
from modelserving.gate import GateLimits, Phase
from modelserving.locations import ModelSources, model_sources
from modelserving.processes import resident_bytes
from modelserving.runtimes.pmml_vectorised import VectorisedServable
from modelserving.sandbox import Sandbox, SandboxError
from modelserving.sandbox_messages import Kind
from modelserving.wire.model_pb2 import ModelDescriptor, ModelType
from modelserving.wire.serving_pb2 import Reason
from tests.runtimes.wine import EXAMPLE
from tests.waiting import wait_until

HOSTILE = Path(__file__).with_name("hostile")
MODELS = EXAMPLE / "models"
LIMITS = GateLimits(load_s=10.0, probe_s=1.0, memory_bytes=512 * 1024**2)


def model(data: bytes, kind: ModelType = ModelType.PMML) -> ModelDescriptor:
    return ModelDescriptor(name="m", dataType="wine", modeltype=kind, data=data)


GOOD = model((MODELS / "linear.pmml").read_bytes())


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Sandbox]]:
    """Makes sandboxes whose processes know the hostile models, and closes them."""
    monkeypatch.setenv("PYTHONPATH", str(HOSTILE))
    made: list[Sandbox] = []

    def make_one(limits: GateLimits = LIMITS, sources: ModelSources | None = None) -> Sandbox:
        made.append(Sandbox(load_data_types(), sources or ModelSources(), limits))
        return made[-1]

    yield make_one
    for one in made:
        one.close()


def processes() -> set[psutil.Process]:
    """The sandbox processes of this one."""
    return {child for child in psutil.Process().children() if "modelserving.sandbox_process" in child.cmdline()}


def the_process() -> psutil.Process:
    (process,) = processes()
    return process


def ended(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def refusal(attempt: Callable[[], object]) -> ModelRejected:
    with pytest.raises(ModelRejected) as caught:
        attempt()
    return caught.value


def test_good_models_of_every_type_pass_in_one_process(make: Callable[..., Sandbox]) -> None:
    sandbox = make(GateLimits())
    assert processes() == set()  # nothing is started before it is needed
    used = set()
    for file, kind, engine in (
        ("linear.pmml", ModelType.PMML, VectorisedServable.engine),
        ("tensorflow.pb", ModelType.TENSORFLOW, "TensorFlow"),
        ("saved-model.zip", ModelType.TENSORFLOWSAVED, "TensorFlow"),
        ("forest.pmml", ModelType.PMML, VectorisedServable.engine),
    ):
        assert sandbox.check(model((MODELS / file).read_bytes(), kind)).name == engine
        used.add(the_process())
    assert len(used) == 1
    sandbox.close()
    assert ended(used.pop().pid)


HOSTILE_MODELS = {
    "loader that hangs": (b"HANG", "longer than 10 s to load"),
    "loader that eats memory": (b"EAT", "more than 512 MiB of memory"),
    "loader that kills its process": (b"KILL 9", "killed its loader (signal 9)"),
    "loader that aborts": (b"KILL 6", "killed its loader (signal 6)"),
    "loader that exits": (b"KILL exit 3", "killed its loader (exit code 3)"),
    "loader that exits as if all were well": (b"KILL exit 0", "killed its loader (exit code 0)"),
}


@pytest.mark.parametrize(("data", "detail"), HOSTILE_MODELS.values(), ids=HOSTILE_MODELS.keys())
def test_hostile_model(data: bytes, detail: str, make: Callable[..., Sandbox]) -> None:
    """It is rejected, and a good one after it passes in a fresh process."""
    sandbox = make()
    sandbox.check(GOOD)
    first = the_process()
    fault = refusal(lambda: sandbox.check(model(data)))
    assert fault.reason == Reason.FAILED_GATE
    assert detail in fault.detail
    assert processes() == set()
    assert ended(first.pid)
    sandbox.check(GOOD)
    assert the_process() != first


def test_a_crash_in_native_code(make: Callable[..., Sandbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a Java machine in the process, which reports such and then aborts, and without one."""
    monkeypatch.chdir(tmp_path)
    sandbox = make()
    for kind, number in ((ModelType.TENSORFLOW, 11), (ModelType.PMML, 6)):
        fault = refusal(lambda kind=kind: sandbox.check(model(b"KILL 11", kind)))  # type: ignore[misc]
        assert fault.reason == Reason.FAILED_GATE
        assert f"killed its loader (signal {number})" in fault.detail
    assert list(tmp_path.iterdir()) == []


def test_slower_than_the_limit(make: Callable[..., Sandbox]) -> None:
    sandbox = make()
    fault = refusal(lambda: sandbox.check(model(b"SLOW")))
    assert fault.reason == Reason.FAILED_GATE
    assert "longer than 1 s to answer the probe" in fault.detail
    sandbox.check(GOOD)


def test_what_a_model_starts_is_killed_with_its_process(make: Callable[..., Sandbox], tmp_path: Path) -> None:
    sandbox = make()
    note = tmp_path / "pid"
    fault = refusal(lambda: sandbox.check(model(b"FORK " + os.fsencode(note))))
    assert "killed its loader (exit code 0)" in fault.detail
    left_behind = int(note.read_text())
    wait_until(lambda: ended(left_behind))


REFUSED = {
    "PMML without a model": (model(b"<PMML/>"), Reason.UNLOADABLE),
    "entity expansion": (model(b'<!DOCTYPE x [<!ENTITY e "e">]><PMML>&e;</PMML>'), Reason.UNSAFE),
    "random bytes": (model(b"\xff" * 99, ModelType.TENSORFLOW), Reason.UNLOADABLE),
    "a type without a runtime": (model(b"x", ModelType.ONNX), Reason.UNLOADABLE),
}


def test_what_the_gate_refuses_costs_no_process(make: Callable[..., Sandbox]) -> None:
    sandbox = make(GateLimits())
    used = set()
    for descriptor, reason in REFUSED.values():
        assert refusal(lambda descriptor=descriptor: sandbox.check(descriptor)).reason == reason  # type: ignore[misc]
        used.add(the_process())
    assert len(used) == 1


def test_a_process_that_has_grown_is_replaced(make: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = make()
    monkeypatch.setattr(sandbox_module, "MAX_GROWTH_BYTES", -(1024**4))
    sandbox.check(GOOD)
    assert processes() == set()
    monkeypatch.setattr(sandbox_module, "MAX_GROWTH_BYTES", 1024**4)
    sandbox.check(GOOD)
    first = the_process()
    sandbox.check(GOOD)
    assert the_process() == first


def test_a_process_killed_between_two_models_is_no_models_fault(make: Callable[..., Sandbox]) -> None:
    sandbox = make()
    sandbox.check(GOOD)
    first = the_process()
    first.kill()
    wait_until(lambda: ended(first.pid))
    sandbox.check(GOOD)
    assert the_process() != first


def test_a_sandbox_that_cannot_start_rejects_nothing(
    make: Callable[..., Sandbox], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sandbox = make()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SandboxError, match="2 processes of the sandbox"):
        sandbox.check(GOOD)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(SandboxError, match="cannot be started"):
        sandbox.check(GOOD)
    assert processes() == set()


def test_close_while_a_model_is_tried(make: Callable[..., Sandbox]) -> None:
    """Ends the process, and the model gets no verdict."""
    sandbox = make(GateLimits())
    raised: list[BaseException] = []

    def attempt() -> None:
        try:
            sandbox.check(model(b"HANG"))
        except Exception as error:  # noqa: BLE001 - the test looks at it
            raised.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    wait_until(processes)
    process = the_process()
    sandbox.close()
    thread.join()
    assert ended(process.pid)
    assert [type(error) for error in raised] == [SandboxError]
    with pytest.raises(SandboxError, match="closed"):
        sandbox.check(GOOD)
    sandbox.close()


def test_leaves_no_folder(make: Callable[..., Sandbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    sandbox = make()
    sandbox.check(GOOD)
    assert len(list(tmp_path.iterdir())) == 1
    refusal(lambda: sandbox.check(model(b"KILL 9")))
    assert list(tmp_path.iterdir()) == []
    sandbox.check(GOOD)
    sandbox.close()
    assert list(tmp_path.iterdir()) == []


PARENT = """
import sys
from pathlib import Path
from modelserving.configuration import load_data_types
from modelserving.gate import GateLimits
from modelserving.locations import ModelSources
from modelserving.sandbox import Sandbox
from modelserving.wire.model_pb2 import ModelDescriptor

sandbox = Sandbox(load_data_types(), ModelSources(), GateLimits())
sandbox.check(ModelDescriptor.FromString(Path(sys.argv[1]).read_bytes()))
print("passed", flush=True)
sandbox.check(ModelDescriptor(dataType="wine", data=b"HANG"))
"""


def test_ends_with_its_parent_and_leaves_its_output_alone(tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.write_bytes(GOOD.SerializeToString())
    environment = {**os.environ, "PYTHONPATH": str(HOSTILE)}
    with (
        (tmp_path / "errors").open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-c", PARENT, str(good)], stdout=subprocess.PIPE, stderr=errors, env=environment
        ) as parent,
    ):
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"passed\n"
        wait_until(lambda: b"misbehaves" in (tmp_path / "errors").read_bytes())  # so it hangs by now
        (child,) = psutil.Process(parent.pid).children()
        parent.send_signal(signal.SIGKILL)
        assert parent.stdout.read() == b""
    wait_until(lambda: ended(child.pid))


def test_the_java_heap_is_bounded() -> None:
    script = (
        "from modelserving import loader\n"
        "from modelserving.wire.model_pb2 import ModelType\n"
        "loader.prepare(ModelType.PMML, 512 * 1024**2)\n"
        "import jpype\n"
        "print(jpype.java.lang.Runtime.getRuntime().maxMemory())\n"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    assert 0 < int(printed) <= 256 * 1024**2


# fetching


def test_fetch(make: Callable[..., Sandbox], tmp_path: Path) -> None:
    """A model by location comes back complete, one with its bytes needs no process."""
    (tmp_path / "model.pmml").write_bytes(GOOD.data)
    by_location = ModelDescriptor(name="m", dataType="wine", location=str(tmp_path / "model.pmml"), labels=["kept"])
    sandbox = make(sources=model_sources([str(tmp_path)]))
    complete = sandbox.fetch(GOOD)
    assert processes() == set()
    fetched = sandbox.fetch(by_location)
    assert len(processes()) == 1
    assert fetched.data == GOOD.data
    assert (fetched.sha256, fetched.version) == (complete.sha256, complete.version)
    assert (fetched.name, list(fetched.labels)) == ("m", ["kept"])


def test_fetch_of_a_folder(make: Callable[..., Sandbox], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "saved_model.pb").write_bytes(b"x" * 3_000_000)
    sandbox = make(sources=model_sources([str(tmp_path)]))
    fetched = sandbox.fetch(ModelDescriptor(name="m", dataType="wine", location=str(tmp_path / "model")))
    assert fetched.data == pack_folder(tmp_path / "model")


def test_fetch_refuses_as_descriptors_do(make: Callable[..., Sandbox], tmp_path: Path) -> None:
    (tmp_path / "model.pmml").write_bytes(GOOD.data)
    sandbox = make(sources=model_sources([str(tmp_path)]))
    elsewhere = ModelDescriptor(name="m", dataType="wine", location="/etc/passwd")
    assert refusal(lambda: sandbox.fetch(elsewhere)).reason == Reason.LOCATION
    other = ModelDescriptor(name="m", dataType="wine", location=str(tmp_path / "model.pmml"), sha256="ab" * 32)
    assert refusal(lambda: sandbox.fetch(other)).reason == Reason.CONFLICT
    with_bytes = ModelDescriptor(name="m", dataType="wine", data=b"x", sha256="ab" * 32)
    assert refusal(lambda: sandbox.fetch(with_bytes)).reason == Reason.CONFLICT


def test_fetch_from_a_server_that_never_answers(make: Callable[..., Sandbox]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        root = f"http://127.0.0.1:{server.getsockname()[1]}/models"
        sandbox = make(GateLimits(load_s=2.0), model_sources([root]))
        fault = refusal(lambda: sandbox.fetch(ModelDescriptor(name="m", dataType="wine", location=f"{root}/m.pmml")))
    assert fault.reason == Reason.LOCATION
    assert "longer than 2 s to be fetched" in fault.detail
    assert processes() == set()


# what the process says is not trusted


FORGED = """
import socket, sys, time
from modelserving.sandbox_messages import Channel, Kind
channel = Channel(socket.socket(fileno=int(sys.argv[1])))
for expected in ("settings", "request"):
    while channel.receive() is None:
        pass
    if expected == "settings":
        channel.send(Kind.READY)
for kind, payload in {frames}:
    channel.send(Kind(kind), payload)
time.sleep(600)
"""

LOAD, PROBE = (int(Kind.PHASE), b"LOAD"), (int(Kind.PHASE), b"PROBE")
FORGERIES = {
    "no verdict": [LOAD, (int(Kind.READY), b"")],
    "a phase that is none": [LOAD, (int(Kind.PHASE), b"REST")],
    "a phase over and over": [LOAD, PROBE, PROBE],
    "a phase again": [LOAD, PROBE, LOAD],
    "an unreadable verdict": [LOAD, (int(Kind.DONE), b"\xff")],
    "a rejection without a reason": [LOAD, (int(Kind.REJECTED), b"\x08\x63")],
}


@pytest.mark.parametrize("frames", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_process_that_a_model_has_taken_over(
    frames: list[tuple[int, bytes]], make: Callable[..., Sandbox], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "python"
    forged = tmp_path / "forged.py"
    forged.write_text(FORGED.format(frames=frames))
    script.write_text(f'#!/bin/sh\nshift 3\nexec "{sys.executable}" "{forged}" "$@"\n')
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    sandbox = make()
    fault = refusal(lambda: sandbox.check(GOOD))
    assert fault.reason == Reason.FAILED_GATE
    assert "unexpected" in fault.detail
    monkeypatch.undo()
    sandbox.check(GOOD)


def test_resident_bytes() -> None:
    assert resident_bytes(os.getpid()) == pytest.approx(psutil.Process().memory_info().rss, rel=0.1)
    assert resident_bytes(2**22 + 1) == 0


def test_phases_have_limits() -> None:
    limits = GateLimits(load_s=7.0, probe_s=2.0)
    assert [phase.limit_s(limits) for phase in Phase] == [7.0, 7.0, 2.0, 7.0]

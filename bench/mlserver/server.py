"""A server process of MLServer, on free ports of the loopback interface."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click

from bench.mlserver.environment import PYTHON
from modelserving.local.broker import free_port

READY_S = 60
STOP_S = 15


@dataclass(frozen=True, slots=True)
class Server:
    """Where it listens."""

    rest: int
    grpc: int


@contextmanager
def serving(models: Path) -> Iterator[Server]:
    """A server of the models in the folders in `models`, all of which are ready; stopped at the end."""
    server = Server(free_port(), free_port())
    settings = {
        "host": "127.0.0.1",
        "http_port": server.rest,
        "grpc_port": server.grpc,
        "metrics_port": free_port(),
        "parallel_workers": 1,
        # With it, the default, each request is logged: for those who develop a model, not for those who serve it.
        "debug": False,
    }
    (models / "settings.json").write_text(json.dumps(settings))
    log = models / "server.log"
    command = [str(PYTHON.with_name("mlserver")), "start", str(models)]
    with log.open("w") as output:
        # It keeps files where it is started, and is stopped together with its worker.
        process = subprocess.Popen(command, cwd=models, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        names = [each.parent.name for each in models.glob("*/model-settings.json")]
        deadline = time.monotonic() + READY_S
        while not all(_ready(server.rest, name) for name in names):
            if process.poll() is not None or time.monotonic() > deadline:
                raise click.ClickException(f"MLServer was not ready in {READY_S} s: {log.read_text()[-3000:]}")
            time.sleep(0.1)
        yield server
    finally:
        _stop(process)


def _ready(port: int, model: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", f"/v2/models/{model}/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to stop; whatever of its group is left then is ended."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

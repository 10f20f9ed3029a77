"""A Kafka broker on this machine: one KRaft process, broker and controller, on the loopback interface.

The process outlives the program that starts it. Its folder holds all there is of it: `server.properties`,
`broker.pid`, `broker.log` and `data/`, which survives a restart. Processes are identified through `/proc` (Linux).
"""

from __future__ import annotations

import base64
import os
import re
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from modelserving.errors import BrokerError
from modelserving.local.jars import jars_folder, java
from modelserving.topics import MAX_REJECTED_BYTES

START_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0
HEAP = "-Xmx768m"
LOG_LINES_SHOWN = 20

_HOST = "127.0.0.1"
_MAIN_CLASS = "kafka.Kafka"
_POLL_S = 0.1
_SETTINGS = f"""\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{_HOST}:{{controller_port}}
listeners=PLAINTEXT://{_HOST}:{{port}},CONTROLLER://{_HOST}:{{controller_port}}
advertised.listeners=PLAINTEXT://{_HOST}:{{port}}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=data
auto.create.topics.enable=false
message.max.bytes={MAX_REJECTED_BYTES}
replica.fetch.max.bytes={MAX_REJECTED_BYTES}
log.retention.ms=-1
log.retention.bytes=-1
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.max.timeout.ms=900000
"""


def free_port() -> int:
    """A TCP port on the loopback interface that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class LocalBroker:
    """The broker whose folder is `directory`; as a context manager it is started, and stopped at the end.

    Whether it runs is read from the folder each time: another program may have started or stopped it.
    """

    def __init__(self, directory: Path, port: int) -> None:
        self.directory = directory.resolve()
        self.port = port
        self._properties = self.directory / "server.properties"
        self._pid_file = self.directory / "broker.pid"
        self._log = self.directory / "broker.log"
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Its address, for clients."""
        return f"{_HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The id of the running process; None if it does not run."""
        if self._child is not None and self._child.poll() is None:
            return self._child.pid
        try:
            pid = int(self._pid_file.read_text())
            # The id alone may by now be another program's.
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if {_MAIN_CLASS.encode(), os.fsencode(self._properties)} <= set(arguments) else None

    def running_port(self) -> int | None:
        """The port of the running process, whatever `port` says; None if it does not run."""
        if self.pid is None:
            return None
        match = re.search(r"^listeners=PLAINTEXT://[^:]+:(\d+)", self._properties.read_text(), flags=re.M)
        return int(match[1]) if match else None

    def start(self) -> None:
        """Start the process and wait until it answers; nothing to do if it runs.

        Raises:
            BrokerError: its port is taken, or it does not come up in `START_LIMIT_S`.
            ConfigurationError: Java or the jars are missing.
        """
        running = self.running_port()
        if running is not None and running != self.port:
            raise BrokerError(f"the broker of {self.directory} already runs, on port {running}: use that, or stop it")
        try:
            if running is None:
                self._launch()
            self._wait_until_it_answers()
        except BaseException:
            if running is None:
                self.kill()
            raise

    def stop(self) -> None:
        """End the process in good order, or by force after `STOP_LIMIT_S`; nothing to do if it is down."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGTERM)
            if not _wait(lambda: self.pid is None, STOP_LIMIT_S):
                self.kill()
        self._pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the process at once (SIGKILL), as a crash would; nothing to do if it is down."""
        pid = self.pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
            _wait(lambda: self.pid is None, STOP_LIMIT_S)
        self._pid_file.unlink(missing_ok=True)

    def __enter__(self) -> LocalBroker:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _launch(self) -> None:
        command = [java(), HEAP, "-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        command += [
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
        ]
        command += ["-cp", str(jars_folder("kafka") / "*")]
        _refuse_taken(self.port)
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = _SETTINGS.format(port=self.port, controller_port=free_port())
        self._properties.write_text(settings)
        with self._log.open("ab") as log:
            if not (self.directory / "data" / "meta.properties").exists():
                self._format([*command, "kafka.tools.StorageTool"], log)
            self._child = subprocess.Popen(
                [*command, _MAIN_CLASS, str(self._properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
            )
        self._pid_file.write_text(f"{self._child.pid}\n")

    def _format(self, tool: list[str], log: IO[bytes]) -> None:
        """Make the data folder, as a broker that is new needs it."""
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # "=" since an id may begin with "-"
        command = [*tool, "format", f"--cluster-id={cluster}", "--config", str(self._properties), "--ignore-formatted"]
        try:
            subprocess.run(command, stdout=log, stderr=log, cwd=self.directory, timeout=START_LIMIT_S, check=True)
        except subprocess.SubprocessError as error:
            raise BrokerError(
                f"the broker's data folder cannot be made; its log ends:\n{self._end_of_log()}"
            ) from error

    def _wait_until_it_answers(self) -> None:
        if not _wait(lambda: self.pid is None or self._answers(), START_LIMIT_S):
            raise BrokerError(
                f"the broker did not answer in {START_LIMIT_S:.0f} s; its log ends:\n{self._end_of_log()}"
            )
        if self.pid is None:
            raise BrokerError(f"the broker ended while it started; its log ends:\n{self._end_of_log()}")

    def _answers(self) -> bool:
        try:
            with socket.create_connection((_HOST, self.port), timeout=1):
                pass
            with KafkaAdminClient(bootstrap_servers=self.bootstrap_servers, bootstrap_timeout_ms=2000) as admin:
                admin.list_topics()
        except (OSError, KafkaError):
            return False
        return True

    def _end_of_log(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:])


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        # As Kafka does: connections of a broker that has just ended do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError as error:
            raise BrokerError(f"port {port} cannot be used ({error.strerror}): choose another one") from error


def _wait(condition: Callable[[], bool], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True

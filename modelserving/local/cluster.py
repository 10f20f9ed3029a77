"""A standalone Flink cluster on this machine, from the pip package and `flink-conf/`.

python -m modelserving.local.cluster up|down|flink …
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import click

from modelserving.cli.group import CommandGroup
from modelserving.errors import ConfigurationError, ModelServingError
from modelserving.local.jars import jars_folder

CONFIGURATION = Path(__file__).resolve().parents[2] / "flink-conf" / "config.yaml"
START_LIMIT_S = 90


class LocalCluster:
    """One JobManager and some TaskManagers; everything they write lies below `folder`."""

    def __init__(self, folder: Path, rest_port: int, settings: Mapping[str, str] | None = None) -> None:
        self.folder = folder.resolve()
        self.url = f"http://localhost:{rest_port}"
        self._settings = {
            "rest.port": str(rest_port),
            "execution.checkpointing.dir": (self.folder / "checkpoints").as_uri(),
            "execution.checkpointing.savepoint-dir": (self.folder / "savepoints").as_uri(),
            **(settings or {}),
        }

    def up(self, task_managers: int = 1) -> None:
        """Start the processes, and wait until all TaskManagers have registered.

        Raises:
            ModelServingError: they did not within the limit; the message names the log folder.
        """
        if _answer(self.url) is not None:
            raise ConfigurationError(f"something answers at {self.url} already; choose another --rest-port")
        self._write()
        self.start_job_manager()
        self.add_task_managers(task_managers)
        self.wait_for(task_managers)

    def start_job_manager(self) -> None:
        """Start the JobManager; where one has died, its successor, which knows nothing of the jobs before."""
        _run([self._bin("jobmanager.sh"), "start"], self.environment)

    def add_task_managers(self, count: int) -> None:
        """Start more TaskManagers."""
        for _ in range(count):
            _run([self._bin("taskmanager.sh"), "start"], self.environment)

    def wait_for(self, task_managers: int) -> None:
        """Wait until the JobManager answers and so many TaskManagers have registered.

        Raises:
            ModelServingError: they did not within the limit; the message names the log folder.
        """
        deadline = time.monotonic() + START_LIMIT_S
        while (overview := _answer(self.url)) is None or overview["taskmanagers"] < task_managers:
            if time.monotonic() > deadline:
                raise ModelServingError(f"the cluster did not come up in {START_LIMIT_S} s; see {self.folder / 'log'}")
            time.sleep(0.5)

    def down(self) -> None:
        """End the processes that `up` started, and no others."""
        if self._conf.is_dir():
            _run([self._bin("taskmanager.sh"), "stop-all"], self.environment)
            _run([self._bin("jobmanager.sh"), "stop-all"], self.environment)

    def flink(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run Flink's command line against this cluster."""
        command = [self._bin("flink"), *arguments]
        return subprocess.run(command, env=self.environment, check=check, capture_output=True, text=True)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that Flink's scripts read."""
        return {
            **os.environ,
            # Both the client and the workers run `python`: the one that runs this.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "FLINK_HOME": str(_flink_home()),
            "FLINK_CONF_DIR": str(self._conf),
            "FLINK_LIB_DIR": str(self.folder / "lib"),
            "FLINK_LOG_DIR": str(self.folder / "log"),
            "FLINK_PID_DIR": str(self.folder / "pid"),
            # What a process that is killed leaves behind lies there too.
            "JVM_ARGS": f"{os.environ.get('JVM_ARGS', '')} -Djava.io.tmpdir={self.folder / 'tmp'}",
            "TMPDIR": str(self.folder / "tmp"),
        }

    @property
    def _conf(self) -> Path:
        return self.folder / "conf"

    def _bin(self, script: str) -> str:
        return str(_flink_home() / "bin" / script)

    def _write(self) -> None:
        for name in ("conf", "lib", "log", "pid", "tmp", "checkpoints", "savepoints"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        for logging in (_flink_home() / "conf").glob("log4j*.properties"):
            shutil.copy(logging, self._conf)
        lines = dict(
            line.split(": ", 1) for line in CONFIGURATION.read_text().splitlines() if line and not line.startswith("#")
        )
        (self._conf / "config.yaml").write_text(
            "".join(f"{key}: {value}\n" for key, value in (lines | self._settings).items())
        )
        # The JobManager builds Python jobs too, so it needs the jar that the package keeps in opt/.
        jars = [
            *(_flink_home() / "lib").glob("*.jar"),
            *(_flink_home() / "opt").glob("flink-python-*.jar"),
            *jars_folder("flink").glob("*.jar"),
        ]
        for jar in jars:
            link = self.folder / "lib" / jar.name
            link.unlink(missing_ok=True)
            link.symlink_to(jar)


def _flink_home() -> Path:
    package = find_spec("pyflink")
    if package is None or package.origin is None:
        raise ConfigurationError("apache-flink is not installed in this Python: run `make setup`")
    return Path(package.origin).parent


def _run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    if done.returncode:
        raise ModelServingError(f"{Path(command[0]).name} failed: {(done.stderr or done.stdout).strip()}")


def _answer(url: str) -> dict[str, int] | None:
    try:
        with urllib.request.urlopen(f"{url}/overview", timeout=2) as response:  # noqa: S310 - our own address
            answer: dict[str, int] = json.load(response)
            return answer
    except OSError:
        return None


FOLDER = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    default=Path(".run/cluster"),
    show_default=True,
    help="Of the cluster's files.",
)
PORT = click.option("--rest-port", type=int, default=8081, show_default=True, help="Of Flink's REST interface.")


@click.group(cls=CommandGroup)
def main() -> None:
    """A standalone Flink cluster on this machine."""


@main.command()
@FOLDER
@PORT
@click.option("--task-managers", type=click.IntRange(1), default=1, show_default=True, help="How many.")
def up(folder: Path, rest_port: int, task_managers: int) -> None:
    """Start the cluster."""
    cluster = LocalCluster(folder, rest_port)
    cluster.up(task_managers)
    click.echo(f"Flink at {cluster.url}; logs in {cluster.folder / 'log'}")


@main.command()
@FOLDER
@PORT
def down(folder: Path, rest_port: int) -> None:
    """Stop the cluster."""
    LocalCluster(folder, rest_port).down()


@main.command(context_settings={"ignore_unknown_options": True})
@FOLDER
@PORT
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def flink(folder: Path, rest_port: int, arguments: tuple[str, ...]) -> None:
    """Run Flink's command line against the cluster."""
    done = LocalCluster(folder, rest_port).flink(*arguments, check=False)
    click.echo(done.stdout, nl=False)
    click.echo(done.stderr, nl=False, err=True)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()

"""The Flink environments of a job: its settings, and where it runs."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import StreamTableEnvironment

from modelserving.flink.options import SPECULATIVE, JobOptions
from modelserving.local.jars import jars_folder

MAX_PARALLELISM = 128
"""Of every job, for ever: a savepoint's keyed state is split into this many groups."""
_LOOK_EVERY_S = 0.5
_CONSOLE_LOG = Path(__file__).with_name("log4j-console.properties")


@contextmanager
def environments(options: JobOptions) -> Iterator[tuple[StreamExecutionEnvironment, StreamTableEnvironment]]:
    """The DataStream and the table environment of a job, under `flink run` or on the embedded mini cluster."""
    with TemporaryDirectory(prefix="modelserving-job-") as folder:
        configuration = Configuration()
        settings = _job_settings(options) | _bundles(options) | ({} if _submitted() else _mini_cluster_settings(folder))
        for key, value in (settings | dict(options.configuration)).items():
            configuration.set_string(key, value)
        if not _submitted():
            # Else all parallel instances run in this process and share its GIL.
            os.environ.setdefault("_python_worker_execution_mode", "process")
            os.environ.setdefault("LOG4J_PROPERTIES", str(_CONSOLE_LOG))
            # What the JVM would leave behind goes with this folder.
            os.environ.setdefault("JVM_ARGS", f"-Djava.io.tmpdir={folder}")
        stream = StreamExecutionEnvironment.get_execution_environment(configuration)
        stream.set_max_parallelism(MAX_PARALLELISM)
        if options.parallelism is not None:
            stream.set_parallelism(options.parallelism)
        yield stream, StreamTableEnvironment.create(stream)


def run(stream: StreamExecutionEnvironment, name: str) -> None:
    """Execute the job until it ends or this process is told to stop (SIGINT, SIGTERM): then it is cancelled.

    Were the process to end at once, the Python workers might outlive it.
    """
    if _submitted():
        stream.execute(name)
        return
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    client = stream.execute_async(name)
    print(f"{name} runs; Ctrl-C ends it", file=sys.stderr)
    done = client.get_job_execution_result()
    while not done.done() and not stopped.wait(_LOOK_EVERY_S):
        pass
    if stopped.is_set():
        client.cancel().result()
    else:
        done.result()


def _submitted() -> bool:
    """Whether `flink run` started this program."""
    return "PYFLINK_GATEWAY_PORT" in os.environ


def _job_settings(options: JobOptions) -> dict[str, str]:
    """What the job needs wherever it runs."""
    return {
        # Else UNNEST copies the whole array for each of its elements.
        "pipeline.object-reuse": "true",
        # What passes between tasks is whole batches: none waits to be passed on.
        "execution.buffer-timeout.interval": "0 ms",
        "pipeline.auto-generate-uids": "false",
        "execution.checkpointing.interval": f"{options.checkpoint_interval_ms} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.max-concurrent-checkpoints": "1",
    }


def _bundles(options: JobOptions) -> dict[str, str]:
    """How many elements cross into Python at a time."""
    if options.join != SPECULATIVE:
        # Each is a batch: none waits for another.
        return {"python.fn-execution.bundle.size": "1"}
    return {
        # Each batch becomes a dozen elements, which pass through several functions one after the other. A bundle costs
        # more than what is done with an element, so those that come while one is under way share the next.
        "python.fn-execution.bundle.size": "100",
        "python.fn-execution.bundle.time": "3",
        # With each bundle PyFlink looks through what it has cached of the state; requests in flight are kept anyway.
        "python.state.cache-size": "16",
    }


def _mini_cluster_settings(folder: str) -> dict[str, str]:
    """What `flink-conf/` says on a cluster."""
    return {
        "pipeline.jars": ";".join(jar.as_uri() for jar in sorted(jars_folder("flink").glob("*.jar"))),
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        # The default, in the JobManager's memory, takes states of up to 5 MB.
        "execution.checkpointing.dir": f"file://{folder}/checkpoints",
        "rest.bind-address": "localhost",
        "jobmanager.bind-host": "localhost",
        "taskmanager.bind-host": "localhost",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "10 s",
    }

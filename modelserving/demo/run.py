"""Runs a demonstration: starts broker, job and query service, has it played, and takes everything down again."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from modelserving import topics as topics_module
from modelserving.demo.progress import Display, Figures
from modelserving.demo.query_service import QueryService
from modelserving.demo.serving_job import ServingJob, last_lines, script
from modelserving.demo.stopping import Stopped
from modelserving.demo.traffic import Answers, Confirmed, Sender
from modelserving.errors import BrokerError
from modelserving.local.broker import LocalBroker, free_port
from modelserving.local.jars import jars_folder, java
from modelserving.topics import Topics

TOPICS = Topics()
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "winequality"
PARTITIONS = 4
START_LIMIT_S = 300.0
STALL_LIMIT_S = 60.0
SETTLE_S = 3.0
"""Of listening on after the last answer, a few checkpoints long: a doubled answer would come late."""
POLL_MS = 50


class Account(Protocol):
    """How a demonstration came out."""

    @property
    def line(self) -> str:
        """Its last line."""
        ...

    @property
    def faults(self) -> list[str]:
        """What must not be, in words; empty if all is well."""
        ...


class Play(Protocol):
    """What is sent when, and what came of it."""

    def go_on(self) -> bool:
        """Do what is due, which takes no longer than a moment; False once all is done, or nothing moves any more."""
        ...

    def account(self) -> Account:
        """How it came out; call it once all that was sent was confirmed."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """What a play is played with."""

    sender: Sender
    answers: Answers
    show: Display
    page: str
    """The address of the page that shows it live."""
    clock: Callable[[], float]
    """Seconds."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What is demonstrated."""

    title: str
    job: str
    """Name of the job's file."""
    arguments: tuple[str, ...]
    """Of the job, beside those that say where it runs."""
    answers: tuple[str, ...]
    """The topics that are read."""
    figures: Figures
    """Shown until the play begins."""
    confirmed: Confirmed
    """See `Sender`."""
    play: Callable[[Stage], Play]


def run(
    piece: Piece,
    show: Display,
    check_stop: Callable[[], None],
    *,
    keep: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Account, str]:
    """Run it once; the account, and the end of the job's log if that has faults.

    Args:
        piece: what is demonstrated.
        show: what shows it.
        check_stop: called every now and then; may raise to end it all.
        keep: leave all up at the end, until `check_stop` raises `Stopped`.
        clock: tells seconds.

    Raises:
        ConfigurationError: Java, the jars or files of the checkout are missing.
        ModelServingError: the broker or the job fails; the message holds the end of its log.
    """
    java()
    jars_folder("kafka")
    jars_folder("flink")
    job_script = script(piece.job)
    with show, TemporaryDirectory(prefix="modelserving-demo-", ignore_cleanup_errors=True) as folder:
        show.update(piece.figures)
        show.event("starting a Kafka broker")
        with LocalBroker(Path(folder, "kafka"), free_port()) as broker:
            check_stop()
            servers = broker.bootstrap_servers
            topics_module.create(servers, TOPICS, PARTITIONS)
            with (
                QueryService(Path(folder), servers) as query_service,
                ServingJob(Path(folder, "job"), servers, job_script, piece.arguments) as job,
                Sender(servers, TOPICS, piece.confirmed) as sender,
                Answers(servers, piece.answers) as answers,
            ):
                try:
                    show.event(f"watch it at {query_service.url}")
                    show.event("the job starts on an embedded Flink cluster, in some 20 s")
                    play = piece.play(Stage(sender, answers, show, query_service.url, clock))
                    while play.go_on():
                        check_stop()
                        _check(job, broker)
                    sender.flush()
                    account = play.account()
                    if keep:
                        show.event(account.line)
                        show.event("all stays up until Ctrl-C")
                        with suppress(Stopped):
                            while True:
                                check_stop()
                                _check(job, broker)
                                query_service.check()
                                time.sleep(POLL_MS / 1000)
                    return account, job.end_of_log() if account.faults else ""
                finally:
                    show.event("stopping the job and the broker")


def _check(job: ServingJob, broker: LocalBroker) -> None:
    """Make sure that both run.

    Raises:
        ModelServingError: one has ended; the message holds the end of its log.
    """
    job.check()
    if broker.pid is None:
        log = last_lines(broker.directory / "broker.log")
        raise BrokerError(f"the broker ended by itself; its log ends:\n{log}")

"""Runs the demonstration: starts broker and job, sends, swaps models, reads, and takes everything down again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from modelserving import topics as topics_module
from modelserving.demo import messages
from modelserving.demo.messages import Publication
from modelserving.demo.progress import Display, Progress
from modelserving.demo.query_service import QueryService
from modelserving.demo.serving_job import ServingJob, last_lines, script
from modelserving.demo.stopping import Stopped
from modelserving.demo.tally import RateMeter, Summary, Tally
from modelserving.demo.traffic import Answers, Pacer, Sender
from modelserving.errors import BrokerError, ModelServingError
from modelserving.local.broker import LocalBroker, free_port
from modelserving.local.jars import jars_folder, java
from modelserving.topics import Topics
from modelserving.wire.serving_pb2 import Reason, Rejected

SWAPS = 6
PARTITIONS = 4
SENDING_S = 30.0
"""How long the sending takes, unless the records are few."""
LEAST_RATE = 250.0
"""Records per second."""
START_LIMIT_S = 180.0
SWAP_LIMIT_S = 60.0
STALL_LIMIT_S = 60.0
SETTLE_S = 3.0
"""Of listening on after the last answer, a few checkpoints long: a doubled answer would come late."""

_EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "winequality"
_POLL_MS = 50


def run(
    join: str,
    records: int,
    show: Display,
    check_stop: Callable[[], None],
    *,
    keep: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Summary, str]:
    """Run it once with `records` valid records; the account, and the end of the job's log if that has faults.

    Args:
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
    script()
    models = messages.publications(_EXAMPLE, SWAPS + 1)
    feed = messages.records(_EXAMPLE, records, lambda: time.time_ns() // 1_000_000)
    total = records + messages.bad_count(records)
    topics = Topics()
    with show, TemporaryDirectory(prefix="modelserving-demo-", ignore_cleanup_errors=True) as folder:
        show.update(Progress(total))
        show.event("starting a Kafka broker")
        with LocalBroker(Path(folder, "kafka"), free_port()) as broker:
            check_stop()
            topics_module.create(broker.bootstrap_servers, topics, PARTITIONS)
            tally = Tally()
            with (
                QueryService(Path(folder), broker.bootstrap_servers) as query_service,
                ServingJob(Path(folder, "job"), broker.bootstrap_servers, join) as job,
                Sender(broker.bootstrap_servers, topics, tally.add_sent) as sender,
                Answers(broker.bootstrap_servers, topics) as answers,
            ):
                try:
                    show.event(f"watch it at {query_service.url}")
                    show.event("the job starts on an embedded Flink cluster, which takes some 20 s")
                    play = _Play(
                        models=models,
                        feed=feed,
                        total=total,
                        sender=sender,
                        answers=answers,
                        tally=tally,
                        topics=topics,
                        show=show,
                        page=query_service.url,
                        clock=clock,
                    )
                    while play.go_on():
                        check_stop()
                        _check(job, broker)
                    sender.flush()
                    summary = tally.summary()
                    if keep:
                        show.event(summary.line)
                        show.event("all stays up until Ctrl-C")
                        with suppress(Stopped):
                            while True:
                                check_stop()
                                _check(job, broker)
                                query_service.check()
                                time.sleep(_POLL_MS / 1000)
                    return summary, job.end_of_log() if summary.faults else ""
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


class _Play:
    """What is sent when. Models are spread evenly over the records, and each waits until the one before serves."""

    def __init__(
        self,
        *,
        models: list[Publication],
        feed: Iterator[tuple[bytes | None, bool]],
        total: int,
        sender: Sender,
        answers: Answers,
        tally: Tally,
        topics: Topics,
        show: Display,
        page: str,
        clock: Callable[[], float],
    ) -> None:
        self._models = models
        self._feed = feed
        self._total = total
        self._sender = sender
        self._answers = answers
        self._tally = tally
        self._topics = topics
        self._show = show
        self._page = page
        self._clock = clock
        self._published = 0
        self._serving: Publication | None = None
        now = clock()
        self._published_at = self._moved_at = now
        self._pacer = Pacer(max(LEAST_RATE, total / SENDING_S), now)
        self._meter = RateMeter()

    def go_on(self) -> bool:
        """Do what is due; False once all is answered, or nothing has moved for `STALL_LIMIT_S`."""
        if self._model_is_due():
            self._publish()
        for _ in range(self._records_due()):
            self._sender.record(*next(self._feed))
        self._read()
        self._show_progress()
        since = self._clock() - self._moved_at
        if self._answered() < self._sender.sent:
            return since < (STALL_LIMIT_S if self._serving else START_LIMIT_S)
        return self._sender.sent < self._total or since < SETTLE_S

    def _answered(self) -> int:
        return self._tally.scored + self._tally.rejected

    def _newest_serves(self) -> bool:
        return self._published > 0 and self._models[self._published - 1] is self._serving

    def _model_is_due(self) -> bool:
        if self._published == 0:
            return True
        due_at = self._total * self._published // len(self._models)
        return self._published < len(self._models) and self._newest_serves() and self._sender.sent >= due_at

    def _publish(self) -> None:
        model = self._models[self._published]
        self._sender.model(model.descriptor.SerializeToString())
        self._published += 1
        self._published_at = self._clock()
        self._show.event(f"{model} published")

    def _records_due(self) -> int:
        """At the steady rate, but one by one while the first model, or one that takes its time, does not serve yet.

        A swap shows in records only, so half of those meant for the models to come are kept for them.
        """
        kept = self._total * (len(self._models) - self._published) // (2 * len(self._models))
        due = self._pacer.due(self._clock(), self._total - self._sender.sent)
        if self._newest_serves() or (self._serving and self._sender.sent + due <= self._total - kept):
            return due
        left = self._sender.sent < self._total
        return 1 if left and self._answered() == self._sender.sent else 0

    def _read(self) -> None:
        read = False
        for topic, value in self._answers.poll(_POLL_MS):
            read = True
            if topic == self._topics.results:
                self._tally.add_result(value)
            elif topic == self._topics.rejected_records:
                self._tally.add_rejected(value)
            else:
                fault = Rejected.FromString(value)
                model = f"{fault.model_name} {fault.model_version}"
                raise ModelServingError(f"model {model} was rejected: {Reason.Name(fault.reason)}: {fault.detail}")
        now = self._clock()
        if read:
            self._moved_at = now
        newest = self._models[self._published - 1]
        if newest is not self._serving and newest.version in self._tally.versions:
            self._serving = newest
            self._show.event(f"{newest} serves, {now - self._published_at:.1f} s later")
        elif self._serving is not None and newest is not self._serving and now - self._published_at > SWAP_LIMIT_S:
            raise ModelServingError(f"{newest} does not serve {SWAP_LIMIT_S:.0f} s after it was published")

    def _show_progress(self) -> None:
        self._show.update(
            Progress(
                total=self._total,
                sent=self._sender.sent,
                scored=self._tally.scored,
                rejected=self._tally.rejected,
                reasons=dict(self._tally.reasons),
                rate=self._meter.read(self._clock(), self._answered()),
                serving=str(self._serving) if self._serving else "none yet",
                swaps=self._tally.swaps,
                page=self._page,
            )
        )

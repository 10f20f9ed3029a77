"""The demonstration of swaps: models of three types replace one another while records flow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from modelserving.demo import messages
from modelserving.demo.messages import Publication
from modelserving.demo.progress import Progress
from modelserving.demo.run import EXAMPLE, POLL_MS, SETTLE_S, STALL_LIMIT_S, START_LIMIT_S, TOPICS, Piece, Stage
from modelserving.demo.tally import RateMeter, Summary, Tally
from modelserving.demo.traffic import Pacer, rejected_model
from modelserving.errors import ModelServingError

SWAPS = 6
SENDING_S = 30.0
"""How long the sending takes, unless the records are few."""
LEAST_RATE = 250.0
"""Records per second."""
SWAP_LIMIT_S = 60.0


def piece(join: str, records: int) -> Piece:
    """It, with `records` valid records.

    Raises:
        ConfigurationError: files of the checkout are missing.
    """
    models = messages.publications(EXAMPLE, SWAPS + 1)
    feed = messages.records(EXAMPLE, records, lambda: time.time_ns() // 1_000_000)
    total = records + messages.bad_count(records)
    tally = Tally()
    return Piece(
        title=f"modelserving demo · {join} join",
        job="model_serving.py",
        arguments=("--join", join, "--parallelism", "2"),
        answers=(TOPICS.results, TOPICS.rejected_records, TOPICS.rejected_models),
        figures=Progress(total),
        confirmed=tally.add_sent,
        play=partial(_Play, models, feed, total, tally),
    )


class _Play:
    """What is sent when. Models are spread evenly over the records, and each waits until the one before serves."""

    def __init__(
        self,
        models: list[Publication],
        feed: Iterator[tuple[bytes | None, bool]],
        total: int,
        tally: Tally,
        stage: Stage,
    ) -> None:
        self._models = models
        self._feed = feed
        self._total = total
        self._tally = tally
        self._sender = stage.sender
        self._answers = stage.answers
        self._show = stage.show
        self._page = stage.page
        self._clock = clock = stage.clock
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

    def account(self) -> Summary:
        """How it came out."""
        return self._tally.summary()

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
        self._sender.publish(TOPICS.models, model.descriptor.SerializeToString())
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
        for topic, value in self._answers.poll(POLL_MS):
            read = True
            if topic == TOPICS.results:
                self._tally.add_result(value)
            elif topic == TOPICS.rejected_records:
                self._tally.add_rejected(value)
            else:
                raise rejected_model(value)
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

"""Where jobs are measured: one broker, with logs of records that are filled once for all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import click

from bench.data_types import names, write_data_types
from bench.jobs import Job
from bench.load import ModelLog
from bench.pipelines import PIPELINES, Settings
from bench.records import fill
from bench.topics import Count, renew
from modelserving.topics import Topics
from modelserving.wire.model_pb2 import ModelDescriptor

LIVE = Topics("bench-live-")
"""For records that are sent while a job runs."""


class Site:
    """A broker, and a folder for files that belong to it."""

    def __init__(self, bootstrap_servers: str, folder: Path) -> None:
        self.bootstrap_servers = bootstrap_servers
        self._folder = folder
        self._numbers = count(1)
        self._filled: set[Topics] = set()

    def backlog(self, records: int, data_types: int = 1) -> Topics:
        """Topics whose log of records holds so many, of so many data types in turn."""
        topics = Topics(f"bench-{data_types}-")
        if topics not in self._filled:
            renew(self.bootstrap_servers, topics, keep=())
            click.echo(f"filling a log with {records:,} records of {data_types} data types", err=True)
            fill(self.bootstrap_servers, topics.records, records, names(data_types))
            self._filled.add(topics)
        return topics

    @contextmanager
    def job(
        self,
        pipeline: str,
        models: Iterable[ModelDescriptor],
        topics: Topics,
        *,
        more: tuple[str, ...] = (),
        parallelism: int = 1,
        data_types: int = 1,
    ) -> Iterator[Job]:
        """A job that has just been started, with the models published.

        All topics are made anew, but for a log of records that was filled.

        Raises:
            click.ClickException: at the end, if records were rejected.
        """
        renew(self.bootstrap_servers, topics, keep=[topics.records] if topics in self._filled else ())
        log = ModelLog(self.bootstrap_servers, topics.models)
        for model in models:
            log.send(model)
        settings = Settings(
            self.bootstrap_servers,
            topics,
            name=f"bench-{pipeline}-{next(self._numbers)}",
            parallelism=parallelism,
            data_types=write_data_types(self._folder, data_types) if data_types > 1 else None,
            more=more,
        )
        chosen = PIPELINES[pipeline]
        with Job(chosen.command(settings), chosen.environment) as job:
            yield job
            rejected = self.count(topics.rejected_records)
            if rejected:
                raise click.ClickException(f"{pipeline} rejected {rejected} records")

    def count(self, topic: str) -> int:
        """Messages of a topic so far."""
        counted = Count(self.bootstrap_servers, topic)
        try:
            return counted()
        finally:
            counted.close()

    @contextmanager
    def written(self, topics: Topics) -> Iterator[Count]:
        """Counts the results."""
        counted = Count(self.bootstrap_servers, topics.results)
        try:
            yield counted
        finally:
            counted.close()

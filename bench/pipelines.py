"""The pipelines that are compared: each is a command that runs one job, and all are told the same."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench import java_peer
from bench.models import MODELS, NO_MODEL, TENSORFLOW_MODELS
from modelserving.topics import Topics

ROOT = Path(__file__).resolve().parents[1]
PROFILES: Mapping[str, tuple[str, ...]] = {"default": (), "low-latency": ("--batch-interval", "5")}
"""Options of our job by profile; the second is that of docs/operations.md."""
JOINED = ("partitioned", "keyed", "java-peer")
"""The pipelines that are measured in every respect."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a job is told."""

    bootstrap_servers: str
    topics: Topics
    name: str
    """Its consumer group and its transactions are of this name; another for each job."""
    parallelism: int = 1
    delivery: str = "exactly-once"
    checkpoint_interval_ms: int = 2000
    data_types: Path | None = None
    """Of records that are not all of the data type `wine`."""
    more: tuple[str, ...] = ()
    """Further options, of this pipeline alone."""

    def options(self) -> list[str]:
        """The options that every pipeline knows."""
        return [
            *("--bootstrap-servers", self.bootstrap_servers),
            *("--topic-prefix", self.topics.prefix),
            *("--name", self.name),
            *("--parallelism", str(self.parallelism)),
            *("--delivery", self.delivery),
            *("--checkpoint-interval", str(self.checkpoint_interval_ms)),
            *self.more,
        ]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """How one is started."""

    command: Callable[[Settings], list[str]]
    scores: bool = True
    """Whether it evaluates a model; else there is one figure for it."""
    models: tuple[str, ...] = MODELS
    """Those that it is measured with, if it evaluates any."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """On top of ours."""


def _ours(join: str) -> Callable[[Settings], list[str]]:
    def command(settings: Settings) -> list[str]:
        job = [sys.executable, str(ROOT / "jobs" / "model_serving.py"), "--join", join, "--from", "earliest"]
        data_types = ["--data-types", str(settings.data_types)] if settings.data_types else []
        return [*job, *settings.options(), *data_types]

    return command


def _script(module: str) -> Callable[[Settings], list[str]]:
    return lambda settings: [sys.executable, "-m", module, *settings.options()]


def _peer(*more: str) -> Callable[[Settings], list[str]]:
    def command(settings: Settings) -> list[str]:
        # With many data types each has its own model, and needs no lanes to be spread.
        lanes = ["--lanes", "1"] if settings.data_types else []
        return java_peer.command(*settings.options(), *lanes, *more)

    return command


# The folder of `sitecustomize`, and that of the package which it names.
_WITHOUT_MODEL = {"PYTHONPATH": os.pathsep.join((str(ROOT / "bench" / "no_model"), str(ROOT)))}

PIPELINES: Mapping[str, Pipeline] = {
    "partitioned": Pipeline(_ours("partitioned")),
    "keyed": Pipeline(_ours("keyed")),
    "java-peer": Pipeline(_peer()),
    "java-peer-default-threads": Pipeline(_peer("--tensorflow-threads", "0"), models=TENSORFLOW_MODELS),
    "per-record-python": Pipeline(_script("bench.per_record")),
    "identity": Pipeline(_script("bench.identity"), scores=False),
    "no-model": Pipeline(_ours("partitioned"), scores=False, environment=_WITHOUT_MODEL),
    "no-model-keyed": Pipeline(_ours("keyed"), scores=False, environment=_WITHOUT_MODEL),
    "no-model-java-peer": Pipeline(_peer("--no-model", "true"), scores=False),
}


def evaluates(pipeline: str, model: str) -> bool:
    """Whether a pipeline is measured with a model; `NO_MODEL` is for those that evaluate none."""
    chosen = PIPELINES[pipeline]
    return model in chosen.models if chosen.scores else model == NO_MODEL


def need_peer(pipelines: tuple[str, ...]) -> bool:
    """Whether one of them is the Java peer, which has to be built."""
    return any("java-peer" in name for name in pipelines)

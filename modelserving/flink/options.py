"""What is chosen for each job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from modelserving.data_types import DataTypes
from modelserving.descriptors import ModelSources
from modelserving.gate import GateLimits
from modelserving.manager import ManagerLimits
from modelserving.speculative.tasks import LaneLimits
from modelserving.topics import Topics

JOINS = ("keyed", "partitioned")
SPECULATIVE = "speculative"
PLACES = ("process", "thread")
STARTS = ("committed", "earliest", "latest")
DELIVERIES = ("exactly-once", "at-least-once")


@dataclass(frozen=True, slots=True)
class JobOptions:
    """The options of the serving job; `jobs/model_serving.py --help` explains each."""

    join: str
    """How models and records meet: one of `JOINS`, or `SPECULATIVE`."""
    bootstrap_servers: str
    topics: Topics
    data_types: DataTypes
    name: str
    """Of the job; also its consumer group, and the prefix of its transactional ids."""
    sources: ModelSources = field(default_factory=ModelSources)
    gate_limits: GateLimits = field(default_factory=GateLimits)
    manager_limits: ManagerLimits = field(default_factory=ManagerLimits)
    start: str = "committed"
    delivery: str = "exactly-once"
    batch_interval_ms: int = 20
    checkpoint_interval_ms: int = 2000
    parallelism: int | None = None
    """None: what the cluster or `flink run --parallelism` says."""
    configuration: Mapping[str, str] = field(default_factory=dict)
    """Flink configuration on top, by key."""

    @property
    def written(self) -> tuple[str, ...]:
        """The topics that the job writes."""
        return self.topics.written


@dataclass(frozen=True, slots=True)
class SpeculativeOptions(JobOptions):
    """The options of the speculative job; `jobs/speculative_serving.py --help` explains each."""

    lanes: int = 3
    lane_parallelism: int = 1
    lane_limits: LaneLimits = field(default_factory=LaneLimits)
    models_in: str = "process"
    """One of `PLACES`."""
    deciders: tuple[str, ...] = ()
    """Import paths that policies may name."""

    @property
    def written(self) -> tuple[str, ...]:
        """The topics that the job writes."""
        return self.topics.written_speculative

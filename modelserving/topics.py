"""The topics that the job and its clients speak over, and what each must be like."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from modelserving.errors import BrokerError, ConfigurationError

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""The largest message: a model descriptor with its model, or a record."""

MAX_BATCH_BYTES = MAX_MESSAGE_BYTES + 64 * 1024
"""What a topic must let pass for that: the message, its key, headers and Kafka's framing."""

MAX_REJECTED_BYTES = MAX_MESSAGE_BYTES + 1024 * 1024
"""The same for the rejected topics, whose messages hold the original and more."""

CONNECT_LIMIT_MS = 8_000
REQUEST_LIMIT_MS = 30_000

_COMPACTED = {
    "cleanup.policy": "compact",
    # The segment that is written to is never compacted, and whoever starts to read reads all of it.
    "segment.bytes": str(32 * 1024 * 1024),
    "segment.ms": str(10 * 60 * 1000),
    "min.cleanable.dirty.ratio": "0.1",
}

_PREFIX = re.compile(r"[a-zA-Z0-9._-]{0,200}")
_ADDRESS = r"(?:[\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}"
_ADDRESSES = re.compile(rf"{_ADDRESS}(?:,{_ADDRESS})*")


@dataclass(frozen=True, slots=True)
class Topics:
    """The names of the topics, each with `prefix` in front.

    Raises:
        ConfigurationError: Kafka allows no such names.
    """

    prefix: str = ""

    def __post_init__(self) -> None:
        if not _PREFIX.fullmatch(self.prefix):
            raise ConfigurationError(
                f"{self.prefix!r} is no topic prefix: use letters, digits, '.', '_' and '-', at most 200 of them"
            )

    @property
    def models(self) -> str:
        """Model descriptors; one partition, for their order matters."""
        return f"{self.prefix}models"

    @property
    def records(self) -> str:
        """Records to score."""
        return f"{self.prefix}records"

    @property
    def results(self) -> str:
        """A score for each record."""
        return f"{self.prefix}results"

    @property
    def rejected_records(self) -> str:
        """Records that could not be scored."""
        return f"{self.prefix}rejected-records"

    @property
    def rejected_models(self) -> str:
        """Models that were turned away."""
        return f"{self.prefix}rejected-models"

    @property
    def model_events(self) -> str:
        """What happened to models in the job."""
        return f"{self.prefix}model-events"

    @property
    def serving_stats(self) -> str:
        """Totals of what was served; compacted."""
        return f"{self.prefix}serving-stats"

    @property
    def speculative_control(self) -> str:
        """Policies of speculative serving; one partition, for their order matters."""
        return f"{self.prefix}speculative-control"

    @property
    def decisions(self) -> str:
        """What was decided for each record."""
        return f"{self.prefix}decisions"

    @property
    def late_answers(self) -> str:
        """Answers of models for records that had been decided."""
        return f"{self.prefix}late-answers"

    @property
    def written(self) -> tuple[str, ...]:
        """Those that the serving job writes."""
        return self.results, *self.told

    @property
    def written_speculative(self) -> tuple[str, ...]:
        """Those that the speculative job writes."""
        return self.decisions, self.late_answers, self.speculative_control, *self.told

    @property
    def serving(self) -> tuple[str, ...]:
        """The seven that the serving job needs."""
        return self.models, self.records, *self.written

    @property
    def speculative(self) -> tuple[str, ...]:
        """The nine that the speculative job needs."""
        return self.models, self.records, *self.written_speculative

    @property
    def names(self) -> tuple[str, ...]:
        """All ten."""
        return *self.serving, self.speculative_control, self.decisions, self.late_answers

    @property
    def single(self) -> tuple[str, ...]:
        """Those with one partition."""
        return self.models, self.speculative_control

    @property
    def told(self) -> tuple[str, ...]:
        """Those that both jobs write, and whoever shows what they do reads."""
        return self.rejected_records, self.rejected_models, self.model_events, self.serving_stats


def create(bootstrap_servers: str, topics: Topics, partitions: int) -> None:
    """Create the topics that do not exist, those whose order matters with one partition, the others with `partitions`.

    Topics that exist are left as they are.

    Raises:
        BrokerError: the broker cannot be reached or refuses.
    """
    with admin_client(bootstrap_servers) as admin:
        missing = [name for name in topics.names if name not in admin.list_topics()]
        for name in missing:
            try:
                admin.create_topics({name: _specification(name, topics, partitions)}, wait_for_metadata=True)
            except TopicAlreadyExistsError:
                admin.wait_for_topics([name])  # somebody else was quicker


def check(bootstrap_servers: str, topics: Topics, needed: Sequence[str] | None = None) -> None:
    """Make sure that the topics are there, and that those whose order matters have one partition.

    Args:
        bootstrap_servers: the broker's.
        topics: all of them.
        needed: those of them that must be there; None: those of the serving job.

    Raises:
        BrokerError: the broker cannot be reached, or a topic is missing or has the wrong form.
    """
    counts = partition_counts(bootstrap_servers)
    needed = topics.serving if needed is None else needed
    missing = [name for name in needed if name not in counts]
    if missing:
        raise BrokerError(
            f"no topic {', '.join(missing)} at {bootstrap_servers}: create what is missing "
            "(`modelserving local up` does on a local broker), or correct --topic-prefix"
        )
    for name, content in ((topics.models, "models"), (topics.speculative_control, "policies")):
        if name in needed and counts[name] != 1:
            raise BrokerError(
                f"topic {name} has {counts[name]} partitions, which leaves the order of {content} open: "
                "create it anew with one"
            )


def partition_counts(bootstrap_servers: str) -> dict[str, int]:
    """The topics at `bootstrap_servers` (Kafka's internal ones left out), each with its number of partitions.

    Raises:
        BrokerError: the broker cannot be reached.
    """
    with admin_client(bootstrap_servers) as admin:
        described = [topic for topic in admin.describe_topics() if not topic["is_internal"]]
    return {topic["name"]: len(topic["partitions"]) for topic in described if for_code(topic["error_code"]).errno == 0}


@contextmanager
def admin_client(bootstrap_servers: str) -> Iterator[Any]:
    """A kafka-python admin client; whatever Kafka says against its requests becomes a `BrokerError`."""
    with translated_errors(bootstrap_servers):
        client = KafkaAdminClient(
            bootstrap_servers=bootstrap_servers,
            bootstrap_timeout_ms=CONNECT_LIMIT_MS,
            request_timeout_ms=REQUEST_LIMIT_MS,
        )
        with client:
            yield client


@contextmanager
def translated_errors(bootstrap_servers: str) -> Iterator[None]:
    """Turn what Kafka's client raises into `BrokerError`, naming the broker; a misspelt address as well."""
    if not _ADDRESSES.fullmatch(bootstrap_servers):
        raise BrokerError(
            f"{bootstrap_servers!r} are no broker addresses: write HOST:PORT, with commas between several"
        )
    try:
        yield
    except (KafkaError, OSError) as error:
        raise BrokerError(
            f"Kafka at {bootstrap_servers}: {error}; is it up, and is --bootstrap-servers right?"
        ) from error


def _specification(name: str, topics: Topics, partitions: int) -> dict[str, Any]:
    rejected = name in (topics.rejected_records, topics.rejected_models)
    configuration = {
        "cleanup.policy": "delete",
        "max.message.bytes": str(MAX_REJECTED_BYTES if rejected else MAX_BATCH_BYTES),
    }
    if name in (*topics.single, topics.model_events):
        configuration |= {"retention.ms": "-1", "retention.bytes": "-1"}
    if name == topics.serving_stats:
        configuration |= _COMPACTED
    return {"num_partitions": 1 if name in topics.single else partitions, "configs": configuration}

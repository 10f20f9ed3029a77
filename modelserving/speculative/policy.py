"""A policy: which models are asked for the records of a data type, and how their answers become one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from modelserving.errors import ConfigurationError
from modelserving.wire.speculative_pb2 import Average, QualityBy, Rule

Answer = float | str | tuple[float, ...]
"""A number, a label, or a vector."""

LONGEST_TIMEOUT_MS = 600_000
MOST_MODELS = 32
"""That a policy may name, challengers included."""
LONGEST_NAME = 200
"""Characters: of a data type, a model, a metric, a decider."""
LONGEST_LABEL = 10_000
"""Characters of the default: it may be the answer to each record of a batch."""

_VOTED = (Rule.CONSENSUS, Rule.COMBINED)


@dataclass(frozen=True, slots=True)
class RolloutLimits:
    """What the first challenger may do over a rolling window; a limit that is None is none.

    Raises:
        ConfigurationError: a limit is out of range.
    """

    window_ms: int
    least_records: int = 100
    """Nothing is judged by fewer."""
    errors: float | None = None
    """Share of its records, from 0 to 1, that it gave no answer to."""
    disagreement: float | None = None
    """Share of the records that both answered, from 0 to 1, on which it differs from the champion."""
    latency_ms: float | None = None
    slow: float = 0.01
    """Share of its answers, from 0 to 1, that may take longer than `latency_ms`."""
    promote: bool = False
    """By itself, once all limits have held for a whole window."""
    roll_back: bool = False
    """By itself, as soon as one is broken."""

    def __post_init__(self) -> None:
        _check(self.window_ms > 0, "limits.window_ms", f"must be more than 0, not {self.window_ms}")
        _check(self.least_records > 0, "limits.least_records", f"must be more than 0, not {self.least_records}")
        for name in ("errors", "disagreement", "slow"):
            share = getattr(self, name)
            _check(share is None or 0 <= share <= 1, f"limits.{name}", f"must be from 0 to 1, not {share}")
        latency = self.latency_ms
        _check(latency is None or 0 <= latency < math.inf, "limits.latency_ms", f"must be 0 or more, not {latency}")
        limited = any(limit is not None for limit in (self.errors, self.disagreement, latency))
        remedy = "nothing is limited; set errors, disagreement or latency_ms"
        _check(limited or not (self.promote or self.roll_back), "limits", remedy)


@dataclass(frozen=True, slots=True)
class Policy:
    """The policy of a data type. The fields are those of the message `SpeculativeControl`.

    Raises:
        ConfigurationError: a field is wrong; the message names it and the remedy.
    """

    data_type: str
    timeout_ms: int
    """From the receipt of a record to the decision."""
    models: tuple[str, ...]
    """By name, the most trusted first; the first is the champion."""
    rule: Rule = Rule.TRUST
    quorum: int = 0
    """CONSENSUS and COMBINED: so many models must agree; 0: more than half of them."""
    tolerance: float = 0.0
    """Numbers agree whose greatest and least differ by no more."""
    average: Average = Average.MEDIAN
    quality_by: QualityBy = QualityBy.WEIGHT
    weights: tuple[float, ...] = ()
    """QUALITY by WEIGHT: one for each of `models`."""
    metric: str = ""
    default: float | str | None = None
    decider: str = ""
    """Import path of what decides in place of a rule."""
    challengers: tuple[str, ...] = ()
    shadow: float = 0.0
    """Share of the records, from 0 to 1, on which the others are asked in the shadow."""
    canary: float = 0.0
    """Share of the records, from 0 to 1, on which the first challenger has the champion's place."""
    limits: RolloutLimits | None = None
    previous: str = ""
    """The champion before the last promotion."""

    def __post_init__(self) -> None:
        _check(bool(self.data_type), "datatype", "is empty; name the data type that the policy is for")
        self._check_lengths()
        in_range = 0 < self.timeout_ms <= LONGEST_TIMEOUT_MS
        _check(in_range, "tmout", f"must be from 1 to {LONGEST_TIMEOUT_MS} ms, not {self.timeout_ms}")
        self._check_models()
        _check(self.rule in Rule.values(), "rule", f"{self.rule} is unknown; use one of {', '.join(Rule.keys())}")
        self._check_consensus()
        self._check_quality()
        stated = self.default is None or isinstance(self.default, str) or math.isfinite(self.default)
        _check(stated, "default_number", f"must be finite, not {self.default}")
        if self.decider:
            told = "is set beside decider, which decides alone; leave one of them out"
            _check(self.rule == Rule.TRUST, "rule", told)
        self._check_rollout()

    @property
    def needed(self) -> int:
        """How many must agree."""
        return self.quorum or len(self.models) // 2 + 1

    @property
    def is_voted(self) -> bool:
        """Whether models that agree decide."""
        return self.rule in _VOTED and not self.decider

    @property
    def ballot_models(self) -> tuple[str, ...]:
        """All that may be asked, in the order of trust: the first challenger, which may stand in for the champion,
        then the models, then the other challengers."""
        return (*self.challengers[:1], *self.models, *self.challengers[1:])

    @property
    def kept_models(self) -> tuple[str, ...]:
        """All that are to be loaded: those that may be asked, and the champion that a rollback would bring back."""
        undone = () if self.previous in ("", *self.ballot_models) else (self.previous,)
        return (*self.ballot_models, *undone)

    @property
    def ballot_weights(self) -> tuple[float, ...]:
        """The weights of `ballot_models`, where weights decide: the first challenger has the champion's, others 0."""
        first = self.weights[:1] if self.challengers else ()
        return (*first, *self.weights, *(0.0 for _ in self.challengers[1:]))

    def _check_lengths(self) -> None:
        named = {"models": self.models, "challengers": self.challengers}
        alone = {"datatype": self.data_type, "metric": self.metric, "decider": self.decider, "previous": self.previous}
        for field, names in (*named.items(), *((field, (name,)) for field, name in alone.items())):
            longest = max(map(len, names), default=0)
            told = f"a name has {longest} characters; use at most {LONGEST_NAME}"
            _check(longest <= LONGEST_NAME, field, told)
        if isinstance(self.default, str):
            told = f"has {len(self.default)} characters; use at most {LONGEST_LABEL}"
            _check(len(self.default) <= LONGEST_LABEL, "default_label", told)

    def _check_models(self) -> None:
        _check(bool(self.models), "models", "is empty; name at least one model")
        named = (*self.models, *self.challengers)
        _check(all(named), "models", "a name is empty; leave it out")
        for name in named:
            _check(named.count(name) == 1, "models", f"{name!r} is there twice, or a challenger too; name it once")
        _check(len(named) <= MOST_MODELS, "models", f"there are {len(named)}; name at most {MOST_MODELS}")

    def _check_consensus(self) -> None:
        most = len(self.models)
        _check(self.quorum >= 0, "quorum", f"must be from 0 to {most}, not {self.quorum}")
        told = f"{self.quorum} of {most} models can never agree; ask for {most} at most, or name more models"
        _check(self.quorum <= most, "quorum", told)
        _check(not self.quorum or self.is_voted, "quorum", "is used by CONSENSUS and COMBINED alone; leave it out")
        wide = 0 <= self.tolerance < math.inf
        _check(wide, "tolerance", f"must be 0 or more, and finite, not {self.tolerance}")
        known = ", ".join(Average.keys())
        _check(self.average in Average.values(), "average", f"{self.average} is unknown; use one of {known}")
        _check(not self.average or self.is_voted, "average", "is used by CONSENSUS and COMBINED alone; leave it out")

    def _check_quality(self) -> None:
        known = ", ".join(QualityBy.keys())
        _check(self.quality_by in QualityBy.values(), "quality_by", f"{self.quality_by} is unknown; use one of {known}")
        judged = self.rule == Rule.QUALITY and not self.decider
        _check(judged or not self.quality_by, "quality_by", "is used by QUALITY alone; leave it out")
        by_weight = judged and self.quality_by == QualityBy.WEIGHT
        told = f"has {len(self.weights)} for {len(self.models)} models; give one for each"
        _check(not by_weight or len(self.weights) == len(self.models), "weights", told)
        _check(by_weight or not self.weights, "weights", "is used by QUALITY by WEIGHT alone; leave it out")
        _check(all(math.isfinite(each) for each in self.weights), "weights", "one is not finite; give numbers")
        by_metric = judged and self.quality_by == QualityBy.METRIC
        _check(not by_metric or bool(self.metric), "metric", "is empty; name one that the models' descriptors have")
        _check(by_metric or not self.metric, "metric", "is used by QUALITY by METRIC alone; leave it out")

    def _check_rollout(self) -> None:
        for name in ("shadow", "canary"):
            share = getattr(self, name)
            _check(0 <= share <= 1, name, f"must be from 0 to 1, not {share}")
            _check(not share or bool(self.challengers), name, "is of no use without challengers; name one, or leave it")
        asked = bool(self.shadow or self.canary)
        _check(asked or not self.challengers, "challengers", "are never asked; set shadow or canary above 0")
        _check(self.limits is None or bool(self.challengers), "limits", "are of no use without challengers; name one")
        compares = self.limits is not None and self.limits.disagreement is not None
        told = "can never be judged, since champion and challenger never score the same record; set shadow above 0"
        _check(bool(self.shadow) or not compares, "limits.disagreement", told)


def _check(right: bool, field: str, told: str) -> None:
    if not right:
        raise ConfigurationError(f"{field}: {told}")

"""What was aimed at, beside what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.models import MODELS, TENSORFLOW_MODELS
from bench.parts import Tree
from bench.tables import table


@dataclass(frozen=True, slots=True)
class Target:
    """How many times as fast as another pipeline one is to be, at least."""

    what: str
    pipeline: str
    other: str
    models: Sequence[str]
    least: float
    best: float | None = None
    """What is aimed at beyond that."""


TARGETS = (
    Target(
        "TensorFlow graph and SavedModel, partitioned, against the Java peer",
        "partitioned",
        "java-peer",
        TENSORFLOW_MODELS,
        9,
        15,
    ),
    Target("the same, keyed", "keyed", "java-peer", TENSORFLOW_MODELS, 7, 12),
    Target("forest and boosting, partitioned", "partitioned", "java-peer", ("forest-100", "boosting-200"), 3),
    Target("neural network, partitioned", "partitioned", "java-peer", ("neural-network",), 1.2),
    Target("tree, linear and GLM, partitioned", "partitioned", "java-peer", ("tree", "linear", "glm"), 0.7, 1),
    Target(
        "each model, partitioned, against the per-record PyFlink port", "partitioned", "per-record-python", MODELS, 20
    ),
    Target("the same, keyed", "keyed", "per-record-python", MODELS, 20),
    Target("each model, partitioned, against our own pipeline with no model", "partitioned", "no-model", MODELS, 0.8),
    Target("the same, keyed", "keyed", "no-model-keyed", MODELS, 0.8),
)
LATENCY_MS = {"default": {"p50": 25, "p99": 45}, "low-latency": {"p50": 8, "p99": 20}}
"""At most, by profile, at `LATENCY_RATE` records/s, of the partitioned join."""
LATENCY_RATE = "10000"
SWAP_MS = 1_000
"""At most, from publication to the first result."""


def targets(document: Tree) -> Iterator[str]:
    """A table, of what was measured of it."""
    yield "### What was aimed at"
    yield "Ratios are of the medians above, in the order of the models; latency and swaps of the partitioned join."
    yield table(["", "aimed at", "measured", ""], [*_ratios(document), *_times(document)])


def _ratios(document: Tree) -> Iterable[list[str]]:
    rates = document["throughput"]
    for target in TARGETS:
        one, other = rates.get(target.pipeline, {}), rates.get(target.other, {})
        found = [one[model] / rate for model in target.models if model in one and (rate := other.get(model))]
        if found:
            measured = ", ".join(f"{ratio:.2f}" if ratio < 2 else f"{ratio:.1f}" for ratio in found)
            met = sum(ratio >= target.least for ratio in found)
            wanted, verdict = f"at least {target.least:g} times", _verdict(met, len(found))
            if target.best is not None:
                wanted += f", at best {target.best:g}"
                verdict += f"; at best: {_verdict(sum(ratio >= target.best for ratio in found), len(found))}"
            yield [target.what, wanted, measured, verdict]


def _times(document: Tree) -> Iterable[list[str]]:
    by_profile = document.get("latency", {}).get("partitioned", {}).get("tensorflow", {})
    for profile, limits in LATENCY_MS.items():
        found = by_profile.get(profile, {}).get(LATENCY_RATE)
        if found:
            met = sum(found[name] <= limit for name, limit in limits.items())
            yield [
                f"latency at {int(LATENCY_RATE):,} records/s, profile {profile}: {', '.join(limits)}",
                f"at most {', '.join(map(str, limits.values()))} ms",
                ", ".join(f"{found[name]:.0f}" for name in limits),
                _verdict(met, len(limits)),
            ]
    swaps = document.get("swap", {}).get("partitioned", {})
    if swaps:
        met = sum(ms <= SWAP_MS for ms in swaps.values())
        measured = ", ".join(f"{ms:,}" for ms in swaps.values())
        what = f"from publication to the first result, 1 MB of {', '.join(swaps)}"
        yield [what, f"at most {SWAP_MS:,} ms", measured, _verdict(met, len(swaps))]


def _verdict(met: int, of: int) -> str:
    return "met" if met == of else "missed" if not met else f"{met} of {of} met"

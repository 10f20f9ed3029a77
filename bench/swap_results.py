"""What the job wrote in the swap benchmark, checked: each record scored once, and by a model that was admitted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bench.load import Published
from bench.results import Account, account, committed
from modelserving.topics import Topics
from modelserving.wire.serving_pb2 import Rejected, ServingResult

NEVER_ADMITTED = -1
"""Stands for the number of a model that is not one of the good ones."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of the job's output."""

    account: Account
    never_admitted: Counter[str]
    """What results claim whose model is not one of the good ones, or whose answer is another model's."""
    rejected_models: Counter[int]
    """By offset on the model log."""


def read(bootstrap_servers: str, topics: Topics, published: Sequence[Published]) -> Reading:
    """Read all that the job committed, waiting for the last of it.

    Raises:
        click.ClickException: a message cannot be read.
    """
    good = {model.identity: model.number for model in published if not model.fault}
    never_admitted: Counter[str] = Counter()

    def number_of(result: ServingResult) -> int:
        claim = (result.model_name, result.model_version, result.model_sha256)
        number = good.get(claim, NEVER_ADMITTED)
        if number == math.floor(result.number):
            return number
        never_admitted[f"{claim[0]} {claim[1]} answering {result.number:.0f}"] += 1
        return NEVER_ADMITTED

    records = account(bootstrap_servers, topics, number_of)
    bad = sum(bool(model.fault) for model in published)
    rejected_models = Counter(
        Rejected.FromString(message.value()).position.offset
        for message in committed(bootstrap_servers, (topics.rejected_models,), bad)
    )
    return Reading(records, never_admitted, rejected_models)


def wrong(reading: Reading, published: Sequence[Published]) -> list[str]:
    """What must not be, in words: a record not scored once, a score of no admitted model, a model judged wrongly."""
    found = []
    if reading.account.unscored:
        reasons = dict(reading.account.rejected) or "no reason"
        found.append(f"{reading.account.unscored} records unscored ({reasons})")
    if reading.account.doubled:
        found.append(f"{reading.account.doubled} results too many")
    if reading.never_admitted:
        claims = ", ".join(f"{count} of {claim}" for claim, count in reading.never_admitted.most_common(5))
        found.append(f"{reading.never_admitted.total()} scores by models that were never admitted ({claims}, …)")
    for model in published:
        times, due = reading.rejected_models[model.offset], int(bool(model.fault))
        if times != due:
            found.append(f"version {model.number} ({model.fault or 'good'}) rejected {times} times")
    return found

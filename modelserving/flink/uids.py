"""Operator uids: what maps a savepoint's state to today's operators.

Operators planned from SQL have no uid, and the generated ones count operators: one more in the job shifts them and a
savepoint no longer fits. Each gets a uid named by the table or operator that it belongs to, and its role there.
"""

from __future__ import annotations

import re
from typing import Any

# Edges of the graph, not operators.
_VIRTUAL = {"PartitionTransformation", "SideOutputTransformation", "UnionTransformation"}
_PLAN_COUNTER = re.compile(r"\[\d+\]")


def set_uids(transformations: Any, after_union: str = "union") -> None:
    """Give every transformation reachable from `transformations` (a Java list) a uid, where none is set.

    Args:
        transformations: what is set already stays, so a branch can be named apart, before all others.
        after_union: the owner of what follows a union.

    Raises:
        ValueError: two operators would get the same uid.
    """
    taken: set[str] = set()
    labels: dict[int, tuple[str, str]] = {}
    for transformation in _inputs_first(transformations):
        inputs = [labels[parent.getId()] for parent in transformation.getInputs()]
        kind = transformation.getClass().getSimpleName()
        if kind in _VIRTUAL:
            # What follows a union belongs to none of its inputs: those may change, its state must not.
            labels[transformation.getId()] = (after_union, "out") if kind == "UnionTransformation" else inputs[0]
            continue
        uid = transformation.getUid()
        if uid is None:
            role = _role(transformation.getName())
            owner, previous = inputs[0] if inputs else (role, "")
            uid = f"{owner}/{previous}-{role}" if inputs else role
            transformation.setUid(uid)
            labels[transformation.getId()] = (owner, role)
        else:
            labels[transformation.getId()] = (uid, "out")
        if uid in taken:
            raise ValueError(f"two operators have the uid {uid!r}; name one of them")
        taken.add(uid)


def _role(name: str) -> str:
    """`KafkaSource-default_catalog.default_database.record_log` → `record_log`; `Calc[2]` → `calc`."""
    return _PLAN_COUNTER.sub("", name).rsplit(".", 1)[-1].replace(" ", "-").lower()


def _inputs_first(transformations: Any) -> list[Any]:
    ordered: dict[int, Any] = {}

    def visit(transformation: Any) -> None:
        if transformation.getId() not in ordered:
            for parent in transformation.getInputs():
                visit(parent)
            ordered[transformation.getId()] = transformation

    for transformation in transformations:
        visit(transformation)
    return list(ordered.values())

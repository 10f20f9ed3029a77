"""What life-cycle events tell of one data type: the versions seen, and which one each instance serves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from modelserving.query.messages import LONGEST_DETAIL, kind_name, reason_name
from modelserving.wire.serving_pb2 import EventKind, ModelEvent

MOST_VERSIONS = 256
"""Of a data type; those that changed longest ago are forgotten, unless they serve. Admission remembers as many."""
MOST_RECEIVED = 256

_ADMISSIONS = (EventKind.RECEIVED, EventKind.REJECTED, EventKind.SCHEDULED, EventKind.ADMITTED)
_OF_VERSIONS = (*_ADMISSIONS, EventKind.LOADING, EventKind.LOAD_FAILED, EventKind.SERVING, EventKind.REPLACED)
_ENGINE = "evaluated by "

VersionKey = tuple[str, str, str]
"""Name, version and sha256."""


@dataclass(slots=True)
class Version:
    """What is known of a version; times are epoch milliseconds."""

    key: VersionKey
    state: str = ""
    state_at_ms: int = 0
    received_ms: int | None = None
    admitted_ms: int | None = None
    retired_ms: int | None = None
    reason: str = ""
    detail: str = ""
    engine: str = ""
    offset: int | None = None
    """Of its message on the model log."""


@dataclass(frozen=True, slots=True)
class Served:
    """What an instance serves."""

    key: VersionKey
    since_ms: int
    told_ms: int
    """When the instance said so last: at each start."""


class DataTypeModels:
    """The versions of one data type.

    Args:
        is_there: tells of an instance that was heard of then whether it is one of those that run.
    """

    def __init__(self, data_type: str, is_there: Callable[[str, int], bool]) -> None:
        self.data_type = data_type
        self._is_there = is_there
        self._served: dict[tuple[str, str], Served] = {}
        """By instance, also by such as have gone. A lane serves several models: there also by name."""
        self.rejected: Counter[str] = Counter()
        """By reason; also such as named no version."""
        self._versions: dict[VersionKey, Version] = {}
        self._received: dict[int, int] = {}
        """Offset → when a message arrived that did not say what bytes it has; admission completes it later."""

    @property
    def served(self) -> Iterator[tuple[str, Served]]:
        """Instances, also such as have gone, and what they serve."""
        return ((instance, served) for (instance, _), served in self._served.items())

    def apply(self, event: ModelEvent) -> None:
        """Take in an event. Events of several instances may come in another order than they happened in."""
        if event.kind == EventKind.REJECTED:
            self.rejected[reason_name(event.reason)] += 1
        if event.kind == EventKind.RETIRED:
            for version in self._retired(event):
                version.retired_ms = max(version.retired_ms or 0, event.at_ms)
                _set_state(version, event)
        elif event.kind == EventKind.RECEIVED and not event.model_sha256:
            _put_bounded(self._received, event.position.offset, event.at_ms, MOST_RECEIVED)
        elif event.kind in _OF_VERSIONS and event.model_name:
            self._apply_to_version(event)
            self._apply_to_instance(event)
            self._forget_old()

    def plain(self) -> dict[str, Any]:
        """The JSON form."""
        served = sorted(self.served, key=_by_number)
        serving = [(name, each) for name, each in served if self._is_there(name, each.told_ms)]
        versions = sorted(self._versions.values(), key=lambda version: (version.offset or -1, version.key))
        return {
            "data_type": self.data_type,
            "serving": [
                {"instance": name, **_named(served.key), "since_ms": served.since_ms} for name, served in serving
            ],
            "versions": [_plain(version, serving) for version in reversed(versions)],
        }

    def _retired(self, event: ModelEvent) -> list[Version]:
        """What a retirement is about: it may leave out the version, or say it without the sha256."""
        asked = (event.model_name, event.model_version, event.model_sha256)
        return [
            version
            for version in self._versions.values()
            if all(wanted in ("", has) for wanted, has in zip(asked, version.key, strict=True))
            and version.state != kind_name(EventKind.REJECTED)
        ]

    def _apply_to_version(self, event: ModelEvent) -> None:
        key = (event.model_name, event.model_version, event.model_sha256)
        version = self._versions.setdefault(key, Version(key))
        offset = event.position.offset
        if event.kind == EventKind.RECEIVED:
            version.received_ms = event.at_ms
        elif event.kind in _ADMISSIONS:
            version.received_ms = self._received.pop(offset, version.received_ms)
        if event.kind == EventKind.ADMITTED:
            version.admitted_ms = event.at_ms
        # A scheduled version is admitted at the offset that was judged last by then.
        if event.kind != EventKind.ADMITTED or version.offset is None:
            version.offset = offset
        # A version that serves may be sent again, and nothing follows.
        if event.kind != EventKind.RECEIVED or all(served.key != key for _, served in self.served):
            _set_state(version, event)
        if event.kind == EventKind.SERVING and event.detail.startswith(_ENGINE):
            version.engine = event.detail.removeprefix(_ENGINE).partition(":")[0][:LONGEST_DETAIL]

    def _apply_to_instance(self, event: ModelEvent) -> None:
        key = (event.model_name, event.model_version, event.model_sha256)
        place = event.instance, event.model_name if _lane(event.instance) else ""
        served = self._served.get(place)
        if served is not None and event.at_ms < served.told_ms:
            return
        if event.kind == EventKind.SERVING:
            # After a restart of the job it is told again, and serves since then all the same.
            again = served is not None and served.key == key and self._is_there(event.instance, served.told_ms)
            since_ms = served.since_ms if served is not None and again else event.at_ms
            self._served[place] = Served(key, since_ms, event.at_ms)
            if place[1]:
                self._leave_other_lanes(event)
        elif event.kind == EventKind.REPLACED and served is not None and served.key == key:
            del self._served[place]

    def _leave_other_lanes(self, event: ModelEvent) -> None:
        """A model runs in one lane; a job that came back with fewer of them says nothing of those that it had."""
        for (instance, name), served in list(self._served.items()):
            elsewhere = name == event.model_name and _lane(instance) != _lane(event.instance)
            if elsewhere and served.since_ms <= event.at_ms:
                del self._served[instance, name]

    def _forget_old(self) -> None:
        if len(self._versions) > MOST_VERSIONS:
            serving = {served.key for _, served in self.served}
            idle = [version for version in self._versions.values() if version.key not in serving]
            if idle:
                del self._versions[min(idle, key=lambda version: version.state_at_ms).key]


def _set_state(version: Version, event: ModelEvent) -> None:
    if event.at_ms >= version.state_at_ms:
        version.state, version.state_at_ms = kind_name(event.kind), event.at_ms
        version.reason, version.detail = reason_name(event.reason), event.detail[:LONGEST_DETAIL]


def _state(version: Version) -> dict[str, Any]:
    """Instances drop a retired version after it was retired, and say that it was replaced."""
    retired_ms = version.retired_ms or 0
    if version.state == kind_name(EventKind.REPLACED) and retired_ms > (version.admitted_ms or 0):
        return {"state": kind_name(EventKind.RETIRED), "state_at_ms": retired_ms}
    return {"state": version.state, "state_at_ms": version.state_at_ms}


def _named(key: VersionKey) -> dict[str, str]:
    return dict(zip(("name", "version", "sha256"), key, strict=True))


def _plain(version: Version, serving: Sequence[tuple[str, Served]]) -> dict[str, Any]:
    by = {name: served.since_ms for name, served in serving if served.key == version.key}
    return {
        **_named(version.key),
        **_state(version),
        "received_ms": version.received_ms,
        "admitted_ms": version.admitted_ms,
        "serving_since_ms": min(by.values(), default=None),
        "reason": version.reason,
        "detail": version.detail,
        "engine": version.engine,
        "instances": list(by),
        "model_log_offset": version.offset,
    }


def _lane(instance: str) -> str:
    """The lane of speculative serving that an instance is of; empty: it is of none."""
    return instance.rpartition(" ")[0] if instance.startswith("lane-") else ""


def _by_number(item: tuple[str, Served]) -> tuple[int, str]:
    """`join 2/12` before `join 10/12`."""
    return len(item[0]), item[0]


def _put_bounded(entries: dict[int, int], key: int, value: int, most: int) -> None:
    entries[key] = value
    if len(entries) > most:
        del entries[next(iter(entries))]

"""What is answered to each question, as bytes: made once for each change of the view, for all who ask."""

from __future__ import annotations

from collections.abc import Callable

from modelserving.query.encoding import GREATEST, array, encode, mapping
from modelserving.query.history import SPAN_MS, Point
from modelserving.query.metrics import Metrics
from modelserving.query.problems import Refused
from modelserving.query.service import Service

_MOST_KEPT = 100
"""Answers; how many questions there are, those who ask decide."""


class Answers:
    """The answers of a service.

    Args:
        clock_ms: epoch milliseconds.
    """

    def __init__(self, service: Service, clock_ms: Callable[[], int]) -> None:
        self._service = service
        self._clock_ms = clock_ms
        self._stamp = (0, 0)
        self._made: dict[tuple[object, ...], bytes] = {}
        self._metrics = Metrics(service, clock_ms)

    def stats(self, data_type: str | None) -> bytes:
        """The statistics of each data type's versions that serve or were told of last; or of all versions of one."""

        def make() -> bytes:
            view = self._service.view
            return mapping(
                at_ms=encode(self._clock_ms()),
                stats=array(view.stats_of_late() if data_type is None else view.stats.encoded_of(data_type)),
                totals=array(view.stats.totals() if data_type is None else [view.stats.totals_of(data_type)]),
            )

        return self._once(make, "all stats", data_type)

    def stats_of(self, data_type: str, model: str) -> bytes:
        """Those of a model.

        Raises:
            Refused: there are none.
        """

        def make() -> bytes:
            found = self._service.view.stats.of_model(data_type, model)
            if found is None:
                raise Refused(404, f"no model {model!r} of data type {data_type!r} is known", "see /api/stats")
            return found

        return self._once(make, "stats", data_type, model)

    def models(self) -> bytes:
        """The repository."""
        return self._once(lambda: mapping(data_types=array(self._service.view.models.all_encoded())), "models")

    def models_of(self, data_type: str) -> bytes:
        """A data type of it.

        Raises:
            Refused: there is none of that name.
        """
        found = self._service.view.models.encoded(data_type)
        if found is None:
            raise Refused(404, f"no data type {data_type!r} is known", "see /api/models")
        return found

    def policies(self) -> bytes:
        """What each data type's policy has decided."""
        policies = self._service.view.policies
        return self._once(
            lambda: mapping(at_ms=encode(self._clock_ms()), policies=array(policies.encoded())), "policies"
        )

    def policies_of(self, data_type: str) -> bytes:
        """The same of one.

        Raises:
            Refused: it has none.
        """
        found = self._service.view.policies.of(data_type)
        if found is None:
            raise Refused(404, f"no policy of data type {data_type!r} is known", "see /api/policies")
        return found

    def history(self, data_type: str, *, limit: int) -> bytes:
        """Rates and latencies of the last ten minutes, of at most `limit` versions and of the policy.

        Raises:
            Refused: there is no data type of that name.
        """
        view = self._service.view
        if (
            data_type not in view.stats
            and view.policies.of(data_type) is None
            and view.models.encoded(data_type) is None
        ):
            raise Refused(404, f"no data type {data_type!r} is known", "see /api/models and /api/stats")

        def make() -> bytes:
            now_ms = self._clock_ms()
            of_versions = view.stats.history.of(data_type, now_ms - SPAN_MS)
            of_policy = view.policies.history.of(data_type, now_ms - SPAN_MS)
            versions = [
                {
                    **dict(zip(("name", "model_version", "model_sha256"), version, strict=True)),
                    "points": _points(points, "served", "rejected"),
                }
                for (_, *version), points in of_versions[:limit]
            ]
            decisions = [point for _, points in of_policy for point in _points(points, "decided", "at_deadline")]
            return encode({"at_ms": now_ms, "data_type": data_type, "versions": versions, "decisions": decisions})

        return self._once(make, "history", data_type, limit)

    def events(self, limit: int, data_type: str | None) -> bytes:
        """The newest events."""
        view = self._service.view
        return self._once(lambda: mapping(events=array(view.events(limit, data_type))), "events", limit, data_type)

    def rejected(self, limit: int, data_type: str | None) -> bytes:
        """What was turned away: totals, and a sample."""
        view = self._service.view

        def make() -> bytes:
            models = view.rejected_models if data_type is None else view.models.rejected(data_type)
            return mapping(
                records=_counted(view.stats.rejected(data_type)),
                models=_counted(dict(sorted(models.items()))),
                sample=array(view.rejections.newest(limit, data_type)),
            )

        return self._once(make, "rejected", limit, data_type)

    async def results(self, limit: int) -> bytes:
        """A sample of the newest results."""
        return mapping(results=array(await self._service.results.newest(limit)))

    async def metrics(self) -> bytes:
        """All figures, for Prometheus."""
        return await self._metrics.text()

    def _once(self, make: Callable[[], bytes], *question: object) -> bytes:
        """The answer to a question: not made again while nothing changes, but for the time that it tells."""
        stamp = (self._service.view.revision, self._clock_ms() // 1000)
        if stamp != self._stamp or len(self._made) >= _MOST_KEPT:
            self._stamp, self._made = stamp, {}
        if question not in self._made:
            self._made[question] = make()
        return self._made[question]


def _counted(by_reason: dict[str, int]) -> bytes:
    return encode({"total": min(sum(by_reason.values()), GREATEST), "by_reason": by_reason})


def _points(points: list[Point], *counts: str) -> list[dict[str, float]]:
    names = ("updated_ms", "seconds", *counts, "p50", "p99")
    return [dict(zip(names, point, strict=True)) for point in points]

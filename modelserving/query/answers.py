"""What is answered to each question, as bytes: made once for each change of the view, for all who ask."""

from __future__ import annotations

from collections.abc import Callable

from modelserving.query.encoding import GREATEST, array, encode, mapping
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

    def stats(self) -> bytes:
        """All statistics."""
        return self._once(
            lambda: mapping(at_ms=encode(self._clock_ms()), stats=array(self._service.view.stats.encoded())), "stats"
        )

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

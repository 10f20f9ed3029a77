"""How the service says no: JSON with what is wrong and what helps."""

from __future__ import annotations

import math
from collections.abc import Mapping

from starlette.responses import Response

from modelserving.query.encoding import encode

JSON = "application/json"


class Refused(Exception):  # noqa: N818 - an answer, not an error of the service
    """A request that is answered with a problem.

    Attributes:
        status: of the answer.
        error: what is wrong.
        remedy: what helps.
        retry_after_s: when to ask again; None if that would not help.
    """

    def __init__(self, status: int, error: str, remedy: str, retry_after_s: float | None = None) -> None:
        super().__init__(status, error, remedy, retry_after_s)
        self.status = status
        self.error = error
        self.remedy = remedy
        self.retry_after_s = retry_after_s


def problem(
    status: int,
    error: str,
    remedy: str,
    retry_after_s: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer with a problem."""
    named = dict(headers or {})
    if retry_after_s is not None:
        named["Retry-After"] = str(max(1, math.ceil(retry_after_s)))
    return Response(encode({"error": error, "remedy": remedy}), status, named, JSON)

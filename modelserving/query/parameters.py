"""What a request asks for: names in its path, and query parameters, those that are known, each once, within limits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from urllib.parse import unquote

from starlette.requests import Request

from modelserving.query.problems import Refused

DEFAULT_LIMIT = 100
MOST = 500
LONGEST_NAME = 256
"""Characters of a data type or model that can be asked for."""

_LIMIT = re.compile(r"[1-9][0-9]{0,2}")


def check(request: Request, known: Collection[str]) -> None:
    """Refuse parameters that are not `known`, and such as are there twice.

    Raises:
        Refused: there is one.
    """
    for name, count in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known:
            what = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise Refused(400, f"there is no query parameter {name[:LONGEST_NAME]!r} here", what)
        if count > 1:
            raise Refused(400, f"query parameter {name!r} is there {count} times", "give it once")


def names_of(request: Request, count: int) -> list[str]:
    """The names at the end of a path `/api/QUESTION/NAME/…`.

    A slash in a name is percent-encoded, but for the last name, which is all that is left. Routes know only the decoded
    path, where both look the same.

    Raises:
        Refused: there are fewer.
    """
    names = request.scope["raw_path"].decode("latin-1").split("/", 2 + count)[3:]
    if len(names) < count:
        raise Refused(404, f"the path has {len(names)} of {count} names", "/openapi.json tells what there is")
    return [unquote(name) for name in names]


def limit_of(request: Request) -> int:
    """The parameter `limit`.

    Raises:
        Refused: it is no number from 1 to `MOST`.
    """
    text = request.query_params.get("limit", str(DEFAULT_LIMIT))
    if not _LIMIT.fullmatch(text) or int(text) > MOST:
        raise Refused(400, "`limit` is no number of elements that can be had", f"give one from 1 to {MOST}")
    return int(text)


def data_type_of(request: Request) -> str | None:
    """The parameter `data_type`; None if it is not there.

    Raises:
        Refused: it is too long.
    """
    text: str | None = request.query_params.get("data_type")
    if text is not None and len(text) > LONGEST_NAME:
        raise Refused(400, f"`data_type` has more than {LONGEST_NAME} characters", "give the name of a data type")
    return text

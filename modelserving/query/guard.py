"""What stands before every request: who may ask, how much, how often; and the headers of every answer."""

from __future__ import annotations

import ipaddress
import secrets
from urllib.parse import urlsplit

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from modelserving.query.problems import problem
from modelserving.query.rate import Rate

MOST_TARGET_BYTES = 8192
"""Of path and query."""

_GUARDED = ("/api/", "/metrics")
"""What needs the token. The page needs none: it holds no data, and asks for the token itself."""

_SECURITY_HEADERS = [
    (b"content-security-policy", b"default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
_NOT_STORED = (b"cache-control", b"no-store")
_CACHED = (b"cache-control", b"no-cache")
"""May be kept, but asked for again."""


class Guard:
    """The application `app` behind limits.

    Args:
        token: what clients must show; None if anybody on this machine may ask.
    """

    def __init__(self, app: ASGIApp, token: str | None, rate: Rate) -> None:
        self._app = app
        self._token = token
        self._rate = rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_page = scope["path"] == "/" or scope["path"].startswith("/static/")
        added = [*_SECURITY_HEADERS, _CACHED if is_page else _NOT_STORED]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), *added]}
            await send(message)

        await (self._refusal(scope) or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = dict(scope["headers"])
        if headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers:
            # Nobody waits for the rest of it.
            close = {"Connection": "close"}
            return problem(413, "the service only reads and takes no request body", "send none", headers=close)
        wait_s = self._rate.take(scope["client"][0] if scope.get("client") else "")
        if wait_s:
            return problem(429, "too many requests from this address", "ask less often", wait_s)
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MOST_TARGET_BYTES:
            return problem(414, f"path and query are longer than {MOST_TARGET_BYTES} bytes", "ask for less at once")
        if self._token is None:
            return _foreign_host(headers.get(b"host", b""))
        if scope["path"].startswith(_GUARDED) and not self._shows_token(headers.get(b"authorization", b"")):
            return problem(
                401,
                "this address needs the token that the service was started with",
                "send the header `Authorization: Bearer TOKEN`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return None

    def _shows_token(self, authorization: bytes) -> bool:
        kind, _, shown = authorization.partition(b" ")
        wanted = (self._token or "").encode()
        return kind.lower() == b"bearer" and secrets.compare_digest(shown.strip(), wanted)


def _foreign_host(host: bytes) -> Response | None:
    """Without a token, only names of this machine are answered to.

    Else a web page of another site could ask: its name may be made to lead to this machine, and the browser would let
    it read the answers.
    """
    if not host:
        return None
    try:
        name = urlsplit(f"//{host.decode('latin-1')}").hostname or ""
        local = name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        local = False
    if local:
        return None
    return problem(
        403, "without a token the service answers to localhost only", "ask for localhost, or start it with a token"
    )

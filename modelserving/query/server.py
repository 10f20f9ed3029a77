"""The service as a server: its socket, its token, and its end."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path

import uvicorn

from modelserving.errors import ConfigurationError
from modelserving.query.guard import Guard
from modelserving.query.protocol import LimitedProtocol
from modelserving.query.stream import Hub

TOKEN_VARIABLE = "MODELSERVING_QUERY_TOKEN"  # noqa: S105 - a name
MOST_CONNECTIONS = 1000
_TOKEN = re.compile(r"[\x21-\x7e]{16,500}")
_BACKLOG = 512
_END_LIMIT_S = 3


def read_token(file: Path | None, environment: Mapping[str, str] = os.environ) -> str | None:
    """The token of `file`, or of the environment; None if there is none.

    Raises:
        ConfigurationError: the file cannot be read, or what is there is no good token.
    """
    if file is None:
        token, where = environment.get(TOKEN_VARIABLE), f"environment variable {TOKEN_VARIABLE}"
        if not token:
            return None
    else:
        where = str(file)
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"token file {file} cannot be read: {error}") from error
    if not _TOKEN.fullmatch(token):
        raise ConfigurationError(
            f"the token of {where} must be 16 to 500 printable ASCII characters without blanks: "
            "`openssl rand -hex 32` makes one"
        )
    return token


def need_token(host: str, token: str | None) -> None:
    """Refuse to be asked from other machines without a token.

    Raises:
        ConfigurationError: `host` can be reached from elsewhere, and there is no token.
    """
    if token is None and not is_loopback(host):
        raise ConfigurationError(
            f"{host} can be reached from other machines: give a token with --token-file or {TOKEN_VARIABLE}, "
            "or bind to 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on.

    Args:
        port: 0 for a free one.

    Raises:
        ConfigurationError: there is no such address, or the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{host} port {port} cannot be used: {error}; choose another with --port") from error
    # Connections have it from here. Head and body are sent one after the other, and the kernel would keep the second
    # until the client acknowledges the first, which it does 40 ms later.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def url_of(listening: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"


class Server(uvicorn.Server):
    """Serves until a signal comes."""

    def __init__(self, app: Guard, hub: Hub) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="error",
                access_log=False,
                http=LimitedProtocol,
                ws="none",
                lifespan="on",
                # The limit on rates goes by address: nobody may choose it with a header.
                proxy_headers=False,
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=_END_LIMIT_S,
            )
        )
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End in good order. Streams would go on for ever."""
        self._hub.close()
        await super().shutdown(sockets)

"""Models in stores elsewhere, through fsspec: buckets and web servers.

Each scheme has its file system, made here and not looked up by name, so that no other protocol comes in. Credentials
and endpoints of buckets come from the environment, as their clients read it.
"""

from __future__ import annotations

import io
import ipaddress
import time
import warnings
from collections.abc import Mapping
from typing import Any

import aiohttp
from aiohttp.abc import ResolveResult
from fsspec.callbacks import Callback
from fsspec.implementations.http import HTTPFileSystem

from modelserving.errors import ModelRejected
from modelserving.locations import Location
from modelserving.wire.serving_pb2 import Reason

CONNECT_LIMIT_S = 5.0
READ_LIMIT_S = 15.0
"""Between two pieces of an answer."""
ANSWER_LIMIT_S = 300.0
"""For a whole answer of a web server."""

WAITS_S = (0.5, 2.0)
"""Before each further try, when a web server is out of order for the moment."""
_PASSING_STATUS = (408, 429, 500, 502, 503, 504)


def read(place: Location, limit: int) -> bytes:
    """Read the object at `place`, which is allowed, once.

    Raises:
        ModelRejected: OVERSIZE: more than `limit` bytes; LOCATION: a folder, or replaced meanwhile.
        Exception: whatever its client raises if it cannot be read.
    """
    return _read_web(place.url, limit) if place.scheme in ("http", "https") else _read_object(place, limit)


def write(place: Location, data: bytes) -> None:
    """Write an object into a bucket, whole or not at all; one of this size that is there already is left alone.

    Raises:
        Exception: whatever its client raises if it cannot be written.
    """
    system = _bucket_system(place.scheme)
    try:
        if system.info(place.key)["size"] == len(data):
            return
    except FileNotFoundError:
        pass
    # one request where the client would else send parts
    system.pipe_file(place.key, data, chunksize=len(data) + 1)


def _read_object(place: Location, limit: int) -> bytes:
    system = _bucket_system(place.scheme)
    info = system.info(place.key)
    if info["type"] != "file":
        raise ModelRejected(Reason.LOCATION, f"{place.url} is a folder; put it there as an archive, zip or tar")
    size = info["size"]
    _check_size(size, limit)
    # no more than was announced, even if another object has come in its place
    data: bytes = system.cat_file(place.key, start=0, end=size) if size else b""
    if len(data) != size or _mark(system.info(place.key)) != _mark(info):
        raise ModelRejected(Reason.LOCATION, f"{place.url} was replaced while it was read; publish it again")
    return data


def _mark(info: Mapping[str, Any]) -> tuple[object, ...]:
    """What differs between an object and another in its place."""
    return info["size"], info.get("ETag"), info.get("generation")


def _bucket_system(scheme: str) -> Any:
    own = {"skip_instance_cache": True, "use_listings_cache": False}
    if scheme == "s3":
        from s3fs import S3FileSystem  # noqa: PLC0415 - heavy

        limits = {"connect_timeout": CONNECT_LIMIT_S, "read_timeout": READ_LIMIT_S}
        system = S3FileSystem(config_kwargs={**limits, "retries": {"max_attempts": len(WAITS_S)}}, **own)
        system.retries = 2  # on top of its client's, of an answer that was cut off
        return system
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of Google's libraries: pinned versions grow old
        from gcsfs.core import GCSFileSystem  # noqa: PLC0415 - heavy

    return GCSFileSystem(requests_timeout=_limits(), **own)


def _read_web(url: str, limit: int) -> bytes:
    waits = iter(WAITS_S)
    while True:
        sink = _Sink(limit)
        system = HTTPFileSystem(
            get_client=_client, encoded=True, allow_redirects=False, skip_instance_cache=True, use_listings_cache=False
        )
        try:
            system.get_file(url, sink, callback=_Announced(limit))
        except aiohttp.ClientError as error:
            wait_s = next(waits, None)
            if wait_s is None or not _may_pass(error):
                raise
            time.sleep(wait_s)
        else:
            return sink.getvalue()


def _may_pass(error: aiohttp.ClientError) -> bool:
    if isinstance(error, aiohttp.ClientResponseError):
        return error.status in _PASSING_STATUS
    broken = isinstance(error, aiohttp.ClientConnectionError | aiohttp.ClientPayloadError)
    return broken and not isinstance(error, TimeoutError)


async def _client(**kwargs: Any) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=_Resolver()),
        timeout=_limits(),
        raise_for_status=_only_ok,
        headers={"Accept-Encoding": "identity"},  # the model's bytes as they are
        **kwargs,
    )


def _limits() -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=ANSWER_LIMIT_S, sock_connect=CONNECT_LIMIT_S, sock_read=READ_LIMIT_S)


async def _only_ok(response: aiohttp.ClientResponse) -> None:
    if response.status != 200:
        hint = "; redirects are not followed" if 300 <= response.status < 400 else ""
        raise aiohttp.ClientResponseError(
            response.request_info, (), status=response.status, message=f"{response.reason}{hint}"
        )


class _Resolver(aiohttp.ThreadedResolver):
    """Refuses a host name that stands for an address which only a root may name itself.

    A private address is no such: a root names its host, and stores are in private networks. But a name never stands
    for a cloud's metadata service or, unless it is localhost, for this machine. Addresses in URLs are not resolved.
    """

    async def resolve(self, host: str, *args: Any, **kwargs: Any) -> list[ResolveResult]:
        found = await super().resolve(host, *args, **kwargs)
        for each in found:
            address = ipaddress.ip_address(each["host"].partition("%")[0])
            own = getattr(address, "ipv4_mapped", None) or address
            if own.is_link_local or own.is_unspecified or own.is_multicast or (own.is_loopback and host != "localhost"):
                raise ModelRejected(
                    Reason.LOCATION, f"host {host!r} stands for {address}; name the address in the model root"
                )
        return found


class _Announced(Callback):  # type: ignore[misc]
    """Refuses an answer that announces too many bytes, before they are read."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def set_size(self, size: int | None) -> None:
        _check_size(size or 0, self._limit)


class _Sink(io.BytesIO):
    """Takes at most so many bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, chunk: Any, /) -> int:
        _check_size(self.tell() + len(chunk), self._limit)
        return super().write(chunk)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise ModelRejected(Reason.OVERSIZE, f"the model has {size} bytes or more; at most {limit} can be served")

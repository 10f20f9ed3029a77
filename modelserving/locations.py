"""Models by location: which locations a job may read, and reading one, once.

A location is an absolute path, or a URL of the schemes below, percent-encoded like any URL. The job's model roots are
locations too; what does not lie below one of them is not touched. Paths are compared component by component, after
decoding; for files also after all links. The libraries for remote schemes are imported when a location needs them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from modelserving import archive
from modelserving.errors import ConfigurationError, ModelRejected
from modelserving.wire.serving_pb2 import Reason

MAX_MODEL_BYTES = 256 * 1024 * 1024
"""Of a model by location: its bytes travel on in a message and are kept in the job's state."""

MAX_LOCATION_CHARACTERS = 4096

_BUCKET_SCHEMES = ("s3", "gs")
_WEB_PORTS = {"http": 80, "https": 443}
SCHEMES = ("file", *_BUCKET_SCHEMES, *_WEB_PORTS)

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
_IPV6_HOST = re.compile(r"(?<=://)\[[^\]/]*\]")

_LONGEST_QUOTE = 200
"""Characters of a location in a message about it."""


@dataclass(frozen=True, slots=True)
class Location:
    """A file, a folder or an object, or what lies below one.

    Attributes:
        scheme: one of `SCHEMES`.
        authority: bucket, or host and port; empty for files.
        parts: decoded components of the path; of a file, after all links.
    """

    scheme: str
    authority: str
    parts: tuple[str, ...]

    def contains(self, other: Location) -> bool:
        """Whether `other` is this location or lies below it."""
        return (self.scheme, self.authority, self.parts) == (
            other.scheme,
            other.authority,
            other.parts[: len(self.parts)],
        )

    def below(self, *parts: str) -> Location:
        """The location with further components."""
        return Location(self.scheme, self.authority, self.parts + parts)

    @property
    def path(self) -> Path:
        """Of a file or folder on this machine."""
        return Path("/", *self.parts)

    @property
    def key(self) -> str:
        """Bucket and key of an object, as the clients of object stores take them."""
        return "/".join((self.authority, *self.parts))

    @property
    def url(self) -> str:
        """The location as a URL, percent-encoded."""
        return f"{self.scheme}://{self.authority}/{'/'.join(quote(part, safe='') for part in self.parts)}"


@dataclass(frozen=True, slots=True)
class ModelSources:
    """Where models may come from: below these roots; by default models must carry their bytes."""

    roots: tuple[Location, ...] = ()


def parse(text: str) -> Location:
    """Parse an absolute path or a URL, without asking anyone but this machine's file system.

    Raises:
        ValueError: it is none that could be allowed; the message says why.
    """
    if len(text) > MAX_LOCATION_CHARACTERS:
        raise ValueError(f"it has {len(text)} characters; at most {MAX_LOCATION_CHARACTERS} are allowed")
    if not text.isprintable():
        raise ValueError("it has a control character in it")
    if "::" in _IPV6_HOST.sub("", text):
        raise ValueError("chained locations are not allowed")
    if text.startswith("/"):
        return _parse_path(text)
    url = urlsplit(text)
    if url.scheme not in SCHEMES or not text.partition(":")[2].startswith("//"):
        raise ValueError(f"it is neither an absolute path nor a URL of {', '.join(SCHEMES)}")
    if url.query or url.fragment or "?" in text or "#" in text:
        raise ValueError("a query or fragment is not allowed; in a name write %3F for '?' and %23 for '#'")
    if url.scheme == "file":
        if url.netloc not in ("", "localhost"):
            raise ValueError("a file's URL names no host")
        return _parse_path(unquote(url.path, errors="strict"))
    authority = _bucket(url.netloc) if url.scheme in _BUCKET_SCHEMES else _host(text)
    return Location(url.scheme, authority, _parts(url.path, url.scheme))


def _parse_path(text: str) -> Location:
    if not text.startswith("/"):
        raise ValueError("its path is not absolute")
    try:
        return Location("file", "", Path(text).resolve(strict=True).parts[1:])
    except OSError as error:
        raise ValueError(f"it cannot be resolved: {error.strerror}") from error
    except RuntimeError as error:  # links that go round in a circle
        raise ValueError(f"it cannot be resolved: {error}") from error


def _bucket(text: str) -> str:
    if not _BUCKET.fullmatch(text):
        raise ValueError(f"it names no bucket: {text!r}")
    return text


def _host(text: str) -> str:
    url = urlsplit(text)
    if not url.hostname or "@" in url.netloc:
        raise ValueError("it must name a host, without user or password")
    host = f"[{url.hostname}]" if ":" in url.hostname else url.hostname
    return f"{host}:{_WEB_PORTS[url.scheme] if url.port is None else url.port}"


def _parts(path: str, scheme: str) -> tuple[str, ...]:
    """The components of a URL's path. Steps up or aside are refused, not walked: stores differ in what they mean."""
    decoded = unquote(path, errors="strict").removeprefix("/").removesuffix("/")
    seen = decoded
    while scheme in _WEB_PORTS and (again := unquote(seen)) != seen:
        seen = again  # a server behind a server may decode once more
    if decoded and any(part in ("", ".", "..") for part in (*decoded.split("/"), *seen.split("/"))):
        raise ValueError("its path has '.', '..' or nothing between two slashes")
    if "\\" in seen or not seen.isprintable():
        raise ValueError("its path has a backslash or a control character in it")
    return tuple(decoded.split("/")) if decoded else ()


def model_sources(texts: Sequence[str]) -> ModelSources:
    """The sources of models below these roots: folders and URLs.

    A folder may be given relative to the working folder.

    Raises:
        ConfigurationError: a root is none; the message names it and the remedy.
    """
    return ModelSources(tuple(parse_root(text) for text in texts))


def parse_root(text: str) -> Location:
    """Parse a folder, which may be a relative one, or a URL.

    Raises:
        ConfigurationError: it is no folder, bucket or host.
    """
    try:
        is_url = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text) is not None
        root = parse(text if is_url or not text else str(Path(text).absolute()))
        if root.scheme == "file" and not root.path.is_dir():
            raise ValueError("it is not a folder")
    except ValueError as error:
        raise ConfigurationError(
            f"{_quoted(text)} is no root of models: {error}; give a folder that exists, s3://BUCKET/PREFIX, "
            "gs://BUCKET/PREFIX or http(s)://HOST/PREFIX"
        ) from error
    return root


def read(location: str, sources: ModelSources) -> tuple[bytes, str]:
    """Read the model at `location`, once; a folder of files comes as a tar.

    Returns its bytes, at most `MAX_MODEL_BYTES`, and the hex sha256 of what was read: of the bytes, or of a folder as
    `archive.read_folder` tells.

    Raises:
        ModelRejected: LOCATION: not below one of the roots, or it cannot be read; OVERSIZE; what packing a folder
            raises.
    """
    try:
        place = parse(location)
    except ValueError as error:
        raise ModelRejected(Reason.LOCATION, f"location {_quoted(location)} is refused: {error}") from error
    if not any(root.contains(place) for root in sources.roots):
        raise ModelRejected(
            Reason.LOCATION, f"location {_quoted(location)} is below no model root; start the job with --model-root"
        )
    try:
        if place.scheme == "file" and place.path.is_dir():
            return archive.read_folder(place.path, MAX_MODEL_BYTES)
        data = _read(place)
    except ModelRejected:
        raise
    except Exception as error:  # each client has errors of its own
        raise ModelRejected(
            Reason.LOCATION, f"location {_quoted(location)} cannot be read: {type(error).__name__}: {error}"
        ) from error
    return data, hashlib.sha256(data).hexdigest()


def _read(place: Location) -> bytes:
    if place.scheme == "file":
        if not place.path.is_file():  # a pipe or a device
            raise ModelRejected(Reason.LOCATION, f"{_quoted(place.url)} is neither a file nor a folder")
        return archive.read_file(place.path, MAX_MODEL_BYTES)
    from modelserving import remote  # noqa: PLC0415 - heavy

    return remote.read(place, MAX_MODEL_BYTES)


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}…")

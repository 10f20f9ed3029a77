"""Archives of model folders: pack a folder, unpack an untrusted zip or tar, digest a folder.

Nothing in an archive is trusted: names that leave the folder, links and devices are refused as UNSAFE, and the
unpacked size is counted while unpacking, since what an archive's own headers say may be a lie.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from modelserving.errors import ModelRejected
from modelserving.wire.serving_pb2 import Reason

MAX_ENTRIES = 10_000
MAX_DEPTH = 64
"""Of folders in folders: what removes them again recurses."""
MAX_UNPACKED_BYTES = 2 * 1024**3
MAX_EXPANSION = 100
"""An archive may unpack to this many times its size, and to `EXPANSION_ALLOWANCE` bytes in any case."""
EXPANSION_ALLOWANCE = 1024**2

_CHUNK = 1024**2
_SHOWN_CHARACTERS = 100
_READ_ERRORS = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError)


def unpack(data: bytes, folder: Path) -> None:
    """Unpack a zip or a tar (plain, gzip, bzip2 or xz) into `folder`, which exists and is empty.

    Raises:
        ModelRejected: UNLOADABLE: not an archive, or a broken one; UNSAFE: a member that leaves the folder, or is
            neither a file nor a folder; OVERSIZE: more than `MAX_ENTRIES` members, deeper than `MAX_DEPTH`, or too
            large unpacked.
    """
    budget = _Budget(min(MAX_UNPACKED_BYTES, EXPANSION_ALLOWANCE + MAX_EXPANSION * len(data)))
    try:
        if zipfile.is_zipfile(io.BytesIO(data)):
            _unpack_zip(data, folder, budget)
        else:
            _unpack_tar(data, folder, budget)
    except (*_READ_ERRORS, RuntimeError, NotImplementedError, ValueError) as error:
        # RuntimeError and NotImplementedError: an encrypted member, an unknown compression
        raise ModelRejected(
            Reason.UNLOADABLE, f"not a readable zip or tar archive ({error}); publish the model's folder as one"
        ) from error


def pack_folder(folder: Path) -> bytes:
    """The folder's files as an uncompressed tar, the same bytes for the same files.

    Raises:
        ModelRejected: as `read_folder`.
    """
    return read_folder(folder)[0]


def read_folder(folder: Path, limit: int = MAX_UNPACKED_BYTES) -> tuple[bytes, str]:
    """Read the folder's files, each once: as `pack_folder` packs them, and the hex sha256 over what was read.

    The files count in the order of their relative POSIX paths. Each contributes its path in UTF-8, a NUL, its size in
    decimal digits, a NUL, and its bytes.

    Raises:
        ModelRejected: UNSAFE: a link or a device in the folder; OVERSIZE: too many files, or more than `limit` bytes.
        OSError: a file cannot be read.
    """
    stream = io.BytesIO()
    digest = hashlib.sha256()
    left = limit
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, path in _files(folder, limit):
            data = read_file(path, left)
            left -= len(data)
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue(), digest.hexdigest()


def read_file(path: Path, limit: int) -> bytes:
    """Read a plain file of at most `limit` bytes, whatever it has become since it was looked at.

    Raises:
        ModelRejected: OVERSIZE: more than `limit` bytes; UNSAFE: no plain file.
        OSError: it cannot be read.
    """
    # A pipe must not block the reader, and nothing is read through a link that has come in its place.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ModelRejected(Reason.UNSAFE, f"{path.name!r} is neither a file nor a folder")
        data = b"" if status.st_size > limit else file.read(limit + 1)
    size = max(len(data), status.st_size)
    if size > limit:
        raise ModelRejected(Reason.OVERSIZE, f"the model has {size} bytes or more; at most {limit} are allowed")
    return data


def _files(folder: Path, limit: int) -> list[tuple[str, Path]]:
    """Relative path and path of each regular file below `folder`, sorted."""
    files = []
    size = 0
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        if stat.S_ISDIR(mode):
            continue
        name = path.relative_to(folder).as_posix()
        if not stat.S_ISREG(mode):
            raise ModelRejected(Reason.UNSAFE, f"{name!r} is neither a file nor a folder; replace it by a plain file")
        files.append((name, path))
        size += path.stat().st_size
        if len(files) > MAX_ENTRIES or size > limit:
            raise ModelRejected(Reason.OVERSIZE, f"the folder holds more than {MAX_ENTRIES} files or {limit} bytes")
    return sorted(files)


class _Budget:
    """Counts entries and bytes, and refuses what is too much."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.entries = 0
        self.bytes = 0

    def entry(self) -> None:
        self.entries += 1
        if self.entries > MAX_ENTRIES:
            raise ModelRejected(Reason.OVERSIZE, f"the archive has more than {MAX_ENTRIES} entries")

    def add(self, count: int) -> None:
        self.bytes += count
        if self.bytes > self.limit:
            raise ModelRejected(Reason.OVERSIZE, f"the archive unpacks to more than {self.limit} bytes")


class _CountingReader(io.RawIOBase):
    """Reads a decompressed stream and counts what comes out of it against the budget."""

    def __init__(self, stream: IO[bytes], budget: _Budget) -> None:
        super().__init__()
        self._stream = stream
        self._budget = budget

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes."""
        chunk = self._stream.read(_CHUNK if size < 0 else min(size, _CHUNK))
        self._budget.add(len(chunk))
        return chunk


def _unpack_zip(data: bytes, folder: Path, budget: _Budget) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for member in archive.infolist():
            budget.entry()
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ModelRejected(Reason.UNSAFE, f"archive member {member.filename!r} is a link or a device")
            target = _target(folder, member.filename)
            if member.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            with archive.open(member) as source:
                _write(source, target, budget)


def _unpack_tar(data: bytes, folder: Path, budget: _Budget) -> None:
    stream = _CountingReader(_decompressed(data), budget)
    # a stream is read once, from front to back, so that nothing is decompressed uncounted
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            budget.entry()
            if not (member.isreg() or member.isdir()):
                raise ModelRejected(Reason.UNSAFE, f"archive member {member.name!r} is a link or a device")
            target = _target(folder, member.name)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            budget.add(member.size if member.issparse() else 0)
            source = archive.extractfile(member)
            if source is not None:
                _write(source, target, None)


def _decompressed(data: bytes) -> IO[bytes]:
    raw = io.BytesIO(data)
    if data.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)  # type: ignore[return-value]
    if data.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    if data.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(raw)
    return raw


def _target(folder: Path, name: str) -> Path:
    parts = PurePosixPath(name).parts
    if not parts and name:
        return folder  # "./", the first member of an archive made of a folder's content
    if not parts or name.startswith("/") or ".." in parts or any(mark in name for mark in ("\\", "\0", ":")):
        raise ModelRejected(Reason.UNSAFE, f"archive member {name!r} is not a plain relative path")
    if len(parts) > MAX_DEPTH:
        raise ModelRejected(
            Reason.OVERSIZE, f"archive member {name[:_SHOWN_CHARACTERS]!r}… is more than {MAX_DEPTH} folders deep"
        )
    return folder.joinpath(*parts)


def _write(source: IO[bytes], target: Path, budget: _Budget | None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as sink:
        while chunk := source.read(_CHUNK):
            if budget is not None:
                budget.add(len(chunk))
            sink.write(chunk)

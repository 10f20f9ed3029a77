"""Archives: what they hold comes out unchanged, and an untrusted one does no harm."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from modelserving import archive
from modelserving.errors import ModelRejected
from modelserving.wire.serving_pb2 import Reason

FILES = {"saved_model.pb": b"graph", "variables/variables.index": b"", "assets/a b.txt": "ä".encode()}


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return stream.getvalue()


def tarred(files: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as target:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            target.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def special_tar(name: str, kind: bytes, link: str = "") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as target:
        member = tarfile.TarInfo(name)
        member.type = kind
        member.linkname = link
        target.addfile(member)
    return stream.getvalue()


def zipped_link() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as target:
        member = zipfile.ZipInfo("link")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        target.writestr(member, "/etc/passwd")
    return stream.getvalue()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder inside another, so that what leaves it is seen."""
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    return inner


@pytest.mark.parametrize(
    "pack",
    [
        pytest.param(zipped, id="zip"),
        pytest.param(tarred, id="tar"),
        pytest.param(lambda files: tarred(files, "w:gz"), id="tar.gz"),
        pytest.param(lambda files: tarred(files, "w:bz2"), id="tar.bz2"),
        pytest.param(lambda files: tarred(files, "w:xz"), id="tar.xz"),
    ],
)
def test_unpack(pack: Callable[[dict[str, bytes]], bytes], folder: Path) -> None:
    archive.unpack(pack(FILES), folder)
    assert contents(folder) == FILES


def test_archive_of_a_folders_content(tmp_path: Path, folder: Path) -> None:
    """As `tar -C model .` makes it: its first member is the folder itself."""
    for name, data in FILES.items():
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(tmp_path / "model", arcname=".")
    archive.unpack(buffer.getvalue(), folder)
    assert contents(folder) == FILES


def test_a_packed_folder_unpacks_to_the_same(folder: Path, tmp_path: Path) -> None:
    for name, data in FILES.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    packed = archive.pack_folder(folder)
    os.utime(folder / "saved_model.pb", (0, 0))
    assert archive.pack_folder(folder) == packed
    copy = tmp_path / "copy"
    copy.mkdir()
    archive.unpack(packed, copy)
    assert contents(copy) == FILES
    assert archive.read_folder(copy) == archive.read_folder(folder)


def test_digest_of_a_folder(folder: Path) -> None:
    (folder / "b").write_bytes(b"two")
    (folder / "a").mkdir()
    (folder / "a" / "c").write_bytes(b"1")
    expected = hashlib.sha256(b"a/c\x001\x001" + b"b\x003\x00two").hexdigest()
    assert archive.read_folder(folder)[1] == expected
    (folder / "b").write_bytes(b"tw0")
    assert archive.read_folder(folder)[1] != expected


@pytest.mark.parametrize("limit", [3, 4])
def test_folder_above_a_limit(folder: Path, limit: int) -> None:
    (folder / "a").write_bytes(b"12")
    (folder / "b").write_bytes(b"34")
    if limit == 4:
        assert archive.read_folder(folder, limit) == archive.read_folder(folder)
        return
    with pytest.raises(ModelRejected) as caught:
        archive.read_folder(folder, limit)
    assert caught.value.reason == Reason.OVERSIZE


@pytest.mark.parametrize("function", [archive.pack_folder, archive.read_folder])
def test_links_in_a_folder_are_refused(function: Callable[[Path], object], folder: Path) -> None:
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(ModelRejected) as caught:
        function(folder)
    assert caught.value.reason == Reason.UNSAFE


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(zipped({"/absolute": b"x"}), id="zip: absolute path"),
        pytest.param(zipped({"../outside": b"x"}), id="zip: parent folder"),
        pytest.param(zipped({"a/../../outside": b"x"}), id="zip: parent folder inside"),
        pytest.param(zipped({"a\\..\\..\\outside": b"x"}), id="zip: backslashes"),
        pytest.param(zipped({"C:outside": b"x"}), id="zip: drive"),
        pytest.param(zipped_link(), id="zip: symbolic link"),
        pytest.param(tarred({"/absolute": b"x"}), id="tar: absolute path"),
        pytest.param(tarred({"../outside": b"x"}), id="tar: parent folder"),
        pytest.param(special_tar("link", tarfile.SYMTYPE, "/etc/passwd"), id="tar: symbolic link"),
        pytest.param(special_tar("link", tarfile.LNKTYPE, "saved_model.pb"), id="tar: hard link"),
        pytest.param(special_tar("device", tarfile.CHRTYPE), id="tar: character device"),
        pytest.param(special_tar("device", tarfile.BLKTYPE), id="tar: block device"),
        pytest.param(special_tar("pipe", tarfile.FIFOTYPE), id="tar: pipe"),
    ],
)
def test_unsafe_members(data: bytes, folder: Path) -> None:
    with pytest.raises(ModelRejected) as caught:
        archive.unpack(data, folder)
    assert caught.value.reason == Reason.UNSAFE
    assert contents(folder.parent) == {}


def lying_zip(size: int) -> bytes:
    """A zip whose directory says that its only member is empty."""
    data = zipped({"a": b"\0" * size})
    entry = data.rindex(b"PK\x01\x02")
    return data[: entry + 24] + b"\0\0\0\0" + data[entry + 28 :]


def nested(depth: int) -> bytes:
    """A tar of folders in folders, a few levels a member: as Python makes them without recursing deeply."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as target:
        for level in range(1, depth + 1, 100):
            member = tarfile.TarInfo("/".join("d" * level))
            member.type = tarfile.DIRTYPE
            target.addfile(member)
    return stream.getvalue()


EXPANDED = 8 * 1024**2


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(zipped({"a": b"\0" * EXPANDED}), id="zip expanding 1,000-fold"),
        pytest.param(tarred({"a": b"\0" * EXPANDED}, "w:gz"), id="tar expanding 1,000-fold"),
        pytest.param(zipped({f"f{n}": b"" for n in range(100_000)}, zipfile.ZIP_STORED), id="zip of 100,000 entries"),
        pytest.param(tarred({f"f{n}": b"" for n in range(100_000)}, "w:gz"), id="tar of 100,000 entries"),
        pytest.param(nested(1_900), id="tar of 1,900 folders in folders"),
        pytest.param(zipped({"d/" * 200 + "a": b""}), id="zip of 200 folders in folders"),
    ],
)
def test_oversize(data: bytes, folder: Path) -> None:
    with pytest.raises(ModelRejected) as caught:
        archive.unpack(data, folder)
    assert caught.value.reason == Reason.OVERSIZE


def test_a_zip_that_lies_about_its_size_writes_no_more_than_it_says(folder: Path) -> None:
    with pytest.raises(ModelRejected):
        archive.unpack(lying_zip(EXPANDED), folder)
    assert sum(map(len, contents(folder).values())) < EXPANDED


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"model" * 500, id="no archive"),
        pytest.param(zipped(FILES)[:60], id="truncated zip"),
        pytest.param(tarred(FILES, "w:gz")[:60], id="truncated tar"),
        pytest.param(zipped({"a": b"abcdefgh"}, zipfile.ZIP_STORED).replace(b"abcdefgh", b"abcdefgx"), id="broken zip"),
        pytest.param(zipped({"a": b"1", "a/b": b"2"}), id="a file that is also a folder"),
    ],
)
def test_unreadable(data: bytes, folder: Path) -> None:
    with pytest.raises(ModelRejected) as caught:
        archive.unpack(data, folder)
    assert caught.value.reason == Reason.UNLOADABLE

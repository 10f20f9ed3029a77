"""Temporary folders: used by one process, and gone after it, however it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modelserving.scratch import PREFIX, ScratchFolder

OWNER = """
import sys
from modelserving.scratch import ScratchFolder
folder = ScratchFolder()
(folder.path / "left").write_text("behind")
print(folder.path, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary folders."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def test_a_folder_of_its_own(folder: Path) -> None:
    first, second = ScratchFolder(), ScratchFolder()
    (first.path / "some" / "thing").mkdir(parents=True)
    assert {first.path, second.path} == set(folder.iterdir())
    first.remove()
    assert [second.path] == list(folder.iterdir())
    second.remove()
    assert list(folder.iterdir()) == []


def test_what_a_killed_process_left_is_removed(folder: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        theirs = Path(owner.stdout.readline().decode().strip())
        ScratchFolder().remove()
        assert (theirs / "left").exists()  # while it lives, it is left alone
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        assert theirs.exists()
        ours = ScratchFolder()
        assert [ours.path] == list(folder.iterdir())
        ours.remove()


def test_other_files_are_left_alone(folder: Path) -> None:
    (folder / "other").mkdir()
    (folder / f"{PREFIX}file").write_text("no folder")
    ScratchFolder().remove()
    assert {path.name for path in folder.iterdir()} == {"other", f"{PREFIX}file"}


def test_what_is_nested_deeper_than_python_recurses_is_removed(folder: Path) -> None:
    ours = ScratchFolder()
    inner = os.open(ours.path, os.O_RDONLY)
    for _ in range(3_000):  # deeper than a path may be long, too
        os.mkdir("d", dir_fd=inner)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=inner))
        outer, inner = inner, os.open("d", os.O_RDONLY, dir_fd=inner)
        os.close(outer)
    os.symlink(folder, "link", dir_fd=inner)
    os.close(inner)
    (folder / "other").mkdir()
    ours.remove()
    assert [path.name for path in folder.iterdir()] == ["other"]

"""Temporary folders: what a killed process left behind is removed by the next process that makes one."""

from __future__ import annotations

import fcntl
import os
import tempfile
import uuid
from contextlib import suppress
from pathlib import Path

PREFIX = "modelserving-sandbox-"


class ScratchFolder:
    """A folder of this process; its lock, which ends with the process, tells others that it is in use."""

    def __init__(self) -> None:
        _sweep()
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
            with suppress(FileNotFoundError):
                self._lock = os.open(self.path, os.O_RDONLY)
                fcntl.flock(self._lock, fcntl.LOCK_EX)
                if self.path.exists():  # nobody swept it before it was locked
                    return
                os.close(self._lock)

    def remove(self) -> None:
        """Remove the folder with all that is in it."""
        _remove(self.path)
        os.close(self._lock)


def _sweep() -> None:
    """Remove the folders that no process holds."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's, or just removed
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
            finally:
                os.close(descriptor)


def _remove(top: Path) -> None:
    """Remove a folder, as far as it lets itself be removed.

    What is in it was made by code that nobody knows, perhaps nested deeper than Python recurses, or than a path may be
    long. So folders are moved up to the top before they are looked into.
    """
    folders = [top]
    for folder in folders:  # it grows meanwhile
        with suppress(OSError):
            for entry in list(os.scandir(folder)):
                with suppress(OSError):
                    if not entry.is_dir(follow_symlinks=False):
                        Path(entry.path).unlink()
                    elif folder == top:
                        folders.append(Path(entry.path))
                    else:
                        folders.append(Path(entry.path).rename(top / uuid.uuid4().hex))
    for folder in reversed(folders):
        with suppress(OSError):
            folder.rmdir()

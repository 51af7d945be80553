"""Folders for decoded audio, which vanish with the work, or with the next start after a crash."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "sync-analyzer-"
_LOCK = "lock"


class Spool:
    """A folder with one subfolder for each running task.

    It holds a lock for as long as its process lives; what is found unlocked beside it was left by a process that was
    killed, and is removed.

    Parameters
    ----------
    parent
        Where to put it; None: the system's folder for temporary files.
    """

    def __init__(self, parent: Path | None) -> None:
        parent = parent or Path(tempfile.gettempdir())
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(parent)
        self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        self._lock = os.open(self._folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def make_folder(self) -> Path:
        """Make a folder for one task."""
        return Path(tempfile.mkdtemp(dir=self._folder))

    def remove(self) -> None:
        """Remove the folder and all in it; harmless if repeated."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        else:
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)

"""Who writes next, among the processes that share a database.

SQLite's own lock is polled with growing pauses, so a process that commits often keeps the others out. Two file locks
make it fair: `gate` is held while waiting for `room`, and whoever leaves the room finds the next one at the gate::

    process A   gate room -gate   write ...   -room   gate? (B has it) ............... gate
    process B        gate? ... gate room? ........... room -gate   write ...

The kernel frees both when a process dies. They only order the writers; SQLite's lock is what protects the data.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SHORTEST_PAUSE_SECONDS = 0.0002
_LONGEST_PAUSE_SECONDS = 0.002


class Turnstile:
    """Lets one writer in at a time, in the order of arrival; for one thread of a process."""

    def __init__(self, database: Path) -> None:
        self._gate = _open(Path(f"{database}.gate"))
        self._room = _open(Path(f"{database}.room"))

    @contextmanager
    def entered(self, *, within_seconds: float) -> Iterator[None]:
        """Wait for one's turn and hold it; a turn that does not come counts as a busy database."""
        deadline = time.monotonic() + within_seconds
        _acquire(self._gate, deadline)
        try:
            _acquire(self._room, deadline)
        finally:
            fcntl.flock(self._gate, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._room, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._gate)
        os.close(self._room)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _acquire(handle: int, deadline: float) -> None:
    pause = _SHORTEST_PAUSE_SECONDS
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        if time.monotonic() >= deadline:
            error = sqlite3.OperationalError("another process has kept its turn")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

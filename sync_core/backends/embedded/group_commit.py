"""One thread that writes for the whole process, and commits for many callers at once.

    callers     a ----- b -- c ---------------- d ----->      each waits for its own future
    thread      [ a ]   [ b  c ]  fsync         [ d ]         what came during one commit shares the next

Each caller's function runs in a savepoint of its own: one that raises is undone alone. Between processes, BEGIN
IMMEDIATE is the lock: whoever is in the transaction is the only writer, so reading, checking and writing are one step.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import TypeVar

from sync_core.backends.embedded.connection import connect, storage_error
from sync_core.backends.embedded.turnstile import Turnstile
from sync_core.domain.errors import StorageUnavailable

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_MOST_JOBS_PER_COMMIT = 256


class _Job:
    """A function to run in the next commit, and the future that waits for it."""

    __slots__ = ("error", "future", "loop", "outcome", "work")

    def __init__(self, work: Work[object]) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[object] = self.loop.create_future()
        self.outcome: object = None
        self.error: Exception | None = None

    def settle(self) -> None:
        """Wake the caller, unless it was cancelled meanwhile."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.outcome)
        else:
            self.future.set_exception(self.error)


class GroupCommit:
    """Runs write functions in transactions; an awaited write that returns is on the disk."""

    def __init__(self, path: Path, *, busy_seconds: float) -> None:
        self._path = path
        self._busy_seconds = busy_seconds
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._turnstile = Turnstile(path)
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction. A caller that is cancelled leaves it open whether its write happened."""
        job = _Job(work)
        with self._lock:  # nothing may be queued behind the end mark
            if self._closed:
                raise StorageUnavailable(f"{self._path} has been closed.")
            self._jobs.put(job)
        return await job.future  # type: ignore[return-value]

    def close(self) -> None:
        """Do what is queued, then end the thread."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        at_end = False
        while not at_end:
            jobs, at_end = self._next_group()
            self._commit(jobs)
            _settle(jobs)
        self._disconnect()
        self._turnstile.close()

    def _next_group(self) -> tuple[list[_Job], bool]:
        """Wait for a job, and take what else is there; jobs whose caller has gone are dropped."""
        taken = [self._jobs.get()]
        with suppress(queue.Empty):
            while taken[-1] is not None and len(taken) < _MOST_JOBS_PER_COMMIT:
                taken.append(self._jobs.get_nowait())
        return [job for job in taken if job is not None and not job.future.cancelled()], taken[-1] is None

    def _commit(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        try:
            with self._turnstile.entered(within_seconds=self._busy_seconds):
                _run_together(self._connected(), jobs)
        except Exception as error:  # noqa: BLE001 - handed to the callers
            self._disconnect()  # rolls back, and leaves behind whatever state the error put the connection in
            for job in jobs:
                job.error = storage_error(error, self._path) if isinstance(error, sqlite3.Error) else error

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._path, busy_seconds=self._busy_seconds)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()


def _run_together(connection: sqlite3.Connection, jobs: list[_Job]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    for job in jobs:
        _run_isolated(connection, job)
    connection.execute("COMMIT")


def _run_isolated(connection: sqlite3.Connection, job: _Job) -> None:
    connection.execute("SAVEPOINT job")
    try:
        job.outcome = job.work(connection)
    except Exception as error:
        if not connection.in_transaction:  # a full disk or an I/O error: SQLite has undone the whole group
            raise
        connection.execute("ROLLBACK TO job")
        job.error = storage_error(error) if isinstance(error, sqlite3.OperationalError) else error
    connection.execute("RELEASE job")


def _settle(jobs: Iterable[_Job]) -> None:
    """Wake the callers, with one wake-up per event loop."""
    for loop, group in groupby(sorted(jobs, key=lambda job: id(job.loop)), key=lambda job: job.loop):
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_settle_all, list(group))


def _settle_all(jobs: Iterable[_Job]) -> None:
    for job in jobs:
        job.settle()

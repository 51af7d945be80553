"""The SQLite file as the adapters use it: `read` and `write`, each one transaction, from any event loop."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from sync_core.backends.embedded.connection import connect, storage_error
from sync_core.backends.embedded.group_commit import GroupCommit
from sync_core.domain.errors import StorageUnavailable

T = TypeVar("T")


class Database:
    """One writer thread, some reader threads; in WAL mode, readers and writer don't wait for each other.

    Any number of processes may have the same file open, and any of them may die at any time: SQLite undoes what was
    not committed when the next one opens the file.

    Parameters
    ----------
    busy_seconds
        How long a write waits for another process's transaction before it is StorageUnavailable.
    readers
        How many reads run at once.
    """

    def __init__(self, path: Path, *, busy_seconds: float = 15.0, readers: int = 4) -> None:
        self.path = path
        self._busy_seconds = busy_seconds
        self._writer = GroupCommit(path, busy_seconds=busy_seconds)
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="sqlite-reader")
        self._local = threading.local()
        self._watcher: sqlite3.Connection | None = None
        self._watching = threading.Lock()
        self._connections: list[sqlite3.Connection] = []

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction that it shares with others; its writes are on the disk when this returns.

        What `work` raises undoes its own writes alone and is raised here.

        Raises
        ------
        StorageUnavailable
            If nothing could be written, or if it is unknown whether the commit reached the disk.
        """
        return await self._writer.write(work)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` on one snapshot of what is committed.

        Raises
        ------
        StorageUnavailable
        """
        try:
            waiting = asyncio.get_running_loop().run_in_executor(self._pool, self._read, work)
        except RuntimeError:
            raise StorageUnavailable(f"{self.path} has been closed.") from None
        return await waiting

    def version(self) -> int:
        """Give a number that changes with every commit of any process. Takes microseconds and waits for nothing.

        Of use between two calls from one thread; it says nothing of what changed.
        """
        with self._watching:
            try:
                if self._watcher is None:
                    self._watcher = connect(self.path, busy_seconds=0.0, query_only=True)
                    self._connections.append(self._watcher)
                return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])
            except sqlite3.Error as error:
                raise storage_error(error, self.path) from error

    async def close(self) -> None:
        """Finish what was asked for, then close all connections."""
        await asyncio.to_thread(self._close)

    def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            connection = self._reader()
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.rollback()
        except sqlite3.OperationalError as error:
            raise storage_error(error, self.path) from error

    def _reader(self) -> sqlite3.Connection:
        if not hasattr(self._local, "connection"):
            self._local.connection = connect(self.path, busy_seconds=self._busy_seconds, query_only=True)
            self._connections.append(self._local.connection)
        connection: sqlite3.Connection = self._local.connection
        return connection

    def _close(self) -> None:
        self._pool.shutdown()
        self._writer.close()
        while self._connections:
            self._connections.pop().close()

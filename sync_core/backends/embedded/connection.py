"""How a connection to the database is set up, and what its errors mean."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sync_core.domain.errors import StorageUnavailable

_SETUP = """
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = OFF;
PRAGMA secure_delete = OFF;
PRAGMA cache_size = -8000;
PRAGMA journal_size_limit = 67108864;
"""

_MEANING = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_BUSY: "another process has been writing for too long; look for one that is stopped",
    sqlite3.SQLITE_LOCKED: "another connection holds it",
    sqlite3.SQLITE_READONLY: "it cannot be written; check the permissions of the folder and the mount",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_NOTADB: "it is no database of this system; use another folder",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore a backup",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; check that the folder is still there",
}


def connect(path: Path, *, busy_seconds: float, query_only: bool = False) -> sqlite3.Connection:
    """Open a connection whose transactions are explicit. It may be closed by another thread than its user's."""
    connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        connection.executescript(_SETUP)
        connection.execute(f"PRAGMA query_only = {query_only}")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def storage_error(error: sqlite3.Error, path: Path | None = None) -> StorageUnavailable:
    """Turn an error of SQLite into the one that callers know, with what to do about it."""
    primary = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    meaning = _MEANING.get(primary, "it cannot be used")
    return StorageUnavailable(f"Database{f' {path}' if path else ''}: {meaning} ({error}).")

"""Idempotency keys in SQLite."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from sync_core.backends.embedded.database import Database
from sync_core.domain.errors import IdempotencyConflict
from sync_core.domain.micros import to_micros


class EmbeddedIdempotencyKeys:
    """The IdempotencyKeys port on a SQLite file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, key: str, *, fingerprint: str, resource_id: str, now: datetime) -> str:
        created_at = to_micros(now)
        return await self._database.write(lambda db: _claim(db, key, fingerprint, resource_id, created_at))

    async def find(self, key: str) -> str | None:
        return await self._database.read(lambda db: _find(db, key))


def _find(db: sqlite3.Connection, key: str) -> str | None:
    bound = db.execute("SELECT resource_id FROM idempotency_keys WHERE key = ?", (key,)).fetchone()
    return str(bound["resource_id"]) if bound else None


def _claim(db: sqlite3.Connection, key: str, fingerprint: str, resource_id: str, created_at: int) -> str:
    db.execute(
        "INSERT OR IGNORE INTO idempotency_keys (key, fingerprint, resource_id, created_at) VALUES (?, ?, ?, ?)",
        (key, fingerprint, resource_id, created_at),
    )
    bound = db.execute("SELECT fingerprint, resource_id FROM idempotency_keys WHERE key = ?", (key,)).fetchone()
    if bound["fingerprint"] != fingerprint:
        raise IdempotencyConflict("This Idempotency-Key was used with other content before; use a new key.")
    return str(bound["resource_id"])

"""Living workers in SQLite."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict
from datetime import datetime

from sync_core.backends.embedded.database import Database
from sync_core.backends.embedded.rows import compact_json
from sync_core.domain.methods import Method
from sync_core.domain.micros import seconds, to_micros
from sync_core.domain.worker import WorkerInfo


class EmbeddedWorkerRegistry:
    """The WorkerRegistry port on a SQLite file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def announce(self, worker: WorkerInfo, *, ttl_seconds: float) -> None:
        seen_at = to_micros(worker.seen_at)
        entry = (worker.worker_id, seen_at + seconds(ttl_seconds), _text_of(worker))
        await self._database.write(lambda db: _announce(db, entry, seen_at))

    async def withdraw(self, worker_id: str) -> None:
        await self._database.write(lambda db: _withdraw(db, worker_id))

    async def live(self, *, now: datetime) -> tuple[WorkerInfo, ...]:
        return await self._database.read(lambda db: _live(db, to_micros(now)))


def _announce(db: sqlite3.Connection, entry: tuple[str, int, str], now: int) -> None:
    """Put the entry in, and the expired ones out."""
    db.execute("INSERT OR REPLACE INTO workers (worker_id, expires_at, info) VALUES (?, ?, ?)", entry)
    db.execute("DELETE FROM workers WHERE expires_at <= ?", (now,))


def _withdraw(db: sqlite3.Connection, worker_id: str) -> None:
    db.execute("DELETE FROM workers WHERE worker_id = ?", (worker_id,))


def _live(db: sqlite3.Connection, now: int) -> tuple[WorkerInfo, ...]:
    rows = db.execute("SELECT info FROM workers WHERE expires_at > ? ORDER BY worker_id", (now,))
    return tuple(_worker_of(row["info"]) for row in rows)


def _text_of(worker: WorkerInfo) -> str:
    times = {"started_at": worker.started_at.isoformat(), "seen_at": worker.seen_at.isoformat()}
    return compact_json({**asdict(worker), **times})


def _worker_of(text: str) -> WorkerInfo:
    fields = json.loads(text)
    return WorkerInfo(
        **{
            **fields,
            "methods": tuple(map(Method, fields["methods"])),
            "ai_models": tuple(fields["ai_models"]),
            "started_at": datetime.fromisoformat(fields["started_at"]),
            "seen_at": datetime.fromisoformat(fields["seen_at"]),
        }
    )

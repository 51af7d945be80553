"""The events that the BatchStore has recorded, read from SQLite."""

from __future__ import annotations

import json
import sqlite3

from sync_core.backends.embedded.database import Database
from sync_core.backends.embedded.times import from_micros
from sync_core.domain.batch import EventType
from sync_core.jobs.ports.event_outbox import Event


class EmbeddedEventOutbox:
    """The EventOutbox port on a SQLite file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_batch(self, batch_id: str) -> tuple[Event, ...]:
        return await self._database.read(lambda db: _of_batch(db, batch_id))


def _of_batch(db: sqlite3.Connection, batch_id: str) -> tuple[Event, ...]:
    rows = db.execute("SELECT * FROM events WHERE batch_id = ? ORDER BY event_no", (batch_id,))
    return tuple(_event_of(row) for row in rows)


def _event_of(row: sqlite3.Row) -> Event:
    return Event(
        event_id=row["event_id"],
        event_type=EventType(row["event_type"]),
        batch_id=row["batch_id"],
        webhook_url=row["webhook_url"],
        created_at=from_micros(row["created_at"]),
        payload=json.loads(row["payload"]),
    )

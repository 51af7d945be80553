"""The events that the BatchStore has recorded, and where their deliveries are, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import islice

from sync_core.backends.embedded.database import Database
from sync_core.backends.embedded.rows import UPDATE_DELIVERY, delivery_values
from sync_core.domain.micros import to_micros
from sync_core.jobs.ports.event_outbox import Event, WebhookDelivery
from sync_core.jobs.stored_events import read_delivery, read_event


class EmbeddedEventOutbox:
    """The EventOutbox port on a SQLite file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_batch(self, batch_id: str) -> tuple[Event, ...]:
        return await self._database.read(lambda db: tuple(read_event(dict(row)) for row in _of_batch(db, batch_id)))

    async def deliveries(self, batch_id: str) -> tuple[WebhookDelivery, ...]:
        return await self._database.read(lambda db: _deliveries(db, batch_id))

    async def due(
        self, *, now: datetime, limit: int, is_wanted: Callable[[str], bool] = lambda _url: True
    ) -> tuple[WebhookDelivery, ...]:
        return await self._database.read(lambda db: tuple(islice(_due(db, now, is_wanted), limit)))

    async def save(self, delivery: WebhookDelivery) -> WebhookDelivery | None:
        values = delivery_values(delivery)
        is_saved = await self._database.write(lambda db: db.execute(UPDATE_DELIVERY, values).rowcount)
        return replace(delivery, version=delivery.version + 1) if is_saved else None


def _of_batch(db: sqlite3.Connection, batch_id: str) -> list[sqlite3.Row]:
    return db.execute("SELECT * FROM events WHERE batch_id = ? ORDER BY event_no", (batch_id,)).fetchall()


def _deliveries(db: sqlite3.Connection, batch_id: str) -> tuple[WebhookDelivery, ...]:
    return tuple(read_delivery(dict(row)) for row in _of_batch(db, batch_id) if row["webhook_url"] is not None)


def _due(db: sqlite3.Connection, now: datetime, is_wanted: Callable[[str], bool]) -> Iterator[WebhookDelivery]:
    """Step through what is due; a crowd of one busy receiver is passed over without being read as a whole."""
    rows = db.execute(
        "SELECT * FROM events INDEXED BY events_due WHERE due_at <= ? ORDER BY due_at, event_no", (to_micros(now),)
    )
    return (read_delivery(dict(row)) for row in rows if is_wanted(row["webhook_url"]))

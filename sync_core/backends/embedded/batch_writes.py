"""Writes of whole batches. Each function runs inside a write transaction, so nobody changes what it has read."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from sync_core.backends.embedded.rows import (
    INSERT_BATCH,
    INSERT_EVENT,
    UPDATE_BATCH,
    StoredBatch,
    all_values,
    batch_of,
    mutable_values,
)
from sync_core.domain import batch as rules
from sync_core.domain.batch import Batch, Change, StartOptions
from sync_core.domain.errors import batch_not_found
from sync_core.domain.ids import analysis_id_of_single
from sync_core.jobs.overdue import Overdue
from sync_core.jobs.ports.event_outbox import event_of
from sync_core.jobs.stored_events import stored_event


def find_batch(db: sqlite3.Connection, batch_id: str) -> StoredBatch:
    """Read a batch, or raise NotFound."""
    row = db.execute("SELECT * FROM batches WHERE batch_id = ?", (batch_id,)).fetchone()
    if row is None:
        raise batch_not_found(batch_id)
    return StoredBatch(row["batch_no"], row["first_item"], batch_of(row))


def create(db: sqlite3.Connection, batch: Batch, requests: Sequence[str]) -> bool:
    """Store a batch with its items, given as texts; False if it exists."""
    if db.execute("SELECT 1 FROM batches WHERE batch_id = ?", (batch.batch_id,)).fetchone():
        return False
    (first_item,) = db.execute("SELECT COALESCE(MAX(item_no), 0) + 1 FROM items").fetchone()
    batch_no = db.execute(INSERT_BATCH, all_values(batch, first_item)).lastrowid
    analysis_id = analysis_id_of_single(batch.batch_id) if batch.single else None
    db.executemany(
        "INSERT INTO items (item_no, batch_no, request, analysis_id) VALUES (?, ?, ?, ?)",
        ((first_item + index, batch_no, request, analysis_id) for index, request in enumerate(requests)),
    )
    return True


def start(db: sqlite3.Connection, batch_id: str, options: StartOptions, *, now: datetime, overdue: Overdue) -> Change:
    stored = find_batch(db, batch_id)
    change = rules.start(stored.batch, options, now)
    store_change(db, stored, change, now=now, overdue=overdue)
    return change


def store_change(
    db: sqlite3.Connection, stored: StoredBatch, change: Change, *, now: datetime, overdue: Overdue
) -> None:
    """Store the batch as it is after a change, the claims of the items that it dispatches, and its event."""
    db.execute(UPDATE_BATCH, mutable_values(change.batch))
    db.executemany(
        "UPDATE items SET due_at = ? WHERE item_no = ?",
        ((overdue.first(now), stored.item_no(index)) for index in change.claimed),
    )
    _record_event(db, change, now)


def _record_event(db: sqlite3.Connection, change: Change, now: datetime) -> None:
    event = event_of(change, now)
    if event is not None:
        db.execute(INSERT_EVENT, stored_event(event))

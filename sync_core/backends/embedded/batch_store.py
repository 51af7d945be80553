"""Batches and items in SQLite. Each method is one transaction, alone in the database while it writes."""

from __future__ import annotations

import base64
import sqlite3
import struct
from collections.abc import Sequence
from datetime import datetime, timedelta

from sync_core.backends.embedded import batch_writes, item_writes
from sync_core.backends.embedded.batch_writes import find_batch
from sync_core.backends.embedded.database import Database
from sync_core.backends.embedded.rows import batch_of, item_of
from sync_core.domain.batch import Batch, Change, Item, ItemEnd, ItemProgress, ItemRequest, StartOptions
from sync_core.domain.errors import InputError, analysis_not_found
from sync_core.domain.lease import Lease
from sync_core.domain.micros import to_micros
from sync_core.jobs.overdue import Overdue
from sync_core.jobs.ports.batch_store import BatchPage, Begun, NotBegun
from sync_core.jobs.stored_forms import request_text

_POSITION = struct.Struct(">qq")  # as large as the database's integers, and no larger


class EmbeddedBatchStore:
    """The BatchStore port on a SQLite file.

    Parameters
    ----------
    overdue
        When the message of an item in flight counts as lost.
    """

    def __init__(self, database: Database, *, overdue: Overdue = Overdue()) -> None:  # noqa: B008 - a frozen value
        self._database = database
        self._overdue = overdue

    async def create(self, batch: Batch, requests: Sequence[ItemRequest]) -> bool:
        texts = [request_text(request) for request in requests]
        return await self._database.write(lambda db: batch_writes.create(db, batch, texts))

    async def get(self, batch_id: str) -> Batch:
        return await self._database.read(lambda db: find_batch(db, batch_id).batch)

    async def list_batches(self, *, limit: int, cursor: str | None = None) -> BatchPage:
        before = _position_of(cursor) if cursor else None
        return await self._database.read(lambda db: _page(db, limit, before))

    async def items(self, batch_id: str, *, start: int = 0, limit: int) -> tuple[Item, ...]:
        return await self._database.read(lambda db: _items(db, batch_id, start, limit))

    async def find_analysis(self, analysis_id: str) -> tuple[Batch, Item]:
        return await self._database.read(lambda db: _find_analysis(db, analysis_id))

    async def start(self, batch_id: str, options: StartOptions, now: datetime) -> Change:
        return await self._database.write(
            lambda db: batch_writes.start(db, batch_id, options, now=now, overdue=self._overdue)
        )

    async def cancel(self, batch_id: str, now: datetime) -> Change:
        return await self._database.write(lambda db: item_writes.cancel(db, batch_id, now=now, overdue=self._overdue))

    async def begin_attempt(
        self, batch_id: str, item_index: int, *, worker_id: str, now: datetime, lease_seconds: float
    ) -> Begun | NotBegun:
        grant = item_writes.Grant(worker_id, now, lease_seconds, self._overdue)
        return await self._database.write(lambda db: item_writes.begin(db, batch_id, item_index, grant))

    async def renew(
        self,
        lease: Lease,
        *,
        now: datetime,
        lease_seconds: float,
        progress: ItemProgress | None = None,
        request: ItemRequest | None = None,
    ) -> tuple[Lease, bool]:
        grant = item_writes.Grant(lease.worker_id, now, lease_seconds, self._overdue)
        return await self._database.write(lambda db: item_writes.renew(db, lease, grant, progress, request))

    async def release(self, lease: Lease, *, now: datetime, count_attempt: bool, delay_seconds: float = 0.0) -> None:
        due_at = self._overdue.first(now + timedelta(seconds=delay_seconds))
        await self._database.write(
            lambda db: item_writes.release(db, lease, count_attempt=count_attempt, due_at=due_at)
        )

    async def finish(self, lease: Lease, end: ItemEnd, *, now: datetime) -> Change:
        return await self._database.write(lambda db: item_writes.finish(db, lease, end, now=now, overdue=self._overdue))

    async def end_abandoned(self, batch_id: str, item_index: int, end: ItemEnd, *, now: datetime) -> Change | None:
        return await self._database.write(
            lambda db: item_writes.end_abandoned(db, batch_id, item_index, end, now=now, overdue=self._overdue)
        )

    async def stalled(self, *, now: datetime, limit: int) -> tuple[Item, ...]:
        return await self._database.read(lambda db: _stalled(db, now, limit))

    async def mark_resent(self, batch_id: str, item_index: int, *, now: datetime) -> None:
        await self._database.write(
            lambda db: item_writes.mark_resent(db, batch_id, item_index, now=now, overdue=self._overdue)
        )


def _page(db: sqlite3.Connection, limit: int, before: tuple[int, int] | None) -> BatchPage:
    rows = db.execute(
        """
        SELECT * FROM batches
        WHERE single = 0 AND (created_at, batch_no) < (:created_at, :batch_no)
        ORDER BY created_at DESC, batch_no DESC
        LIMIT :limit
        """,
        {"created_at": before[0] if before else 1 << 62, "batch_no": before[1] if before else 0, "limit": limit + 1},
    ).fetchall()
    has_more, rows = len(rows) > limit, rows[:limit]
    cursor = _cursor_at(rows[-1]["created_at"], rows[-1]["batch_no"]) if has_more and rows else None
    return BatchPage(tuple(batch_of(row) for row in rows), cursor)


def _cursor_at(created_at: int, batch_no: int) -> str:
    return base64.urlsafe_b64encode(_POSITION.pack(created_at, batch_no)).decode()


def _position_of(cursor: str) -> tuple[int, int]:
    try:
        created_at, batch_no = _POSITION.unpack(base64.urlsafe_b64decode(cursor.encode()))
    except (ValueError, struct.error):
        raise InputError(f"The cursor {cursor!r} is none that this list gave; leave it out to start anew.") from None
    return created_at, batch_no


def _items(db: sqlite3.Connection, batch_id: str, start: int, limit: int) -> tuple[Item, ...]:
    batch = db.execute("SELECT first_item, total FROM batches WHERE batch_id = ?", (batch_id,)).fetchone()
    if batch is None:
        return ()
    first_item, total = batch
    rows = db.execute(
        "SELECT * FROM items WHERE item_no >= ? AND item_no < ? ORDER BY item_no",
        (first_item + start, first_item + min(start + limit, total)),
    )
    return tuple(item_of(row, batch_id, first_item) for row in rows)


def _find_analysis(db: sqlite3.Connection, analysis_id: str) -> tuple[Batch, Item]:
    row = db.execute("SELECT * FROM items WHERE analysis_id = ?", (analysis_id,)).fetchone()
    if row is None:
        raise analysis_not_found(analysis_id)
    batch_row = db.execute("SELECT * FROM batches WHERE batch_no = ?", (row["batch_no"],)).fetchone()
    return batch_of(batch_row), item_of(row, batch_row["batch_id"], batch_row["first_item"])


def _stalled(db: sqlite3.Connection, now: datetime, limit: int) -> tuple[Item, ...]:
    """Find overdue items; one whose message is in the queue only waits its turn, however long that takes."""
    rows = db.execute(
        """
        SELECT items.*, batches.batch_id, batches.first_item
        FROM items INDEXED BY items_in_flight JOIN batches USING (batch_no)
        WHERE items.due_at <= ? AND NOT EXISTS (
            SELECT 1 FROM messages
            WHERE messages.priority = batches.priority AND messages.batch_id = batches.batch_id
                AND messages.dead = 0 AND messages.item_index = items.item_no - batches.first_item)
        ORDER BY items.due_at LIMIT ?
        """,
        (to_micros(now), limit),
    )
    return tuple(item_of(row, row["batch_id"], row["first_item"]) for row in rows)

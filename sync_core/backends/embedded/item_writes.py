"""Writes of items in flight: leases, ends, cancelling. Each function runs inside a write transaction.

The transaction is the lock; what must hold for a write is asked of the item as it is read in it::

    worker A   begin (fence 1) -- paused ------------------------- finish: fence is 2, LeaseLost
    worker B                       lease ran out; begin (fence 2) ---- finish: held, saved

Every lease and every end by somebody else than the leaseholder raises the fence, so an ended item whose fence is still
the lease's was ended by that lease: a repeated finish finds its own end.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sync_core.backends.embedded.batch_writes import find_batch, store_change
from sync_core.backends.embedded.rows import StoredBatch, compact_json, item_of
from sync_core.domain import batch as rules
from sync_core.domain.batch import BatchStatus, Change, Item, ItemEnd, ItemProgress, ItemRequest, ItemStatus
from sync_core.domain.errors import LeaseLost, NotFound
from sync_core.domain.ids import new_analysis_id
from sync_core.domain.lease import Lease
from sync_core.domain.micros import to_micros
from sync_core.jobs.overdue import Overdue
from sync_core.jobs.ports.batch_store import Begun, NotBegun, Refusal
from sync_core.jobs.stored_forms import request_text, storable


@dataclass(frozen=True, slots=True)
class Grant:
    """For whom a lease is taken or renewed, when, and for how long."""

    worker_id: str
    now: datetime
    lease_seconds: float
    overdue: Overdue

    @property
    def until(self) -> datetime:
        return self.now + timedelta(seconds=self.lease_seconds)

    @property
    def due_at(self) -> int:
        """When the message is overdue if the worker dies now: it should come again as the lease runs out."""
        return self.overdue.first(self.until)


def begin(db: sqlite3.Connection, batch_id: str, index: int, grant: Grant) -> Begun | NotBegun:
    """Take the lease of an item, or say why not; an unleased item of a cancelled batch is ended."""
    found = _find_claimed(db, batch_id, index)
    if found is None:
        return NotBegun(Refusal.UNKNOWN)
    stored, item = found
    if item.status.is_terminal:
        return NotBegun(Refusal.ENDED, item, stored.batch)
    if item.is_leased(grant.now):
        return NotBegun(Refusal.LEASED, item, stored.batch)
    if stored.batch.status is BatchStatus.CANCELLED:
        end = ItemEnd(ItemStatus.CANCELLED)
        change = _end(db, stored, item, end, fence=item.fence + 1, now=grant.now, overdue=grant.overdue)
        return NotBegun(Refusal.CANCELLED, _read_item(db, stored, index), change.batch)
    _take_lease(db, stored, item, grant)
    begun = _read_item(db, stored, index)
    return Begun(Lease(batch_id, index, grant.worker_id, begun.fence, grant.until), begun, stored.batch)


def _take_lease(db: sqlite3.Connection, stored: StoredBatch, item: Item, grant: Grant) -> None:
    db.execute(
        """
        UPDATE items SET
            status = 'processing', attempt = attempt + 1, fence = fence + 1,
            leased_by = :worker_id, lease_until = :until, due_at = :due_at, resends = 0, stage = NULL, percent = NULL,
            started_at = COALESCE(started_at, :now), analysis_id = COALESCE(analysis_id, :analysis_id)
        WHERE item_no = :item_no
        """,
        {
            "worker_id": grant.worker_id,
            "until": to_micros(grant.until),
            "due_at": grant.due_at,
            "now": to_micros(grant.now),
            "analysis_id": new_analysis_id(grant.now),
            "item_no": stored.item_no(item.index),
        },
    )


def renew(
    db: sqlite3.Connection, lease: Lease, grant: Grant, progress: ItemProgress | None, request: ItemRequest | None
) -> tuple[Lease, bool]:
    """Prolong a lease; tells whether the batch has been cancelled."""
    stored, _ = _find_held(db, lease)
    db.execute(
        """
        UPDATE items SET
            lease_until = :until, due_at = :due_at,
            stage = COALESCE(:stage, stage), percent = COALESCE(:percent, percent),
            request = COALESCE(:request, request)
        WHERE item_no = :item_no
        """,
        {
            "until": to_micros(grant.until),
            "due_at": grant.due_at,
            "stage": progress and progress.stage,
            "percent": progress and progress.percent,
            "request": request and request_text(request),
            "item_no": stored.item_no(lease.item_index),
        },
    )
    return replace(lease, until=grant.until), stored.batch.status is BatchStatus.CANCELLED


def release(db: sqlite3.Connection, lease: Lease, *, count_attempt: bool, due_at: int) -> None:
    """Give a lease back; the item's message comes again, and is overdue if it has not by `due_at`."""
    stored, _ = _find_held(db, lease)
    db.execute(
        """
        UPDATE items SET
            leased_by = NULL, lease_until = NULL, stage = NULL, percent = NULL,
            attempt = attempt - ?, due_at = ?, resends = 0
        WHERE item_no = ?
        """,
        (not count_attempt, due_at, stored.item_no(lease.item_index)),
    )


def finish(db: sqlite3.Connection, lease: Lease, end: ItemEnd, *, now: datetime, overdue: Overdue) -> Change:
    """End an item, or find that this lease has ended it before."""
    stored, item = _find_leased(db, lease)
    was_saved_by_this_lease = item.status.is_terminal and item.fence == lease.fence
    if was_saved_by_this_lease:
        return Change(stored.batch, () if item.next_item is None else (item.next_item,))
    _check_held(item, lease)
    return _end(db, stored, item, end, fence=lease.fence, now=now, overdue=overdue)


def end_abandoned(
    db: sqlite3.Connection, batch_id: str, index: int, end: ItemEnd, *, now: datetime, overdue: Overdue
) -> Change | None:
    """End a claimed item for which no worker will; None if one may still."""
    found = _find_claimed(db, batch_id, index)
    if found is None:
        return None
    stored, item = found
    if item.status.is_terminal or item.is_leased(now):
        return None
    return _end(db, stored, item, end, fence=item.fence + 1, now=now, overdue=overdue)


def cancel(db: sqlite3.Connection, batch_id: str, *, now: datetime, overdue: Overdue) -> Change:
    """Cancel a batch and its dispatched items that nobody holds; a repeated call does the latter again."""
    stored = find_batch(db, batch_id)
    change = rules.cancel(stored.batch, now)
    store_change(db, stored, change, now=now, overdue=overdue)
    current = replace(stored, batch=change.batch)
    for item in _in_flight(db, current):
        if not item.is_leased(now):
            end = ItemEnd(ItemStatus.CANCELLED)
            after = _end(db, current, item, end, fence=item.fence + 1, now=now, overdue=overdue)
            current = replace(current, batch=after.batch)
    return replace(change, batch=current.batch)


def mark_resent(db: sqlite3.Connection, batch_id: str, index: int, *, now: datetime, overdue: Overdue) -> None:
    """Put the time at which the item's message is overdue further away, unless the item has ended or is leased."""
    found = _find_claimed(db, batch_id, index)
    if found is None:
        return
    stored, item = found
    if item.status.is_terminal or item.is_leased(now):
        return
    item_no = stored.item_no(index)
    (resends,) = db.execute("SELECT resends + 1 FROM items WHERE item_no = ?", (item_no,)).fetchone()
    db.execute(
        "UPDATE items SET resends = ?, due_at = ? WHERE item_no = ?", (resends, overdue.after(resends, now), item_no)
    )


def _end(
    db: sqlite3.Connection,
    stored: StoredBatch,
    item: Item,
    end: ItemEnd,
    *,
    fence: int,
    now: datetime,
    overdue: Overdue,
) -> Change:
    """End an item that is in flight: the item, the counters, the claim of the next one and the event."""
    change = rules.end_item(stored.batch, end, now)
    db.execute(
        """
        UPDATE items SET
            status = :status, fence = :fence, ended_at = :now, next_item = :next_item, report_key = :report_key,
            error_code = :error_code, error = :error, result = :result,
            leased_by = NULL, lease_until = NULL, due_at = NULL, stage = NULL, percent = NULL
        WHERE item_no = :item_no
        """,
        {
            "status": end.status.value,
            "fence": fence,
            "now": to_micros(now),
            "next_item": change.claimed[0] if change.claimed else None,
            "report_key": end.report_key,
            "error_code": end.error_code,
            "error": storable(end.error),
            "result": None if end.result is None else compact_json(end.result),
            "item_no": stored.item_no(item.index),
        },
    )
    store_change(db, stored, change, now=now, overdue=overdue)
    return change


def _find_claimed(db: sqlite3.Connection, batch_id: str, index: int) -> tuple[StoredBatch, Item] | None:
    try:
        stored = find_batch(db, batch_id)
    except NotFound:
        return None
    is_claimed = 0 <= index < stored.batch.counters.next_item
    return (stored, _read_item(db, stored, index)) if is_claimed else None


def _find_leased(db: sqlite3.Connection, lease: Lease) -> tuple[StoredBatch, Item]:
    found = _find_claimed(db, lease.batch_id, lease.item_index)
    if found is None:
        raise LeaseLost(f"Item {lease.item_index} of {lease.batch_id} is not there any more.")
    return found


def _find_held(db: sqlite3.Connection, lease: Lease) -> tuple[StoredBatch, Item]:
    stored, item = _find_leased(db, lease)
    _check_held(item, lease)
    return stored, item


def _check_held(item: Item, lease: Lease) -> None:
    """Refuse a lease that is not the item's last. One whose time has run out holds as long as nobody took over."""
    is_held = not item.status.is_terminal and item.fence == lease.fence and item.leased_by == lease.worker_id
    if not is_held:
        raise LeaseLost(f"{item.item_id} of {item.batch_id} is no longer held by {lease.worker_id}; its work is void.")


def _in_flight(db: sqlite3.Connection, stored: StoredBatch) -> list[Item]:
    rows = db.execute(
        "SELECT * FROM items INDEXED BY items_in_flight WHERE due_at IS NOT NULL AND batch_no = ? ORDER BY item_no",
        (stored.batch_no,),
    )
    return [item_of(row, stored.batch.batch_id, stored.first_item) for row in rows]


def _read_item(db: sqlite3.Connection, stored: StoredBatch, index: int) -> Item:
    row = db.execute("SELECT * FROM items WHERE item_no = ?", (stored.item_no(index),)).fetchone()
    return item_of(row, stored.batch.batch_id, stored.first_item)

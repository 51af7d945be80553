"""End items: by their leaseholder, by the sweeper, by a cancelled batch.

Every end by somebody else than the leaseholder raises the fence, so an ended item whose fence is still the lease's was
ended by that lease: a repeated finish finds its own end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from sync_core.backends.aws.batch_changes import BatchChanges, Decision
from sync_core.backends.aws.keys import item_key, meta_key
from sync_core.backends.aws.rows import Meta, item_of, packed
from sync_core.backends.aws.table import ConditionFailed, Update
from sync_core.backends.aws.wire import Expression, Row, all_of
from sync_core.domain import batch as rules
from sync_core.domain.batch import Change, Item, ItemEnd, ItemStatus
from sync_core.domain.errors import LeaseLost, NotFound
from sync_core.domain.lease import Lease
from sync_core.domain.micros import to_micros
from sync_core.jobs.stored_forms import storable

HAS_NOT_ENDED = "#status IN (:pending, :processing)"
_OPEN = {"pending": ItemStatus.PENDING.value, "processing": ItemStatus.PROCESSING.value}
_ENDS_PER_TRANSACTION = 90


def is_held_by(lease: Lease) -> Expression:
    """Ask that the lease is the item's last. One whose time has run out holds as long as nobody took over."""
    has_fence, is_holder = "#fence = :fence", "#leased_by = :worker"
    return all_of(HAS_NOT_ENDED, has_fence, is_holder, **_OPEN, fence=lease.fence, worker=lease.worker_id)


def is_free_as(item: Item, now: datetime) -> Expression:
    """Ask that the item is as it was read: not ended, and leased by nobody."""
    nobody_took_over, none_released = "#fence = :fence", "#attempt = :attempt"
    is_unleased = "attribute_not_exists(#lease_until) OR #lease_until <= :now"
    return all_of(
        HAS_NOT_ENDED,
        nobody_took_over,
        none_released,
        is_unleased,
        **_OPEN,
        fence=item.fence,
        attempt=item.attempt,
        now=to_micros(now),
    )


@dataclass(frozen=True, slots=True)
class ItemEnds:
    """Ends items that are in flight; item, counters, the claim of the next one and the event are one transaction."""

    changes: BatchChanges

    async def find(self, batch_id: str, index: int) -> tuple[Meta, Item] | None:
        """Read an item with its batch in one request; None if one of them is not there."""
        keys = meta_key(batch_id), item_key(batch_id, index)
        rows = await self.changes.table.get_many(keys)
        if len(rows) < len(keys):
            return None
        return self.changes.metas.seen(rows[keys[0]]), item_of(rows[keys[1]])

    async def find_claimed(self, batch_id: str, index: int) -> tuple[Meta, Item] | None:
        """Read as `find` does; None also if the item was never claimed."""
        found = await self.find(batch_id, index)
        return found if found and index < found[0].batch.counters.next_item else None

    async def finish(self, lease: Lease, end: ItemEnd, *, now: datetime) -> Change:
        """End an item, or find that this lease has ended it before."""
        try:
            return await self._end(lease.batch_id, lease.item_index, end, is_held_by(lease), fence=lease.fence, now=now)
        except NotFound:
            raise LeaseLost(f"{lease.batch_id} is not there any more.") from None
        except ConditionFailed as refused:
            return await self._saved_before(lease, refused.rows[0])

    async def end_free(self, item: Item, end: ItemEnd, *, now: datetime) -> Change | None:
        """End an item that nobody leases; None if it is not as it was read."""
        guard, fence = is_free_as(item, now), item.fence + 1
        try:
            return await self._end(item.batch_id, item.index, end, guard, fence=fence, now=now)
        except ConditionFailed:
            return None

    async def end_in_flight(self, batch_id: str, *, now: datetime) -> None:
        """End all items of a cancelled batch that are claimed and that nobody leases."""
        while free := await self._free_in_flight(batch_id, now):
            decide = partial(_cancel_all, items=free, now=now)
            try:
                await self.changes.apply(batch_id, decide, now=now)
            except ConditionFailed:
                continue  # one was begun or ended meanwhile: look again

    async def _free_in_flight(self, batch_id: str, now: datetime) -> list[Item]:
        meta = await self.changes.metas.recent(batch_id)
        rows = await self.changes.table.get_many([item_key(batch_id, index) for index in meta.in_flight])
        items = [item_of(row) for row in rows.values()]
        free = [item for item in items if not item.status.is_terminal and not item.is_leased(now)]
        return free[:_ENDS_PER_TRANSACTION]

    async def _end(
        self,
        batch_id: str,
        index: int,
        end: ItemEnd,
        guard: Expression,
        *,
        fence: int,
        now: datetime,
    ) -> Change:
        def decide(meta: Meta) -> Decision:
            change = rules.end_item(meta.batch, end, now)
            claimed = change.claimed[0] if change.claimed else None
            changes = _ended(end, fence=fence, now=now, next_item=claimed)
            return Decision(change, (index,), (Update(item_key(batch_id, index), changes, guard),))

        return await self.changes.apply(batch_id, decide, now=now)

    async def _saved_before(self, lease: Lease, row: Row | None) -> Change:
        was_saved_by_this_lease = (
            row is not None and ItemStatus(row["status"]).is_terminal and row["fence"] == lease.fence
        )
        if row is None or not was_saved_by_this_lease:
            raise LeaseLost(
                f"Item {lease.item_index} of {lease.batch_id} is no longer held by {lease.worker_id}; its work is void."
            )
        item = item_of(row)
        meta = await self.changes.metas.read(item.batch_id)
        return Change(meta.batch, () if item.next_item is None else (item.next_item,))


def _cancel_all(meta: Meta, *, items: Sequence[Item], now: datetime) -> Decision:
    end, change = ItemEnd(ItemStatus.CANCELLED), Change(meta.batch)
    for _ in items:
        change = rules.end_item(change.batch, end, now)
    writes = (
        Update(item_key(item.batch_id, item.index), _ended(end, fence=item.fence + 1, now=now), is_free_as(item, now))
        for item in items
    )
    return Decision(change, tuple(item.index for item in items), tuple(writes))


def _ended(end: ItemEnd, *, fence: int, now: datetime, next_item: int | None = None) -> Row:
    """Give the attributes of an item that has ended; it is in flight, leased and due no more."""
    return {
        "status": end.status.value,
        "fence": fence,
        "ended_at": to_micros(now),
        "next_item": next_item,
        "report_key": end.report_key,
        "error_code": end.error_code,
        "error": storable(end.error),
        "result": packed(end.result),
        **dict.fromkeys(("leased_by", "lease_until", "due", "due_at", "resends", "stage", "percent", "written_by")),
    }

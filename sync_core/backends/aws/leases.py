"""Leases of items: taken, renewed and given back by conditional writes; the condition is the lock.

::

    worker A   begin (fence 1) -- paused ------------------------------- finish: fence is 2, LeaseLost
    worker B                       lease ran out; begin (fence 2) ---- finish: held, saved
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sync_core.backends.aws.item_ends import ItemEnds, is_free_as, is_held_by
from sync_core.backends.aws.keys import analysis_key, item_key
from sync_core.backends.aws.rows import Meta
from sync_core.backends.aws.table import ConditionFailed, Put, Table, Update
from sync_core.backends.aws.wire import Plus, Row
from sync_core.domain.batch import BatchStatus, Item, ItemEnd, ItemProgress, ItemRequest, ItemStatus
from sync_core.domain.errors import LeaseLost, NotFound, Throttled
from sync_core.domain.ids import new_analysis_id
from sync_core.domain.lease import Lease
from sync_core.domain.micros import micros_or_none, to_micros
from sync_core.jobs.overdue import Overdue
from sync_core.jobs.ports.batch_store import Begun, NotBegun, Refusal
from sync_core.jobs.stored_forms import request_text

_MOST_TRIES = 20


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


@dataclass(frozen=True, slots=True)
class Leases:
    """Takes, renews and gives back the leases of items."""

    table: Table
    ends: ItemEnds
    overdue: Overdue

    async def begin(self, batch_id: str, index: int, grant: Grant) -> Begun | NotBegun:
        """Take the lease of an item, or say why not; an unleased item of a cancelled batch is ended.

        One request reads batch and item, one takes the lease or ends the item. When somebody else was faster, what they
        made of the item is looked at anew.
        """
        for _ in range(_MOST_TRIES):
            found = await self.ends.find_claimed(batch_id, index)
            if found is None:
                return NotBegun(Refusal.UNKNOWN)
            outcome = await self._begin_as_found(*found, grant)
            if outcome is not None:
                return outcome
        raise Throttled(f"Too many workers want item {index} of {batch_id} at once.")

    async def renew(
        self, lease: Lease, grant: Grant, progress: ItemProgress | None, request: ItemRequest | None
    ) -> tuple[Lease, bool]:
        """Prolong a lease; tells whether the batch has been cancelled."""
        shown = {"stage": progress.stage, "percent": progress.percent} if progress else {}
        pinned = {"request": request_text(request)} if request else {}
        changes = {"lease_until": to_micros(grant.until), "due_at": grant.due_at, **shown, **pinned}
        try:
            _, meta = await asyncio.gather(
                self._change_held(lease, changes), self.ends.changes.metas.read(lease.batch_id)
            )
        except (ConditionFailed, NotFound):
            raise _lost(lease) from None
        return replace(lease, until=grant.until), meta.batch.status is BatchStatus.CANCELLED

    async def release(self, lease: Lease, *, count_attempt: bool, until: datetime) -> None:
        """Give a lease back; the item's message comes again after `until`, and is overdue if it then does not."""
        writer = secrets.token_hex(8)
        changes = {
            "due_at": self.overdue.first(until),
            "written_by": writer,
            **({} if count_attempt else {"attempt": Plus(-1)}),
            **dict.fromkeys(("leased_by", "lease_until", "resends", "stage", "percent")),
        }
        try:
            await self._change_held(lease, changes)
        except ConditionFailed as refused:
            if not _was_written_by(writer, refused):
                raise _lost(lease) from None

    async def _change_held(self, lease: Lease, changes: Row) -> None:
        await self.table.write(Update(item_key(lease.batch_id, lease.item_index), changes, is_held_by(lease)))

    async def _begin_as_found(self, meta: Meta, item: Item, grant: Grant) -> Begun | NotBegun | None:
        """Begin, or refuse; None if the item is no longer as it was found."""
        if item.status.is_terminal:
            return NotBegun(Refusal.ENDED, item, meta.batch)
        if item.is_leased(grant.now):
            return NotBegun(Refusal.LEASED, item, meta.batch)
        if meta.batch.status is BatchStatus.CANCELLED:
            change = await self.ends.end_free(item, ItemEnd(ItemStatus.CANCELLED), now=grant.now)
            ended = replace(item, status=ItemStatus.CANCELLED, fence=item.fence + 1, ended_at=grant.now)
            return NotBegun(Refusal.CANCELLED, ended, change.batch) if change else None
        begun = _begun(item, grant)
        lease = Lease(item.batch_id, item.index, grant.worker_id, begun.fence, grant.until)
        return Begun(lease, begun, meta.batch) if await self._take(meta, item, begun, grant) else None

    async def _take(self, meta: Meta, item: Item, begun: Item, grant: Grant) -> bool:
        """Write the lease; the first attempt's analysis id becomes known in the same transaction."""
        writer, key = secrets.token_hex(8), item_key(item.batch_id, item.index)
        take = Update(key, _taken(begun, grant, writer), is_free_as(item, grant.now))
        pointer = {"batch_id": item.batch_id, "item_index": item.index, "expires_at": meta.expires_at}
        try:
            if item.analysis_id is None:
                await self.table.transact([take, Put(analysis_key(str(begun.analysis_id)), pointer)])
            else:
                await self.table.write(take)
        except ConditionFailed as refused:
            return _was_written_by(writer, refused)
        return True


def _begun(item: Item, grant: Grant) -> Item:
    return replace(
        item,
        status=ItemStatus.PROCESSING,
        attempt=item.attempt + 1,
        fence=item.fence + 1,
        leased_by=grant.worker_id,
        lease_until=grant.until,
        progress=None,
        started_at=item.started_at or grant.now,
        analysis_id=item.analysis_id or new_analysis_id(grant.now),
    )


def _taken(begun: Item, grant: Grant, writer: str) -> Row:
    return {
        "status": begun.status.value,
        "attempt": begun.attempt,
        "fence": begun.fence,
        "leased_by": begun.leased_by,
        "lease_until": micros_or_none(begun.lease_until),
        "started_at": micros_or_none(begun.started_at),
        "analysis_id": begun.analysis_id,
        "due_at": grant.due_at,
        "written_by": writer,
        **dict.fromkeys(("resends", "stage", "percent")),
    }


def _was_written_by(writer: str, refused: ConditionFailed) -> bool:
    """Tell whether the row is as it is because this writer's own write got through though its answer did not."""
    row = refused.rows[0]
    return row is not None and row.get("written_by") == writer


def _lost(lease: Lease) -> LeaseLost:
    return LeaseLost(
        f"Item {lease.item_index} of {lease.batch_id} is no longer held by {lease.worker_id}; its work is void."
    )

"""Batches and items in DynamoDB. No method scans; what each costs is said where it is more than one request."""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from sync_core.backends.aws.batch_changes import BatchChanges, Decision
from sync_core.backends.aws.batch_creation import BatchCreation
from sync_core.backends.aws.item_ends import ItemEnds
from sync_core.backends.aws.keys import (
    DUE,
    ITEMS_PER_PARTITION,
    LISTED,
    Key,
    analysis_key,
    item_key,
    item_partition,
    item_sort,
)
from sync_core.backends.aws.leases import Grant, Leases
from sync_core.backends.aws.metas import Metas
from sync_core.backends.aws.resources import BATCHES_BY_TIME, ITEMS_DUE
from sync_core.backends.aws.rows import item_of
from sync_core.backends.aws.table import ConditionFailed, Table, Update
from sync_core.backends.aws.trouble import Patience
from sync_core.backends.aws.wire import Expression, Row, all_of
from sync_core.domain import batch as rules
from sync_core.domain.batch import (
    Batch,
    BatchStatus,
    Change,
    Item,
    ItemEnd,
    ItemProgress,
    ItemRequest,
    ItemStatus,
    StartOptions,
)
from sync_core.domain.errors import InputError, NotFound
from sync_core.domain.lease import Lease
from sync_core.domain.micros import to_micros
from sync_core.jobs.overdue import Overdue
from sync_core.jobs.ports.batch_store import BatchPage, Begun, NotBegun

_MOST_PARALLEL = 90
_POSITION = re.compile(r"\d{20}#\w+")


class AwsBatchStore:
    """The BatchStore port on one table.

    Parameters
    ----------
    retention
        How long batches are kept, from their creation on.
    overdue
        When the message of an item in flight counts as lost.
    """

    def __init__(
        self,
        table: Table,
        *,
        retention: timedelta,
        patience: Patience = Patience(),  # noqa: B008 - a frozen value
        overdue: Overdue = Overdue(),  # noqa: B008 - a frozen value
    ) -> None:
        self._table = table
        self._metas = Metas(table)
        self._overdue = overdue
        self._changes = BatchChanges(table, self._metas, overdue, patience)
        self._ends = ItemEnds(self._changes)
        self._leases = Leases(table, self._ends, overdue)
        self._creation = BatchCreation(table, retention)

    async def create(self, batch: Batch, requests: Sequence[ItemRequest]) -> bool:
        return await self._creation.create(batch, requests)

    async def get(self, batch_id: str) -> Batch:
        return (await self._metas.read(batch_id)).batch

    async def list_batches(self, *, limit: int, cursor: str | None = None) -> BatchPage:
        """Cost one query, and one read of all the batches that it names."""
        before = _position_of(cursor) if cursor else "~"
        condition = Expression("#listed = :listed AND #listed_at < :before", {"listed": LISTED, "before": before})
        keys = await self._table.query(condition, index=BATCHES_BY_TIME, limit=limit + 1, newest_first=True)
        page, has_more = keys[:limit], len(keys) > limit
        metas = await self._metas.read_many([row["listed_at"].partition("#")[2] for row in page])
        return BatchPage(tuple(meta.batch for meta in metas), _cursor_at(page[-1]) if has_more and page else None)

    async def items(self, batch_id: str, *, start: int = 0, limit: int) -> tuple[Item, ...]:
        """Cost one query for each thousand; one read more if this process has not seen the batch before."""
        end = min(start + limit, await self._metas.total(batch_id))
        partitions = range(start // ITEMS_PER_PARTITION, -(-end // ITEMS_PER_PARTITION)) if start < end else ()
        pages = await asyncio.gather(*(self._page(batch_id, number, start, end) for number in partitions))
        return tuple(item_of(row) for page in pages for row in page)

    async def find_analysis(self, analysis_id: str) -> tuple[Batch, Item]:
        pointer = await self._table.get(analysis_key(analysis_id))
        found = pointer and await self._ends.find(pointer["batch_id"], pointer["item_index"])
        if not found:
            raise NotFound(f"There is no analysis {analysis_id}.")
        return found[0].batch, found[1]

    async def start(self, batch_id: str, options: StartOptions, now: datetime) -> Change:
        if options.parallel_jobs > _MOST_PARALLEL:
            raise InputError(f"parallel_jobs is {options.parallel_jobs}; it may be {_MOST_PARALLEL} at most.")
        return await self._changes.apply(
            batch_id, lambda meta: Decision(rules.start(meta.batch, options, now)), now=now, fresh=True
        )

    async def cancel(self, batch_id: str, now: datetime) -> Change:
        """Cancel in one transaction, and end what nobody leases in the next; a repeated call does the latter again."""
        change = Change(await self.get(batch_id))
        if change.batch.status is not BatchStatus.CANCELLED:
            change = await self._changes.apply(
                batch_id, lambda meta: Decision(rules.cancel(meta.batch, now)), now=now, fresh=True
            )
        await self._ends.end_in_flight(batch_id, now=now)
        batch = (await self._metas.recent(batch_id)).batch
        return Change(batch, event=change.event)

    async def begin_attempt(
        self, batch_id: str, item_index: int, *, worker_id: str, now: datetime, lease_seconds: float
    ) -> Begun | NotBegun:
        return await self._leases.begin(batch_id, item_index, Grant(worker_id, now, lease_seconds, self._overdue))

    async def renew(
        self,
        lease: Lease,
        *,
        now: datetime,
        lease_seconds: float,
        progress: ItemProgress | None = None,
        request: ItemRequest | None = None,
    ) -> tuple[Lease, bool]:
        grant = Grant(lease.worker_id, now, lease_seconds, self._overdue)
        return await self._leases.renew(lease, grant, progress, request)

    async def release(self, lease: Lease, *, now: datetime, count_attempt: bool, delay_seconds: float = 0.0) -> None:
        await self._leases.release(lease, count_attempt=count_attempt, until=now + timedelta(seconds=delay_seconds))

    async def finish(self, lease: Lease, end: ItemEnd, *, now: datetime) -> Change:
        return await self._ends.finish(lease, end, now=now)

    async def end_abandoned(self, batch_id: str, item_index: int, end: ItemEnd, *, now: datetime) -> Change | None:
        found = await self._ends.find_claimed(batch_id, item_index)
        if found is None or found[1].status.is_terminal or found[1].is_leased(now):
            return None
        return await self._ends.end_free(found[1], end, now=now)

    async def stalled(self, *, now: datetime, limit: int) -> tuple[Item, ...]:
        """Cost one query of the index, which may lag behind, and one read of the rows that it names."""
        condition = Expression("#due = :due AND #due_at <= :now", {"due": DUE, "now": to_micros(now)})
        keys = [Key(row["pk"], row["sk"]) for row in await self._table.query(condition, index=ITEMS_DUE, limit=limit)]
        rows = await self._table.get_many(keys)
        return tuple(item_of(rows[key]) for key in keys if key in rows and _is_due(rows[key], now))

    async def mark_resent(self, batch_id: str, item_index: int, *, now: datetime) -> None:
        key = item_key(batch_id, item_index)
        row = await self._table.get(key)
        if row is None or "due_at" not in row or item_of(row).is_leased(now):
            return
        resends = row.get("resends", 0) + 1
        changes = {"resends": resends, "due_at": self._overdue.after(resends, now)}
        try:
            await self._table.write(Update(key, changes, all_of("#due_at = :seen", seen=row["due_at"])))
        except ConditionFailed:
            return  # it was begun, ended, or marked by another sweeper meanwhile

    async def _page(self, batch_id: str, partition: int, start: int, end: int) -> list[Row]:
        """Read the items of one partition that are in `start` to `end`."""
        first, after = partition * ITEMS_PER_PARTITION, (partition + 1) * ITEMS_PER_PARTITION
        condition = Expression(
            "#pk = :pk AND #sk BETWEEN :first AND :last",
            {
                "pk": item_partition(batch_id, partition),
                "first": item_sort(max(start, first)),
                "last": item_sort(min(end, after) - 1),
            },
        )
        return await self._table.query(condition)


def _is_due(row: Row, now: datetime) -> bool:
    is_open = not ItemStatus(row["status"]).is_terminal
    return is_open and "due_at" in row and row["due_at"] <= to_micros(now)


def _cursor_at(row: Row) -> str:
    return base64.urlsafe_b64encode(row["listed_at"].encode()).decode()


def _position_of(cursor: str) -> str:
    with suppress(ValueError, binascii.Error):
        position = base64.urlsafe_b64decode(cursor.encode()).decode()
        if _POSITION.fullmatch(position):
            return position
    raise InputError(f"The cursor {cursor!r} is none that this list gave; leave it out to start anew.")

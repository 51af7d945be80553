"""Where batches and items live. Each method is atomic; the conditional writes in it are the locks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sync_core.domain.batch import Batch, Change, Item, ItemEnd, ItemProgress, ItemRequest, StartOptions
from sync_core.domain.lease import Lease


class Refusal(StrEnum):
    """Why an attempt at an item did not begin."""

    ENDED = "ended"
    """The item has ended; its recorded `next_item` must be sent again."""
    CANCELLED = "cancelled"
    """The batch is cancelled; the item has been ended as cancelled in the same write."""
    LEASED = "leased"
    """Another worker holds it."""
    UNKNOWN = "unknown"
    """No such batch or item, or the item was never claimed."""


@dataclass(frozen=True, slots=True)
class Begun:
    """An attempt that began: the lease, and the item as of now (its `attempt` counts this one)."""

    lease: Lease
    item: Item
    batch: Batch


@dataclass(frozen=True, slots=True)
class NotBegun:
    """An attempt that did not begin. `item` and `batch` are None for an unknown item."""

    reason: Refusal
    item: Item | None = None
    batch: Batch | None = None


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Some batches, newest first, and where to go on."""

    batches: tuple[Batch, ...]
    cursor: str | None


class BatchStore(Protocol):
    """Batches, items, leases and the events that their changes make.

    A change of a batch's state and the event that tells of it are one transaction.
    """

    async def create(self, batch: Batch, requests: Sequence[ItemRequest]) -> bool:
        """Store a batch with its items; nobody sees any of it before all of it is there.

        Returns False, storing nothing, if a batch with this id exists. The item of a single batch gets its analysis id
        here (`ids.analysis_id_of_single`), any other at its first attempt.
        """
        ...

    async def get(self, batch_id: str) -> Batch:
        """Read a batch; one read, whatever its size.

        Raises
        ------
        NotFound
            If there is no such batch.
        """
        ...

    async def list_batches(self, *, limit: int, cursor: str | None = None) -> BatchPage:
        """Page through all batches but the single ones, newest first."""
        ...

    async def items(self, batch_id: str, *, start: int = 0, limit: int) -> tuple[Item, ...]:
        """Read up to `limit` items in order, from index `start` on; statuses are the stored ones."""
        ...

    async def find_analysis(self, analysis_id: str) -> tuple[Batch, Item]:
        """Read the item that this analysis id belongs to, with its batch.

        Raises
        ------
        NotFound
            If no item has it.
        """
        ...

    async def start(self, batch_id: str, options: StartOptions, now: datetime) -> Change:
        """Apply `domain.batch.start`.

        Raises
        ------
        NotFound, WrongState
        """
        ...

    async def cancel(self, batch_id: str, now: datetime) -> Change:
        """Apply `domain.batch.cancel`, and end the items that are claimed but not leased.

        Raises
        ------
        NotFound, WrongState
        """
        ...

    async def begin_attempt(
        self, batch_id: str, item_index: int, *, worker_id: str, now: datetime, lease_seconds: float
    ) -> Begun | NotBegun:
        """Take the lease of a claimed item that nobody holds; counts an attempt and raises the fence."""
        ...

    async def renew(
        self,
        lease: Lease,
        *,
        now: datetime,
        lease_seconds: float,
        progress: ItemProgress | None = None,
        request: ItemRequest | None = None,
    ) -> tuple[Lease, bool]:
        """Prolong a lease and store the item's progress, and its request where media have been pinned.

        Returns the new lease, and whether the batch has been cancelled meanwhile.

        Raises
        ------
        LeaseLost
            If another worker took over, or the item has ended.
        """
        ...

    async def release(self, lease: Lease, *, now: datetime, count_attempt: bool, delay_seconds: float = 0.0) -> None:
        """Give a lease back without an end. An attempt that is not to count (shutdown, Spot) is taken off again.

        The item's message comes again after `delay_seconds`, and is not overdue before.

        Raises
        ------
        LeaseLost
        """
        ...

    async def finish(self, lease: Lease, end: ItemEnd, *, now: datetime) -> Change:
        """End an item in one transaction.

        The item ends, the counters move, the next item is claimed and noted on this one, and the batch's last end
        changes its state and records the event. Repeating it with the same lease after an ambiguous commit returns
        the stored outcome.

        Raises
        ------
        LeaseLost
            If another worker took over, or another one's end is stored.
        """
        ...

    async def end_abandoned(self, batch_id: str, item_index: int, end: ItemEnd, *, now: datetime) -> Change | None:
        """End a claimed item that nobody leases, for the sweeper (dead letters); None if it is leased or has ended."""
        ...

    async def stalled(self, *, now: datetime, limit: int) -> tuple[Item, ...]:
        """Find claimed items of processing or cancelled batches that nobody leases and whose message is overdue."""
        ...

    async def mark_resent(self, batch_id: str, item_index: int, *, now: datetime) -> None:
        """Note that an item's message was sent again; it is overdue again later, with growing back-off."""
        ...


def item_stream(store: BatchStore, batch_id: str, *, page: int = 1000) -> AsyncIterator[Item]:
    """Read all items of a batch in order, a page at a time."""
    return _stream(store, batch_id, page)


async def _stream(store: BatchStore, batch_id: str, page: int) -> AsyncIterator[Item]:
    start = 0
    while items := await store.items(batch_id, start=start, limit=page):
        for item in items:
            yield item
        start += len(items)

"""Find what stalled, and set it going again. Idempotent; may itself die at any point."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from sync_core.domain.batch import Item, ItemEnd, ItemStatus, item_id_of
from sync_core.domain.errors import AttemptsExhausted, NotFound
from sync_core.jobs.ports.batch_store import BatchStore
from sync_core.jobs.ports.clock import Clock
from sync_core.jobs.ports.report_store import ReportStore
from sync_core.jobs.ports.work_queue import Delivery, WorkQueue
from sync_core.jobs.report_keys import report_prefix
from sync_core.jobs.start import messages_for

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Swept:
    """What one round did: messages sent again, and items ended that came back as dead letters."""

    resent: int
    ended_dead: int


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Use case: re-send claimed items whose message is overdue, and end the items of dead letters."""

    store: BatchStore
    queue: WorkQueue
    reports: ReportStore
    clock: Clock
    limit: int = 100

    async def sweep(self) -> Swept:
        """Do one round, over at most `limit` items of each kind."""
        return Swept(await self._resend_stalled(), await self._end_dead())

    async def _resend_stalled(self) -> int:
        stalled = await self.store.stalled(now=self.clock.now(), limit=self.limit)
        for item in stalled:
            await self._resend(item)
        return len(stalled)

    async def _resend(self, item: Item) -> None:
        """Send an item's message again; where retention has taken the batch, its items follow and need none."""
        fields = {"batch_id": item.batch_id, "item_id": item.item_id}
        try:
            batch = await self.store.get(item.batch_id)
        except NotFound:
            log.warning("the batch of a stalled item is not there any more", extra=fields)
        else:
            await self.queue.send(messages_for(batch, [item.index]))
            log.warning("sent again", extra=fields)
        await self.store.mark_resent(item.batch_id, item.index, now=self.clock.now())

    async def _end_dead(self) -> int:
        dead = await self.queue.receive_dead(limit=self.limit, visibility_seconds=60.0)
        return sum([await self._end_one(delivery) for delivery in dead])

    async def _end_one(self, delivery: Delivery) -> bool:
        """End a dead letter's item. One that is leased just now stays dead until that attempt is over."""
        batch_id, index = delivery.message.batch_id, delivery.message.item_index
        error = AttemptsExhausted(
            f"The item was delivered {delivery.receive_count} times without an end; look at the workers' log for it."
        )
        end = ItemEnd(ItemStatus.FAILED, error=error.message, error_code=error.code)
        change = await self.store.end_abandoned(batch_id, index, end, now=self.clock.now())
        if change is not None:
            log.error("ended a dead letter", extra={"batch_id": batch_id, "item_id": item_id_of(index)})
            await self.queue.send(messages_for(change.batch, change.claimed, trace=delivery.message.trace))
            await self._discard_reports(batch_id, index, keep=None)
            await self.queue.delete(delivery)
            return True
        await self._drop_if_ended(delivery)
        return False

    async def _drop_if_ended(self, delivery: Delivery) -> None:
        batch_id, index = delivery.message.batch_id, delivery.message.item_index
        items = await self.store.items(batch_id, start=index, limit=1)
        if items and not items[0].status.is_terminal:
            return
        if items:
            await self._discard_reports(batch_id, index, keep=items[0].report_key)
        if items and items[0].next_item is not None:
            batch = await self.store.get(batch_id)
            await self.queue.send(messages_for(batch, [items[0].next_item], trace=delivery.message.trace))
        await self.queue.delete(delivery)

    async def _discard_reports(self, batch_id: str, index: int, *, keep: str | None) -> None:
        """Remove reports of attempts that did not come to their end; before the message, which brings that up again."""
        await self.reports.discard(report_prefix(batch_id, index), keep=keep)

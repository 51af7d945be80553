"""Short words for what the suites of the BatchStore do over and over."""

from __future__ import annotations

from dataclasses import dataclass

from sync_core.domain.batch import (
    Batch,
    BatchStatus,
    Change,
    Counters,
    Item,
    ItemEnd,
    ItemRequest,
    ItemStatus,
    Priority,
    StartOptions,
)
from sync_core.domain.ids import new_batch_id
from sync_core.domain.lease import Lease
from sync_core.domain.methods import DEFAULT_METHODS, AiModel, Method
from sync_core.jobs.ports.batch_store import BatchStore, Begun, NotBegun
from sync_core.jobs.ports.event_outbox import EventOutbox
from tests.fakes.clock import FakeClock

COMPLETED = ItemEnd(
    ItemStatus.COMPLETED, {"offset_seconds": -2.456, "note": "délai"}, confidence=0.9, report_key="b/item_001-1.json"
)
REFUSED = ItemEnd(ItemStatus.COMPLETED, {"offset_seconds": None}, confidence=None)
FAILED = ItemEnd(ItemStatus.FAILED, error="The dub has no audio.", error_code="NO_AUDIO")
STOPPED = ItemEnd(ItemStatus.CANCELLED)
LEASE_SECONDS = 60.0


def request_of(index: int) -> ItemRequest:
    """Make a request in which every field differs from its default."""
    return ItemRequest(
        f"/mnt/data/master_{index}.wav",
        f"/mnt/data/dübbing {index}.wav#a:1",
        (*DEFAULT_METHODS, Method.AI),
        AiModel.YAMNET,
        f"row {index}, “quoted”",
        ("daily", "épisode"),
        per_channel=True,
    )


@dataclass
class Batches:
    """A store with its clock."""

    store: BatchStore
    outbox: EventOutbox
    clock: FakeClock

    def new(self, items: int, **fields: object) -> Batch:
        now = self.clock.now()
        values = {"parallel_jobs": 2, "priority": Priority.NORMAL, "created_at": now, **fields}
        return Batch(new_batch_id(now), BatchStatus.UPLOADED, Counters(items), **values)  # type: ignore[arg-type]

    async def uploaded(self, items: int, **fields: object) -> str:
        batch = self.new(items, **fields)
        assert await self.store.create(batch, [request_of(index) for index in range(items)])
        return batch.batch_id

    async def started(self, items: int, parallel_jobs: int = 2) -> str:
        batch_id = await self.uploaded(items)
        await self.store.start(batch_id, StartOptions(parallel_jobs), self.clock.now())
        return batch_id

    async def attempt(self, batch_id: str, index: int = 0, worker_id: str = "worker-a") -> Begun | NotBegun:
        return await self.store.begin_attempt(
            batch_id, index, worker_id=worker_id, now=self.clock.now(), lease_seconds=LEASE_SECONDS
        )

    async def begin(self, batch_id: str, index: int = 0, worker_id: str = "worker-a") -> Begun:
        begun = await self.attempt(batch_id, index, worker_id)
        assert isinstance(begun, Begun), begun
        return begun

    async def refused(self, batch_id: str, index: int = 0, worker_id: str = "worker-a") -> NotBegun:
        refused = await self.attempt(batch_id, index, worker_id)
        assert isinstance(refused, NotBegun), refused
        return refused

    async def finish(self, lease: Lease, end: ItemEnd = COMPLETED) -> Change:
        return await self.store.finish(lease, end, now=self.clock.now())

    async def do(self, batch_id: str, index: int, end: ItemEnd = COMPLETED) -> Change:
        return await self.finish((await self.begin(batch_id, index)).lease, end)

    async def cancel(self, batch_id: str) -> Change:
        return await self.store.cancel(batch_id, self.clock.now())

    async def item(self, batch_id: str, index: int = 0) -> Item:
        (item,) = await self.store.items(batch_id, start=index, limit=1)
        return item

    async def counts(self, batch_id: str) -> tuple[int, int, int, int, int]:
        """Give pending, in flight, completed, failed, cancelled."""
        c = (await self.store.get(batch_id)).counters
        assert c.pending + c.in_flight + c.completed + c.failed + c.cancelled == c.total
        return c.pending, c.in_flight, c.completed, c.failed, c.cancelled

    async def events(self, batch_id: str) -> list[str]:
        return [event.event_type.value for event in await self.outbox.of_batch(batch_id)]

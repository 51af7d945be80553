"""The real embedded back end with a scripted analyzer and virtual time, and the use cases upon them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sync_core.backends.embedded.batch_store import EmbeddedBatchStore
from sync_core.backends.embedded.open import EmbeddedBackend, open_backend
from sync_core.backends.embedded.work_queue import EmbeddedWorkQueue
from sync_core.domain.batch import Batch, BatchStatus, Counters, Item, ItemRequest, Priority, StartOptions
from sync_core.domain.ids import new_batch_id
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.domain.worker import WorkerInfo
from sync_core.jobs.overdue import Overdue
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.media_objects import MediaObjects
from sync_core.jobs.ports.work_queue import Delivery, QueueDepth
from sync_core.jobs.process import AttemptPolicy, ItemProcessor
from sync_core.jobs.start import CancelBatch, StartBatch
from sync_core.jobs.sweep import Sweeper
from sync_core.jobs.worker_loop import WorkerLoop, WorkerPolicy
from tests.fakes.analyzer import ScriptedAnalyzer
from tests.fakes.clock import FakeClock, SleeplessClock

ANY_PRIORITY = tuple(Priority)
_USUAL = Overdue()


def dub(index: int) -> str:
    """Give the dub of an item of a workshop's batch."""
    return f"/mnt/data/dub_{index:03d}.wav"


def request(index: int) -> ItemRequest:
    return ItemRequest("/mnt/data/master.wav", dub(index), DEFAULT_METHODS, description=f"pair {index}")


@dataclass
class Workshop:
    data_dir: Path
    backend: Backend
    clock: FakeClock
    analyzer: ScriptedAnalyzer = field(default_factory=ScriptedAnalyzer)
    attempts: AttemptPolicy = field(default_factory=AttemptPolicy)
    media: MediaObjects | None = None

    async def uploaded(self, items: int = 1, *, priority: Priority = Priority.NORMAL) -> str:
        now = self.clock.now()
        batch = Batch(new_batch_id(now), BatchStatus.UPLOADED, Counters(items), 2, priority, now)
        assert await self.backend.batch_store.create(batch, [request(index) for index in range(items)])
        return batch.batch_id

    async def started(self, items: int = 1, *, parallel_jobs: int = 2, priority: Priority = Priority.NORMAL) -> str:
        batch_id = await self.uploaded(items, priority=priority)
        await self.start_batch.start(batch_id, StartOptions(parallel_jobs=parallel_jobs))
        return batch_id

    @property
    def start_batch(self) -> StartBatch:
        backend = self.backend
        return StartBatch(backend.batch_store, backend.work_queue, backend.idempotency_keys, self.clock)

    async def cancel(self, batch_id: str) -> Batch:
        return await CancelBatch(self.backend.batch_store, self.clock).cancel(batch_id)

    def processor(self, worker_id: str = "worker-a", *, paused: bool = False, **changes: Any) -> ItemProcessor:
        """Wire a processor; a paused one never renews its leases."""
        backend = self.backend
        return ItemProcessor(
            worker_id=worker_id,
            store=backend.batch_store,
            queue=backend.work_queue,
            reports=backend.report_store,
            analyzer=self.analyzer,
            clock=SleeplessClock(self.clock) if paused else self.clock,
            policy=replace(self.attempts, **changes),
            media=self.media,
        )

    @property
    def sweeper(self) -> Sweeper:
        backend = self.backend
        return Sweeper(backend.batch_store, backend.work_queue, backend.report_store, self.clock)

    def worker(self, worker_id: str = "worker-a", **policy: Any) -> WorkerLoop:
        return WorkerLoop(
            _info(worker_id, self.clock),
            self.backend.work_queue,
            self.backend.worker_registry,
            self.processor(worker_id),
            self.sweeper,
            self.clock,
            WorkerPolicy(**{"grace_seconds": 0.2, **policy}),
        )

    async def receive(self, *, visibility_seconds: float | None = None) -> Delivery:
        delivery = await self.receive_if_any(visibility_seconds=visibility_seconds)
        assert delivery is not None, "no message is visible"
        return delivery

    async def receive_if_any(self, *, visibility_seconds: float | None = None) -> Delivery | None:
        hidden = self.attempts.lease_seconds if visibility_seconds is None else visibility_seconds
        return await self.backend.work_queue.receive(ANY_PRIORITY, visibility_seconds=hidden)

    async def batch(self, batch_id: str) -> Batch:
        return await self.backend.batch_store.get(batch_id)

    async def item(self, batch_id: str, index: int = 0) -> Item:
        (item,) = await self.backend.batch_store.items(batch_id, start=index, limit=1)
        return item

    async def events(self, batch_id: str) -> list[str]:
        return [event.event_type.value for event in await self.backend.event_outbox.of_batch(batch_id)]

    async def depth(self) -> QueueDepth:
        """Count the messages of all priorities together."""
        depths = (await self.backend.work_queue.depth()).values()
        return QueueDepth(sum(d.waiting for d in depths), sum(d.in_flight for d in depths), sum(d.dead for d in depths))

    def reports(self) -> list[str]:
        folder = self.data_dir / "reports"
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@asynccontextmanager
async def open_workshop(
    data_dir: Path, *, max_receives: int = 12, poll_seconds: float = 0.1, overdue: Overdue = _USUAL
) -> AsyncIterator[Workshop]:
    clock = FakeClock()
    opened = open_backend(data_dir, clock=clock, max_receives=max_receives)
    queue = EmbeddedWorkQueue(opened.database, clock=clock, max_receives=max_receives, poll_seconds=poll_seconds)
    store = EmbeddedBatchStore(opened.database, overdue=overdue)
    backend = replace(opened, work_queue=queue, batch_store=store)
    stop_time_during_work(backend, clock)
    try:
        yield Workshop(data_dir, backend, clock)
    finally:
        await backend.close()


def stop_time_during_work(backend: EmbeddedBackend, clock: FakeClock) -> None:
    """Let no virtual time pass while the back end's threads work."""
    for owner, name in ((backend.database, "write"), (backend.database, "read"), (backend.report_store, "_in_thread")):
        setattr(owner, name, clock.stopped_during(getattr(owner, name)))


def _info(worker_id: str, clock: FakeClock) -> WorkerInfo:
    return WorkerInfo(
        worker_id, "host", 1, 1, "cpu", "1.0.0", DEFAULT_METHODS, (), {}, started_at=clock.now(), seen_at=clock.now()
    )

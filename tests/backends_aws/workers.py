"""Workers upon an AWS back end in real time, with an analyzer that does what the test says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sync_core.domain.batch import Batch, BatchStatus, Counters, ItemRequest, Priority, StartOptions
from sync_core.domain.ids import new_batch_id
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.domain.worker import WorkerInfo
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.clock import SystemClock
from sync_core.jobs.ports.work_queue import Delivery
from sync_core.jobs.process import AttemptPolicy, ItemProcessor
from sync_core.jobs.start import StartBatch
from sync_core.jobs.sweep import Sweeper
from sync_core.jobs.worker_loop import WorkerLoop, WorkerPolicy
from tests.fakes.analyzer import Act, ScriptedAnalyzer, answers, found

LONG = 3600.0


@dataclass
class Yard:
    """A place for workers; each of them may have a back end of its own."""

    backend: Backend
    act: Act = field(default_factory=lambda: answers(found()))
    clock: SystemClock = field(default_factory=SystemClock)
    attempts: AttemptPolicy = field(default_factory=lambda: AttemptPolicy(heartbeat_seconds=20.0))

    async def uploaded(self, items: int) -> str:
        now = self.clock.now()
        batch = Batch(new_batch_id(now), BatchStatus.UPLOADED, Counters(items), 2, Priority.NORMAL, now)
        requests = [ItemRequest("/mnt/data/m.wav", f"/mnt/data/d{n}.wav", DEFAULT_METHODS) for n in range(items)]
        assert await self.backend.batch_store.create(batch, requests)
        return batch.batch_id

    async def started(self, items: int, *, parallel_jobs: int) -> str:
        batch_id = await self.uploaded(items)
        backend = self.backend
        start = StartBatch(backend.batch_store, backend.work_queue, backend.idempotency_keys, self.clock)
        await start.start(batch_id, StartOptions(parallel_jobs), repeatable=True)
        return batch_id

    def worker(self, worker_id: str, backend: Backend | None = None, **policy: Any) -> WorkerLoop:
        mine, now = backend or self.backend, self.clock.now()
        processor = ItemProcessor(
            worker_id=worker_id,
            store=mine.batch_store,
            queue=mine.work_queue,
            reports=mine.report_store,
            analyzer=ScriptedAnalyzer(self.act),
            clock=self.clock,
            policy=self.attempts,
        )
        info = WorkerInfo(worker_id, "host", 1, 1, "cpu", "1", DEFAULT_METHODS, (), {}, started_at=now, seen_at=now)
        sweeper = Sweeper(mine.batch_store, mine.work_queue, mine.report_store, self.clock)
        settings = WorkerPolicy(
            **{"storage_pause_seconds": 0.1, "announce_seconds": LONG, "sweep_seconds": LONG, **policy}
        )
        return WorkerLoop(info, mine.work_queue, mine.worker_registry, processor, sweeper, self.clock, settings)

    async def work(self) -> None:
        """Do what is in the queue, item by item, as one slot of a worker would."""
        processor = self.worker("worker-a").processor
        while (delivery := await self.receive()) is not None:
            await processor.process(delivery)

    async def receive(self, *, wait_seconds: float = 0.0) -> Delivery | None:
        return await self.backend.work_queue.receive(
            tuple(Priority), visibility_seconds=30.0, wait_seconds=wait_seconds
        )

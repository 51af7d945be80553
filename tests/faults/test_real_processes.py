"""Real worker processes on one folder, killed, stopped and terminated at any moment."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path

import pytest

from sync_core.backends.embedded.open import EmbeddedBackend, open_backend
from sync_core.domain.batch import Batch, BatchStatus, Counters, Item, ItemRequest, ItemStatus, Priority, StartOptions
from sync_core.domain.ids import new_batch_id
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.jobs.ports.clock import SystemClock
from sync_core.jobs.start import StartBatch
from tests.fakes.invariants import Watchman, orphaned_reports
from tests.fakes.processes import started
from tests.fakes.waiting import until

USUAL = {
    "SYNC_LEASE_SECONDS": 1.0,
    "SYNC_MAX_ATTEMPTS": 30,
    "SYNC_MAX_RECEIVES": 100,
    "SYNC_GRACE_SECONDS": 10,
}


class Site:
    """A folder with a back end, and the worker processes on it."""

    def __init__(self, data_dir: Path, backend: EmbeddedBackend, stack: ExitStack) -> None:
        self.data_dir, self.backend = data_dir, backend
        self.log = data_dir / "workers.log"
        self._stack = stack

    def worker(self, *, slots: int = 2, **settings: object) -> subprocess.Popen[bytes]:
        return self._stack.enter_context(
            started(
                "tests.faults.worker_process",
                log=self.log,
                **{**USUAL, "SYNC_DATA_DIR": self.data_dir, "SYNC_SLOTS": slots, **settings},
            )
        )

    async def started_batch(self, dubs: list[str], *, parallel_jobs: int = 8) -> str:
        clock, backend = SystemClock(), self.backend
        requests = [ItemRequest("/mnt/data/master.wav", dub, DEFAULT_METHODS) for dub in dubs]
        now = clock.now()
        batch = Batch(new_batch_id(now), BatchStatus.UPLOADED, Counters(len(dubs)), 2, Priority.NORMAL, now)
        await backend.batch_store.create(batch, requests)
        start = StartBatch(backend.batch_store, backend.work_queue, backend.idempotency_keys, clock)
        await start.start(batch.batch_id, StartOptions(parallel_jobs=parallel_jobs))
        return batch.batch_id

    async def batch(self, batch_id: str) -> Batch:
        return await self.backend.batch_store.get(batch_id)

    async def item(self, batch_id: str) -> Item:
        return (await self.backend.batch_store.items(batch_id, limit=1))[0]

    async def is_settled(self, batch_id: str) -> bool:
        """Tell whether the batch has ended and all its messages are acknowledged."""
        depths = (await self.backend.work_queue.depth()).values()
        is_empty = not any(depth.waiting or depth.in_flight or depth.dead for depth in depths)
        return is_empty and (await self.batch(batch_id)).status.is_terminal

    async def is_registered(self, process: subprocess.Popen[bytes]) -> bool:
        live = await self.backend.worker_registry.live(now=SystemClock().now())
        return process.pid in {worker.pid for worker in live}

    async def runs(self, batch_id: str, *, worker: subprocess.Popen[bytes]) -> bool:
        held_by = (await self.item(batch_id)).leased_by
        return held_by is not None and f"-{worker.pid}-" in held_by

    def log_text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""


@asynccontextmanager
async def open_site(data_dir: Path) -> AsyncIterator[Site]:
    backend = open_backend(data_dir, max_receives=100)
    with ExitStack() as stack:
        try:
            yield Site(data_dir, backend, stack)
        finally:
            await backend.close()


@pytest.fixture
async def site(data_dir: Path) -> AsyncIterator[Site]:
    async with open_site(data_dir) as opened:
        yield opened


async def test_workers_killed_at_random_lose_nothing_and_count_nothing_twice(site: Site) -> None:
    chance = random.Random(20250828)
    names = [f"/mnt/data/sleep-{chance.randint(5, 60)}{'-gone' * (n % 20 == 7)}.wav" for n in range(300)]
    workers = [site.worker(), site.worker()]
    batch_id = await site.started_batch(names)
    kills = 0
    with closing(Watchman(site.data_dir)) as watchman:
        while kills < 12 and not (await site.batch(batch_id)).status.is_terminal:
            victim = chance.randrange(2)
            await until(lambda victim=victim: site.is_registered(workers[victim]))
            await asyncio.sleep(chance.uniform(0.0, 0.4))
            workers[victim].kill()
            workers[victim].wait()
            watchman.look()
            kills += 1
            workers[victim] = site.worker()
        await until(lambda: site.is_settled(batch_id), within_seconds=60)
        watchman.look()

    assert kills >= 5, "the batch was over before it could be disturbed"
    items = await site.backend.batch_store.items(batch_id, limit=300)
    failed = [item.index for item in items if item.status is ItemStatus.FAILED]
    assert failed == list(range(7, 300, 20))
    assert {item.status for item in items if item.index not in failed} == {ItemStatus.COMPLETED}
    assert len({item.analysis_id for item in items}) == 300
    batch = await site.batch(batch_id)
    assert (batch.counters.completed, batch.counters.failed) == (285, 15)
    events = [event.event_type.value for event in await site.backend.event_outbox.of_batch(batch_id)]
    assert events == ["batch.started", "batch.completed"]
    assert orphaned_reports(site.data_dir) == set()


async def test_a_worker_stopped_past_its_lease_writes_nothing_that_counts(site: Site) -> None:
    sleeper = site.worker(slots=1)
    await until(lambda: site.is_registered(sleeper))
    batch_id = await site.started_batch(["/mnt/data/sleep-500.wav"])
    await until(lambda: site.runs(batch_id, worker=sleeper))
    async with stopped(site, sleeper):
        other = site.worker(slots=1)
        await until(lambda: site.runs(batch_id, worker=other))
        await until(lambda: site.is_settled(batch_id))
        saved = await site.item(batch_id)
    await until(lambda: "lease lost" in site.log_text())
    terminate(sleeper)

    assert await site.item(batch_id) == saved
    assert saved.fence == 2
    assert (await site.batch(batch_id)).counters.completed == 1
    assert orphaned_reports(site.data_dir) == set()


@asynccontextmanager
async def stopped(site: Site, process: subprocess.Popen[bytes]) -> AsyncIterator[None]:
    """Stop a process while it is not in the middle of a write, which would stop all other writers as well."""

    async def is_stopped_between_writes() -> bool:
        os.kill(process.pid, signal.SIGSTOP)
        try:
            await asyncio.wait_for(site.backend.worker_registry.withdraw("nobody"), 2)
        except TimeoutError:
            os.kill(process.pid, signal.SIGCONT)
            return False
        return True

    await until(is_stopped_between_writes)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


async def test_sigterm_during_a_long_poll_ends_the_worker_at_once(site: Site) -> None:
    worker = site.worker()
    await until(lambda: site.is_registered(worker))
    terminate(worker)
    assert worker.returncode == 0
    assert not await site.is_registered(worker)


async def test_sigterm_lets_the_running_item_finish(site: Site) -> None:
    worker = site.worker(slots=1)
    await until(lambda: site.is_registered(worker))
    batch_id = await site.started_batch(["/mnt/data/sleep-700.wav", "/mnt/data/sleep-1.wav"])
    await until(lambda: site.runs(batch_id, worker=worker))
    terminate(worker)
    assert worker.returncode == 0
    counters = (await site.batch(batch_id)).counters
    assert (counters.completed, counters.in_flight) == (1, 1)


async def test_sigterm_releases_what_does_not_finish_in_time_to_the_next_worker(site: Site) -> None:
    worker = site.worker(slots=1, SYNC_GRACE_SECONDS=0.2, SYNC_LEASE_SECONDS=600)
    await until(lambda: site.is_registered(worker))
    batch_id = await site.started_batch(["/mnt/data/sleep-60000.wav"])
    await until(lambda: site.runs(batch_id, worker=worker))
    terminate(worker)

    released = await site.item(batch_id)
    assert (released.leased_by, released.attempt) == (None, 0)
    successor = site.worker(slots=1)
    await until(lambda: site.runs(batch_id, worker=successor))


def terminate(worker: subprocess.Popen[bytes]) -> None:
    worker.terminate()
    worker.wait(timeout=20)

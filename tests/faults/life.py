"""The whole life of a small batch, from upload to the last acknowledgement, that tests may interrupt anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from sync_core.domain.batch import BatchStatus, Item, ItemStatus, StartOptions
from sync_core.domain.errors import DecoderCrashed, MediaNotFound
from sync_core.domain.media import MediaPolicy
from sync_core.jobs.csv_rows import UploadLimits
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.process import AttemptPolicy
from sync_core.jobs.start import CancelBatch
from sync_core.jobs.submit import BatchOptions, SubmitBatch
from sync_core.jobs.worker_loop import WorkerLoop
from tests.fakes.analyzer import ScriptedAnalyzer, answers, found, never_ends, raises
from tests.fakes.invariants import orphaned_reports
from tests.fakes.tap import Probe, TappedBackend
from tests.fakes.waiting import until
from tests.fakes.workshop import Workshop, dub

ITEMS = 6
POLICY = AttemptPolicy(lease_seconds=15, heartbeat_seconds=5, max_attempts=5)
_ROWS = "".join(f"/mnt/data/master.wav,{dub(index)}\n" for index in range(ITEMS))
_CSV = ("master_file,dub_file\n" + _ROWS).encode()


@dataclass(frozen=True)
class Life:
    """A script for the analyzer, and what must have become of the batch at its end."""

    script: Callable[[Workshop, ScriptedAnalyzer], None]
    check: Callable[[Workshop, str], Awaitable[None]]


async def submit_and_start(shop: Workshop, probe: Probe) -> str:
    """Do what a customer does; a repetition with the same keys is harmless."""
    tapped = replace_backend(shop, TappedBackend(shop.backend, probe))
    submit = SubmitBatch(
        tapped.backend.batch_store,
        tapped.backend.idempotency_keys,
        shop.clock,
        MediaPolicy(roots=("/mnt/data",), relative_to="/mnt/data"),
        UploadLimits(),
    )
    submitted = await submit.upload(_CSV, BatchOptions(), idempotency_key="upload")
    options = StartOptions(parallel_jobs=2)
    await tapped.start_batch.start(submitted.batch.batch_id, options, idempotency_key="start", fingerprint="same")
    return submitted.batch.batch_id


def worker(shop: Workshop, worker_id: str, probe: Probe, **policy: float) -> WorkerLoop:
    tapped = replace_backend(shop, TappedBackend(shop.backend, probe))
    tapped.attempts = replace(POLICY, **policy)
    return tapped.worker(worker_id, slots=2, announce_seconds=30, sweep_seconds=10)


def replace_backend(shop: Workshop, backend: Backend) -> Workshop:
    return replace(shop, backend=backend, attempts=POLICY)


async def is_settled(shop: Workshop, batch_id: str) -> bool:
    """Tell whether nothing is left to do: the batch has ended and no message is anywhere."""
    batch, depth = await shop.batch(batch_id), await shop.depth()
    return batch.status.is_terminal and not (batch.counters.in_flight or depth.waiting or depth.in_flight or depth.dead)


async def work_until_settled(shop: Workshop, batch_id: str, loop: WorkerLoop) -> None:
    """Run a worker until nothing is left to do, or until it dies."""
    task = asyncio.create_task(loop.run())
    died = asyncio.Event()
    task.add_done_callback(lambda _task: died.set())

    async def is_over() -> bool:
        return died.is_set() or await is_settled(shop, batch_id)

    await until(is_over, within_seconds=60)
    await stop(loop, task)


async def stop(loop: WorkerLoop, task: asyncio.Task[None]) -> None:
    """Stop a worker, or bury it."""
    loop.stop()
    await asyncio.wait({task}, timeout=10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _script_to_the_end(_shop: Workshop, analyzer: ScriptedAnalyzer) -> None:
    """Four good items, one of them only at the second attempt; one refusal; one that is not there."""
    analyzer.default = answers(found(-2.456, confidence=0.9))
    analyzer.will(dub(1), raises(MediaNotFound("There is no such file.")))
    analyzer.will(dub(2), raises(DecoderCrashed("SIGSEGV")), answers(found(1.0, confidence=0.8)))
    analyzer.will(dub(4), answers(found(None, confidence=0.1)))


async def _check_the_end(shop: Workshop, batch_id: str) -> None:
    batch, items = await shop.batch(batch_id), await all_items(shop, batch_id)
    assert batch.status is BatchStatus.COMPLETED
    assert [item.status for item in items] == [
        ItemStatus.FAILED if item.index == 1 else ItemStatus.COMPLETED for item in items
    ]
    assert items[1].error_code == "MEDIA_NOT_FOUND"
    assert (batch.counters.completed, batch.counters.failed) == (ITEMS - 1, 1)
    assert await shop.events(batch_id) == ["batch.started", "batch.completed"]


def _script_cancelled(shop: Workshop, analyzer: ScriptedAnalyzer) -> None:
    """The batch is cancelled while one of its items runs; that item would never end by itself."""
    backend = shop.backend

    async def cancelled_meanwhile(request, on_progress):
        await CancelBatch(backend.batch_store, shop.clock).cancel(await only_batch(shop))
        return await never_ends()(request, on_progress)

    analyzer.will(dub(2), cancelled_meanwhile)


async def _check_cancelled(shop: Workshop, batch_id: str) -> None:
    batch, items = await shop.batch(batch_id), await all_items(shop, batch_id)
    assert batch.status is BatchStatus.CANCELLED
    assert batch.counters.cancelled >= 1
    assert batch.counters.ended == ITEMS
    assert items[2].status is ItemStatus.CANCELLED
    assert await shop.events(batch_id) == ["batch.started", "batch.cancelled"]


LIVES = {
    "to_the_end": Life(_script_to_the_end, _check_the_end),
    "cancelled": Life(_script_cancelled, _check_cancelled),
}


async def check_settled(shop: Workshop, batch_id: str, life: Life) -> None:
    """Check what any interrupted life must come to."""
    assert await is_settled(shop, batch_id), "something was never finished"
    assert (await shop.backend.batch_store.list_batches(limit=10)).batches == (await shop.batch(batch_id),)
    await life.check(shop, batch_id)
    assert orphaned_reports(shop.data_dir) == set()


async def all_items(shop: Workshop, batch_id: str) -> tuple[Item, ...]:
    return await shop.backend.batch_store.items(batch_id, limit=ITEMS)


async def only_batch(shop: Workshop) -> str:
    (batch,) = (await shop.backend.batch_store.list_batches(limit=10)).batches
    return batch.batch_id

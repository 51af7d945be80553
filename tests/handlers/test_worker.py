"""A worker process: what it does before its first delivery, and what it says of itself."""

from __future__ import annotations

import asyncio
import logging

import pytest

from handlers import worker
from handlers.settings import WorkerSettings, read_settings
from sync_core.backends.embedded.open import open_backend
from sync_core.domain.batch import Batch, BatchStatus, Counters, ItemRequest, Priority, StartOptions
from sync_core.domain.ids import new_batch_id
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.jobs.ports.analyzer import Capabilities
from sync_core.jobs.ports.clock import SystemClock
from sync_core.jobs.start import StartBatch
from tests.fakes.analyzer import ScriptedAnalyzer
from tests.fakes.waiting import until


class SlowToWarm(ScriptedAnalyzer):
    """Looks into the queue when it has been made ready."""

    capabilities = Capabilities("cuda:0", DEFAULT_METHODS, ("spectral", "yamnet"), {"ai:wav2vec2": "It is not there."})

    def __init__(self, backend) -> None:
        super().__init__()
        self.backend = backend
        self.in_flight_when_warm: int | None = None

    async def warm_up(self) -> None:
        await asyncio.sleep(0.5)
        depths = await self.backend.work_queue.depth()
        self.in_flight_when_warm = sum(depth.in_flight for depth in depths.values())


async def started_batch(backend) -> str:
    clock = SystemClock()
    batch = Batch(new_batch_id(clock.now()), BatchStatus.UPLOADED, Counters(1), 1, Priority.NORMAL, clock.now())
    await backend.batch_store.create(batch, [ItemRequest("/mnt/data/m.wav", "/mnt/data/d.wav", DEFAULT_METHODS)])
    start = StartBatch(backend.batch_store, backend.work_queue, backend.idempotency_keys, clock)
    await start.start(batch.batch_id, StartOptions(parallel_jobs=1))
    return batch.batch_id


@pytest.fixture
def settings(monkeypatch, data_dir) -> WorkerSettings:
    monkeypatch.setenv("SYNC_DATA_DIR", str(data_dir))
    return read_settings(WorkerSettings)


async def test_models_are_ready_before_the_first_delivery_is_taken(monkeypatch, settings, caplog):
    backend = open_backend(settings.data_dir)
    analyzer = SlowToWarm(backend)
    monkeypatch.setattr(worker, "build_analyzer", lambda *_: analyzer)
    batch_id = await started_batch(backend)
    caplog.set_level(logging.INFO)
    running = asyncio.create_task(worker._check_and_run(settings, stop_with_stdin=False))

    async def has_ended() -> bool:
        return (await backend.batch_store.get(batch_id)).status.is_terminal

    await until(has_ended)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await backend.close()
    assert analyzer.in_flight_when_warm == 0
    assert "AI models on cuda:0: spectral, yamnet" in caplog.text
    assert "It is not there." in caplog.text

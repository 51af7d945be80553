"""The sweeper as a process: it heals what a crash left between table and queue, however often it is run."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from handlers import sweeper
from sync_core.backends.embedded.open import open_backend
from sync_core.domain.batch import Batch, BatchStatus, Counters, ItemRequest, Priority, StartOptions
from sync_core.domain.errors import ConfigurationError
from sync_core.domain.ids import new_batch_id
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.jobs.sweep import Swept


async def start_without_messages(data_dir, items: int) -> None:
    """Start a batch an hour ago, in a process that died before it sent the first messages."""
    backend, then = open_backend(data_dir), datetime.now(UTC) - timedelta(hours=1)
    batch = Batch(new_batch_id(then), BatchStatus.UPLOADED, Counters(items), items, Priority.NORMAL, then)
    request = ItemRequest("/mnt/data/m.wav", "/mnt/data/d.wav", DEFAULT_METHODS)
    await backend.batch_store.create(batch, [request] * items)
    await backend.batch_store.start(batch.batch_id, StartOptions(parallel_jobs=items), then)
    await backend.close()


async def waiting(data_dir) -> int:
    backend = open_backend(data_dir)
    depth = await backend.work_queue.depth()
    await backend.close()
    return sum(of.waiting for of in depth.values())


def test_lost_dispatches_are_sent_once_however_often_it_runs(data_dir, monkeypatch):
    monkeypatch.setenv("SYNC_DATA_DIR", str(data_dir))
    asyncio.run(start_without_messages(data_dir, items=3))
    assert sweeper.handler({}, None) == {"resent": 3, "ended_dead": 0}
    assert sweeper.handler({}, None) == {"resent": 0, "ended_dead": 0}
    assert asyncio.run(waiting(data_dir)) == 3


def test_more_than_a_round_takes_is_swept_in_one_invocation(data_dir, monkeypatch):
    monkeypatch.setenv("SYNC_DATA_DIR", str(data_dir))
    for _ in range(3):
        asyncio.run(start_without_messages(data_dir, items=50))
    assert sweeper.main() == Swept(resent=150, ended_dead=0)


def test_settings_that_cannot_be_used_are_told(monkeypatch):
    monkeypatch.setenv("SYNC_BACKEND", "aws")
    with pytest.raises(ConfigurationError, match="SYNC_AWS_TABLE"):
        sweeper.main()

"""WorkerRegistry: who lives is who was heard of lately."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.domain.worker import WorkerInfo
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.worker_registry import WorkerRegistry
from tests.fakes.clock import FakeClock


@pytest.fixture
def registry(backend: Backend) -> WorkerRegistry:
    return backend.worker_registry


def worker(clock: FakeClock, worker_id: str = "worker-a") -> WorkerInfo:
    return WorkerInfo(
        worker_id=worker_id,
        host="edit-3",
        pid=4711,
        slots=2,
        device="cpu",
        version="1.0.0",
        methods=DEFAULT_METHODS,
        ai_models=("spectral",),
        unavailable={"ai:wav2vec2": "the model is not installed"},
        started_at=clock.now() - timedelta(seconds=5),
        seen_at=clock.now(),
    )


async def test_what_was_announced_is_what_is_listed(registry: WorkerRegistry, clock: FakeClock) -> None:
    second, first = worker(clock, "worker-b"), worker(clock, "worker-a")
    await registry.announce(second, ttl_seconds=15.0)
    await registry.announce(first, ttl_seconds=15.0)
    assert await registry.live(now=clock.now()) == (first, second)


async def test_who_is_not_heard_of_expires(registry: WorkerRegistry, clock: FakeClock) -> None:
    await registry.announce(worker(clock), ttl_seconds=15.0)
    clock.advance(14.9)
    assert await registry.live(now=clock.now())
    clock.advance(0.1)
    assert await registry.live(now=clock.now()) == ()


async def test_announcing_again_renews(registry: WorkerRegistry, clock: FakeClock) -> None:
    first = worker(clock)
    await registry.announce(first, ttl_seconds=15.0)
    clock.advance(10)
    renewed = replace(first, seen_at=clock.now(), slots=4)
    await registry.announce(renewed, ttl_seconds=15.0)
    clock.advance(10)
    assert await registry.live(now=clock.now()) == (renewed,)


async def test_an_expired_worker_may_come_back(registry: WorkerRegistry, clock: FakeClock) -> None:
    await registry.announce(worker(clock), ttl_seconds=15.0)
    clock.advance(100)
    await registry.announce(worker(clock, "worker-b"), ttl_seconds=15.0)
    await registry.announce(worker(clock), ttl_seconds=15.0)
    assert len(await registry.live(now=clock.now())) == 2


async def test_withdrawing_takes_out_at_once_and_may_be_repeated(registry: WorkerRegistry, clock: FakeClock) -> None:
    await registry.announce(worker(clock), ttl_seconds=15.0)
    for _ in range(2):
        await registry.withdraw("worker-a")
        assert await registry.live(now=clock.now()) == ()

"""Two at the same thing at once, from processes that know nothing of each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest

from sync_core.backends.aws.open import AwsBackend, open_backend
from sync_core.domain.batch import BatchStatus, StartOptions
from sync_core.jobs.ports.batch_store import Begun
from tests.aws_emulators import REGION, emulator
from tests.backends_aws.traffic import OneFault, conflict, hook
from tests.conformance.batches import COMPLETED, LEASE_SECONDS, Batches, request_of


@pytest.fixture
async def others(ministack: AwsBackend) -> AsyncIterator[list[AwsBackend]]:
    """Give more back ends on the same resources, as other processes have them."""
    endpoint = emulator("ministack").endpoint_url
    opened = [open_backend(ministack.resources, endpoint_url=endpoint, region=REGION) for _ in range(4)]
    yield opened
    await asyncio.gather(*(backend.close() for backend in opened))


async def test_a_slow_repetition_of_a_create_leaves_items_in_work_alone(
    clocked: Batches, others: list[AwsBackend]
) -> None:
    batch = clocked.new(250)
    requests = [request_of(index) for index in range(250)]
    assert await clocked.store.create(batch, requests)
    await clocked.store.start(batch.batch_id, StartOptions(90), clocked.clock.now())
    for index in range(10):  # each end claims one of the items that `create` had put before the last request
        await clocked.do(batch.batch_id, index)
        await clocked.begin(batch.batch_id, 90 + index)

    def not_there_yet(*, model: Any, **_: Any) -> tuple[SimpleNamespace, dict[str, Any]] | None:
        return (SimpleNamespace(status_code=200), {}) if model.name == "GetItem" else None

    await hook(others[0], "before-call", not_there_yet)  # it had looked before the first one was done
    before = await clocked.store.items(batch.batch_id, limit=250)
    assert not await others[0].batch_store.create(batch, requests)
    assert await clocked.store.items(batch.batch_id, limit=250) == before
    assert await clocked.counts(batch.batch_id) == (150, 90, 10, 0, 0)


async def test_an_interrupted_create_is_invisible_and_may_be_repeated(clocked: Batches, ministack: AwsBackend) -> None:
    batch = clocked.new(250)
    requests = [request_of(index) for index in range(250)]
    creating = asyncio.create_task(ministack.batch_store.create(batch, requests))
    await hook(ministack, "after-call", lambda model, **_: creating.cancel() if "Transact" in model.name else None)
    await asyncio.gather(creating, return_exceptions=True)
    assert creating.cancelled()
    assert await clocked.store.items(batch.batch_id, limit=250) == ()
    assert (await clocked.store.list_batches(limit=5)).batches == ()
    assert await clocked.store.create(batch, requests)
    assert len(await clocked.store.items(batch.batch_id, limit=300)) == 250


async def test_finishers_of_several_processes(clocked: Batches, others: list[AwsBackend]) -> None:
    batch_id = await clocked.started(40, parallel_jobs=8)

    async def work(backend: AwsBackend, index: int | None) -> None:
        mine = Batches(backend.batch_store, backend.event_outbox, clocked.clock)
        while index is not None:
            change = await mine.do(batch_id, index)
            index = change.claimed[0] if change.claimed else None

    await asyncio.gather(*(work(others[index % 4], index) for index in range(8)))
    assert await clocked.counts(batch_id) == (0, 0, 40, 0, 0)
    assert (await clocked.store.get(batch_id)).status is BatchStatus.COMPLETED
    assert await clocked.events(batch_id) == ["batch.started", "batch.completed"]


async def test_workers_of_several_processes_at_one_item(clocked: Batches, others: list[AwsBackend]) -> None:
    batch_id = await clocked.started(1)

    async def attempt(number: int) -> object:
        store = others[number % 4].batch_store
        return await store.begin_attempt(
            batch_id, 0, worker_id="the same name", now=clocked.clock.now(), lease_seconds=LEASE_SECONDS
        )

    tries = await asyncio.gather(*map(attempt, range(12)))
    assert sum(isinstance(each, Begun) for each in tries) == 1
    assert (await clocked.item(batch_id)).attempt == 1


async def test_a_conflict_is_not_a_lost_lease(clocked: Batches, ministack: AwsBackend) -> None:
    batch_id = await clocked.started(2)
    lease = (await clocked.begin(batch_id)).lease
    fault = await OneFault.on(ministack, "TransactWriteItems", answer=conflict(3), times=4)
    await clocked.finish(lease, COMPLETED)
    assert (fault.spoilt, await clocked.counts(batch_id)) == (4, (0, 1, 1, 0, 0))

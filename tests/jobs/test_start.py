"""Starting and cancelling a batch: once, at the same time, in the wrong order, and again with a key."""

from __future__ import annotations

import asyncio

import pytest

from sync_core.domain.batch import BatchStatus, Priority, StartOptions
from sync_core.domain.errors import IdempotencyConflict, NotFound, StorageUnavailable, WrongState
from sync_core.jobs.process import Outcome
from tests.fakes.tap import Call, TappedBackend, Trouble
from tests.fakes.workshop import Workshop


async def test_a_start_dispatches_no_more_than_its_window(shop: Workshop) -> None:
    batch_id = await shop.started(10, parallel_jobs=4)
    assert (await shop.depth()).waiting == 4
    counters = (await shop.batch(batch_id)).counters
    assert (counters.in_flight, counters.pending) == (4, 6)


async def test_a_start_may_change_priority_and_webhook(shop: Workshop) -> None:
    batch_id = await shop.uploaded(priority=Priority.LOW)
    options = StartOptions(priority=Priority.HIGH, webhook_url="https://studio.example/hook")
    batch = await shop.start_batch.start(batch_id, options)
    assert (batch.priority, batch.webhook_url) == (Priority.HIGH, "https://studio.example/hook")
    assert (await shop.receive()).message.priority is Priority.HIGH


async def test_a_second_start_is_refused_and_dispatches_nothing(shop: Workshop) -> None:
    batch_id = await shop.started(4)
    with pytest.raises(WrongState, match="processing"):
        await shop.start_batch.start(batch_id, StartOptions(parallel_jobs=4))
    assert (await shop.depth()).waiting == 2


async def test_of_many_starts_at_once_one_wins(shop: Workshop) -> None:
    batch_id = await shop.uploaded(4)
    starts = (shop.start_batch.start(batch_id, StartOptions(parallel_jobs=3)) for _ in range(10))
    outcomes = await asyncio.gather(*starts, return_exceptions=True)
    assert sum(isinstance(outcome, WrongState) for outcome in outcomes) == 9
    assert (await shop.depth()).waiting == 3
    assert await shop.events(batch_id) == ["batch.started"]


async def test_a_batch_that_does_not_exist_can_be_neither_started_nor_cancelled(shop: Workshop) -> None:
    with pytest.raises(NotFound):
        await shop.start_batch.start("batch_20250828_140600_ffffffff", StartOptions())
    with pytest.raises(NotFound):
        await shop.cancel("batch_20250828_140600_ffffffff")


async def test_a_cancelled_batch_cannot_be_started(shop: Workshop) -> None:
    batch_id = await shop.uploaded(3)
    assert (await shop.cancel(batch_id)).counters.cancelled == 3
    with pytest.raises(WrongState, match="cancelled"):
        await shop.start_batch.start(batch_id, StartOptions())
    assert await shop.receive_if_any() is None
    assert await shop.events(batch_id) == ["batch.cancelled"]


async def test_cancelling_again_changes_nothing(shop: Workshop) -> None:
    batch_id = await shop.started(5)
    first, second = await shop.cancel(batch_id), await shop.cancel(batch_id)
    assert first == second
    assert await shop.events(batch_id) == ["batch.started", "batch.cancelled"]


async def test_an_ended_batch_cannot_be_cancelled(shop: Workshop) -> None:
    batch_id = await shop.started()
    await shop.processor().process(await shop.receive())
    with pytest.raises(WrongState, match="completed"):
        await shop.cancel(batch_id)
    assert (await shop.batch(batch_id)).status is BatchStatus.COMPLETED


async def test_a_batch_cancelled_while_its_start_sends_messages_analyses_nothing(shop: Workshop) -> None:
    batch_id = await shop.uploaded(3)

    async def cancel_before_send(name, call):
        if name == "work_queue.send":
            await shop.cancel(batch_id)
        return await call()

    backend, shop.backend = shop.backend, TappedBackend(shop.backend, cancel_before_send)
    await shop.start_batch.start(batch_id, StartOptions())
    shop.backend = backend
    while delivery := await shop.receive_if_any():
        assert await shop.processor().process(delivery) is Outcome.REPEATED
    assert shop.analyzer.calls == []
    counters = (await shop.batch(batch_id)).counters
    assert (counters.cancelled, counters.in_flight) == (3, 0)


async def test_a_start_repeated_with_its_key_is_answered_with_the_batch(shop: Workshop) -> None:
    batch_id = await shop.uploaded(4)
    first = await shop.start_batch.start(batch_id, StartOptions(), idempotency_key="k", fingerprint="f")
    shop.clock.advance(1)
    second = await shop.start_batch.start(batch_id, StartOptions(), idempotency_key="k", fingerprint="f")
    assert first.batch_id == second.batch_id
    assert (await shop.depth()).waiting == 2


async def test_the_same_key_with_other_options_is_a_conflict(shop: Workshop) -> None:
    batch_id = await shop.uploaded(4)
    await shop.start_batch.start(batch_id, StartOptions(), idempotency_key="k", fingerprint="f")
    with pytest.raises(IdempotencyConflict):
        await shop.start_batch.start(batch_id, StartOptions(), idempotency_key="k", fingerprint="g")


async def test_a_start_that_failed_halfway_is_done_by_its_repetition(shop: Workshop) -> None:
    batch_id = await shop.uploaded(4)
    backend = shop.backend
    shop.backend = TappedBackend(backend, Trouble("batch_store.start", StorageUnavailable("full")))
    with pytest.raises(StorageUnavailable):
        await shop.start_batch.start(batch_id, StartOptions(), idempotency_key="k", fingerprint="f")
    shop.backend = backend
    shop.clock.advance(1)
    batch = await shop.start_batch.start(batch_id, StartOptions(), idempotency_key="k", fingerprint="f")
    assert batch.status is BatchStatus.PROCESSING
    assert (await shop.depth()).waiting == 2


async def test_a_refused_start_stays_refused_when_it_is_repeated_with_its_key(shop: Workshop) -> None:
    batch_id = await shop.uploaded()
    await shop.cancel(batch_id)
    for _ in range(2):
        shop.clock.advance(1)
        with pytest.raises(WrongState):
            await shop.start_batch.start(batch_id, StartOptions(), idempotency_key="k", fingerprint="f")


async def test_a_start_that_lost_to_another_one_stays_refused_when_it_is_repeated_with_its_key(shop: Workshop) -> None:
    batch_id = await shop.uploaded()
    backend = shop.backend

    async def other_is_faster(name: str, call: Call) -> object:
        outcome = await call()
        if name == "idempotency_keys.claim" and (await shop.batch(batch_id)).status is BatchStatus.UPLOADED:
            await backend.batch_store.start(batch_id, StartOptions(), shop.clock.now())
        return outcome

    shop.backend = TappedBackend(backend, other_is_faster)
    for _ in range(3):
        with pytest.raises(WrongState):
            await shop.start_batch.start(batch_id, StartOptions(), idempotency_key="k", fingerprint="f")
